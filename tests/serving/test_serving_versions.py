import asyncio
import gc
import json
import shutil
import weakref

import numpy as np
import pytest
from sqlalchemy import create_engine

from rl_runner import local_code
from rl_runner.errors import CheckpointError, ConfigError, DataError, RunFolderError
from rl_runner.offline.domains.recommender import state_of
from rl_runner.offline.learning.trained_run import load_trained
from rl_runner.offline.store.tables import service
from rl_runner.serving.models.agents import AgentModel
from rl_runner.serving.models.artifacts import read_artifact
from rl_runner.serving.models.recommender import LogPolicyModel


@pytest.fixture
def second(served, log_runs):
    return served.post("/v1/models", {"run": str(log_runs[1])}, 201)["version"]


def folder_of(served, version):
    return served.config.folder / "models" / version


def damage(served, version, name):
    file = next(folder_of(served, version).rglob(name))
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


def test_the_same_run_is_the_same_version(served, log_runs):
    first = served.service.snapshot.version
    assert served.post("/v1/models", {"run": str(log_runs[0])}, 201)["version"] == first
    assert len(served.get("/v1/models")["versions"]) == 1


def test_a_version_says_where_it_comes_from(served, log_runs):
    info = served.get("/v1/models/champion")
    assert info["run"] == str(log_runs[0])
    assert info["aliases"] == ["champion"]
    assert info["provenance"]["log"]["interactions"] == 2000
    assert len(info["provenance"]["log"]["fingerprint"]) == 8


def test_promote_and_rollback(served, second):
    first = served.service.snapshot.version
    served.post(f"/v1/models/{second[:6]}/promote")
    assert served.decide()["model_version"] == second
    assert served.get("/v1/models/previous")["version"] == first
    assert served.post("/v1/rollback")["version"] == first
    assert served.decide()["model_version"] == first
    history = [(c.alias, c.version, c.reason) for c in served.service.registry.history()]
    assert history[0][2] == "rolled back"
    assert ("champion", second, "promoted") in history


def test_there_is_nothing_to_roll_back_to_at_first(served):
    assert "no previous" in served.post("/v1/rollback", status=404)["detail"]


def test_a_promotion_on_the_command_line_reaches_a_running_server(served, second, rl, write_yaml):
    config = write_yaml(json.dumps({**served.config.model_dump(exclude_unset=True)}))
    done = rl("models", "promote", second, "--service", config)
    assert second in done.stdout, done.stderr
    served.service.follow_champion()
    assert served.decide()["model_version"] == second
    assert second in rl("models", "list", "--service", config, "--json").stdout
    assert rl("models", "show", "champion", "--service", config).document["history"]
    assert "in use" in rl("models", "remove", second, "--service", config).message
    assert rl("models", "rollback", "--service", config).exit_code == 0
    assert rl("models", "register", "nowhere", "--service", config).exit_code == 2


@pytest.mark.parametrize("name", ["log_table.npz", "config.yaml", "run.json", "golden.npz"])
def test_a_damaged_version_is_refused_and_the_old_one_continues(served, second, name):
    damage(served, second, name)
    problem = served.post(f"/v1/models/{second}/promote", status=409)
    assert "damaged" in problem["detail"]
    assert served.decide()["model_version"] != second
    assert "previous" not in served.service.registry.aliases()


def test_a_model_that_answers_otherwise_is_refused(served, second, monkeypatch):
    right = LogPolicyModel.answers
    monkeypatch.setattr(LogPolicyModel, "answers", lambda *given: right(*given) + 1e-3)
    with pytest.raises(CheckpointError, match="golden batch"):
        served.service.registry.promote(second)


UCB = """
name: ucb
env: {id: Recommender-v0}
algo: {name: q_learning, exploration: ucb}
data: {path: log.parquet, holdout: null, min_interactions_per_user: 1, window: 30d}
"""
CODE = """
import gymnasium as gym
from gymnasium.envs.classic_control import CartPoleEnv

class Pole(CartPoleEnv):
    pass

gym.register("Pole-v0", entry_point="code_under_change:Pole", max_episode_steps=20)
"""
CODE_CONFIG = """
env: {id: "code_under_change:Pole-v0"}
algo: {name: a2c, policy_kwargs: {net_arch: [8]}}
train: {total_timesteps: 20, seeds: 1}
eval: {every: 1000000, final_episodes: 1}
"""


def test_a_version_that_is_no_longer_used_frees_its_memory(served, second):
    first = weakref.ref(served.service.snapshot.model)
    served.decide()
    served.post(f"/v1/models/{second}/promote")
    assert first() is None
    again = weakref.ref(served.service.snapshot.model)
    served.decide()
    gc.disable()  # a table has no references to itself, so nothing has to be collected
    try:
        served.service.use(
            served.service.registry.load(served.get("/v1/models/previous")["version"])
        )
        assert again() is None
    finally:
        gc.enable()


def test_a_version_whose_code_has_changed_is_used_and_says_so(serve, rl, tmp_path, monkeypatch):
    code, config = tmp_path / "code_under_change.py", tmp_path / "experiment.yaml"
    code.write_text(CODE, encoding="utf-8")
    config.write_text(CODE_CONFIG, encoding="utf-8")
    assert rl("train", config, "-q").exit_code == 0
    (run,) = (tmp_path / "runs").glob("*/seed-0")
    served = serve(run, env="code_under_change:Pole-v0")
    assert served.post("/v1/models/champion/promote")["note"] == ""
    # In the process that has imported it, a changed source is refused.
    code.write_text(CODE + "CHANGED = True\n", encoding="utf-8")
    problem = served.post("/v1/models/champion/promote", status=409)
    assert "has changed while this process" in problem["detail"]
    served.close()
    # After a restart it is used, and everybody is told.
    monkeypatch.setattr(local_code, "_first_hash", {})
    served = serve(run, env="code_under_change:Pole-v0")
    info = served.post("/v1/models/champion/promote")
    assert "`code_under_change` has changed" in info["note"]
    assert "`code_under_change` has changed" in served.http.get("/").text
    # If its answers are other ones too, the message does not blame the files.
    right = AgentModel.answers
    monkeypatch.setattr(AgentModel, "answers", lambda *given: right(*given) + 1)
    problem = served.post("/v1/models/champion/promote", status=409)
    assert "Restore the code" in problem["detail"]


def test_a_version_that_disappears_is_noticed(served, second):
    shutil.rmtree(folder_of(served, second))
    problem = served.post(f"/v1/models/{second}/promote", status=409)
    assert "damaged" in problem["detail"]
    assert served.decide()["model_version"] != second


@pytest.mark.parametrize("run", ["nowhere", "a\0b", "x" * 1000, "/dev/null", "serve", "\u202e"])
def test_what_is_not_a_run_is_not_registered(served, run):
    assert served.post("/v1/models", {"run": run}, 409)["detail"]
    assert len(served.get("/v1/models")["versions"]) == 1


def test_a_version_is_removed_unless_it_is_used(served, second):
    assert "in use" in served.http.request("DELETE", "/v1/models/champion").json()["detail"]
    assert served.http.request("DELETE", f"/v1/models/{second}").status_code == 204
    assert not folder_of(served, second).exists()
    served.get(f"/v1/models/{second}", 404)


def test_a_removed_version_can_be_registered_again(served, second, log_runs):
    served.http.request("DELETE", f"/v1/models/{second}")
    assert served.post("/v1/models", {"run": str(log_runs[1])}, 201)["version"] == second
    assert read_artifact(folder_of(served, second)).version == second


def test_no_request_fails_while_versions_are_swapped(served, second):
    first = served.service.snapshot.version
    loaded = [served.service.registry.load(version) for version in (first, second)]
    body = {"user_id": "u", "session_id": "s", "context": served.service.example()}

    async def swap():
        for i in range(60):
            served.service.use(loaded[i % 2])
            await asyncio.sleep(0.001)

    async def ask():
        client = served.http.client
        return [await client.post("/v1/decisions", json=body) for _ in range(20)]

    async def both():
        return await asyncio.gather(swap(), *(ask() for _ in range(5)))

    answers = [answer for part in served.http.runner.run(both())[1:] for answer in part]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["model_version"] for answer in answers} == {first, second}
    steps = sorted(answer.json()["step"] for answer in answers)
    assert steps == list(range(100))


def test_only_one_server_uses_a_sqlite_store(serve, log_runs):
    serve(log_runs[0], storage="sqlite:///one.db")
    with pytest.raises(RunFolderError, match="Another server"):
        serve(log_runs[0], storage="sqlite:///one.db")


def test_several_servers_share_a_postgresql_store(serve, log_runs):
    first = serve(log_runs[0])
    if first.config.storage is None:
        pytest.skip("RL_RUNNER_TEST_POSTGRES does not name a server")
    servers = [first, serve(log_runs[0])]
    steps = [servers[i % 2].decide(event_id=f"e{i}")["step"] for i in range(6)]
    assert steps == list(range(6))
    assert servers[1].decide(event_id="e0") == servers[0].decide(event_id="e0")


def test_a_connection_that_the_database_has_closed_is_replaced(serve, log_runs):
    served = serve(log_runs[0])
    if served.config.storage is None:
        pytest.skip("RL_RUNNER_TEST_POSTGRES does not name a server")
    served.decide(event_id="e0")
    with served.service.store.reading.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert served.decide(event_id="e1")["step"] == 1
    assert served.decide(event_id="e0")["step"] == 0
    assert served.get("/readyz") == {"status": "ok", "reason": ""}


def test_a_store_of_a_newer_version_or_another_domain_is_refused(served, serve, log_runs):
    served.close()
    with pytest.raises(ConfigError, match="not about env:"):
        serve(log_runs[0], env="CartPole-v1")
    engine = create_engine(served.config.store.url)
    with engine.begin() as connection:
        connection.execute(
            service.update().where(service.c.key == "store_version").values(value="99")
        )
    engine.dispose()
    with pytest.raises(DataError, match="never converted back"):
        serve(log_runs[0])


def test_a_policy_by_confidence_bounds_is_served_with_its_bonus(serve, rl, tmp_path):
    config = tmp_path / "experiment.yaml"
    config.write_text(UCB, encoding="utf-8")
    plan = ["--interactions", 300, "--out", "log.parquet"]
    assert rl("simulate", config, *plan).exit_code == 0
    assert rl("train", config, "-q").exit_code == 0
    (run,) = (tmp_path / "runs").glob("*/seed-0")
    learner = load_trained(run).learner
    served = serve(run, exploration={"epsilon": 0})
    context = served.service.example()
    chosen = {}
    for mood in ("neutral", "happy", "sad", "anxious", "calm", "relaxed", "energetic"):
        state = state_of({**context, "mood": mood})
        chosen[mood] = served.decide(context={**context, "mood": mood})["action"]
        assert learner.policy(np.array([state]))[0, chosen[mood]] == 1.0
    greedy = learner.q_values(np.array([state_of({**context, "mood": m}) for m in chosen]))
    assert list(chosen.values()) != greedy.argmax(axis=1).tolist()
