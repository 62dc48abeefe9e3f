import gc
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import torch
from sb3_contrib import ARS
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import unwrap_vec_normalize

from rl_runner.agents.build import build_agent
from rl_runner.agents.registry import find_algorithm
from rl_runner.envs import build_training_env
from rl_runner.envs.normalization import statistics
from rl_runner.errors import CheckpointError, RunFolderError
from rl_runner.evaluation.play.loaded_run import evaluate, load_run
from rl_runner.runs.folder import RunFolder
from rl_runner.seeding import SeedTree

ALGORITHMS = ["ppo", "ars", "sac", "reinforce", "q_learning"]
WEIGHTS = {"ppo": "model.zip", "reinforce": "policy.pt", "q_learning": "q_table.npz"}

Trained = Any  # the dataclass of conftest.py
GetTrained = Callable[[str], Trained]


@pytest.fixture
def copy_of(trained: GetTrained, tmp_path: Path) -> Callable[[str], Path]:
    """Copy a finished run's experiment, so that a test may damage it."""

    def copy(name: str) -> Path:
        run: Path = trained(name).path
        experiment = tmp_path / run.parent.name
        shutil.copytree(run.parent, experiment)
        return experiment / run.name

    return copy


# --- what comes back ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*ALGORITHMS, "normalized"])
def test_a_loaded_run_acts_as_the_trained_agent_did(trained: GetTrained, name: str):
    before = trained(name)
    run = load_run(before.path)
    actions, _ = run.agent.predict(before.observations, deterministic=True)
    np.testing.assert_array_equal(actions, before.actions)

    env = build_training_env(run.config.env, run.config.algo, SeedTree(run.seed))
    algorithm = find_algorithm(run.config.algo.name)
    fresh = build_agent(algorithm, run.config.algo.hyperparameters, env, SeedTree(run.seed).model)
    untrained, _ = fresh.predict(before.observations, deterministic=True)
    env.close()
    assert not np.array_equal(untrained, before.actions)


@pytest.mark.parametrize(("name", "algorithm"), [("ppo", PPO), ("sac", SAC), ("ars", ARS)])
def test_stock_sb3_loads_the_model_and_acts_the_same(
    trained: GetTrained, name: str, algorithm: Any
):
    before = trained(name)
    model = algorithm.load(before.path / "model.zip", device="cpu")
    actions, _ = model.predict(before.observations, deterministic=True)
    np.testing.assert_array_equal(actions, before.actions)


def test_a_loaded_run_knows_where_it_comes_from(trained: GetTrained):
    before = trained("ppo")
    run = load_run(str(before.path))
    assert run.path == before.path
    assert run.seed == 3
    assert run.checkpoint == "last"
    assert run.config.algo.name == "ppo"
    assert run.record == before.run.record


def test_the_best_agent_is_the_one_at_its_timestep(copy_of: Callable[[str], Path]):
    path = copy_of("q_learning")
    with np.load(path / "q_table.npz") as file:
        arrays = dict(file)
    arrays["q_table"] = np.random.default_rng(0).random(arrays["q_table"].shape)

    def save(folder: Path) -> None:
        shutil.copy(path / "agent.json", folder)
        np.savez(folder / "q_table.npz", **arrays)

    RunFolder(path, "q_table.npz").agents.save_best(7, save)
    best: Any = load_run(path, "best").agent
    last: Any = load_run(path).agent
    np.testing.assert_array_equal(best.q_table, arrays["q_table"])
    assert not np.array_equal(last.q_table, arrays["q_table"])


def test_a_loaded_ars_agent_continues_from_the_weights_of_its_policy(trained: GetTrained):
    agent: Any = load_run(trained("ars").path).agent
    flat = torch.nn.utils.parameters_to_vector(agent.policy.parameters())
    assert torch.equal(agent.weights, flat)
    assert flat.abs().sum() > 0  # it begins at zero


def test_a_loaded_agent_answers_for_a_single_observation(trained: GetTrained):
    before = trained("ppo")
    action, _ = load_run(before.path).agent.predict(before.observations[5], deterministic=True)
    assert action == before.actions[5]


# --- evaluation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*ALGORITHMS, "normalized"])
def test_evaluating_a_run_repeats_its_final_result(trained: GetTrained, name: str):
    before = trained(name)
    episodes = evaluate(before.path)
    assert episodes.seeds.tolist() == SeedTree(3).final_evaluation(5)
    assert episodes.mean_reward == before.results["last"]["mean_reward"]
    assert episodes.std_reward == before.results["last"]["std_reward"]
    assert episodes.lengths.mean() == before.results["last"]["mean_ep_length"]


@pytest.mark.parametrize("name", [*ALGORITHMS, "normalized"])
def test_evaluating_the_best_agent_repeats_its_final_result(trained: GetTrained, name: str):
    before = trained(name)
    episodes = load_run(before.path, "best").evaluate()
    assert episodes.mean_reward == before.results["best"]["mean_reward"]


@pytest.mark.parametrize("name", ["stochastic", "gsde"])
def test_evaluating_a_stochastic_policy_repeats_its_final_result(trained: GetTrained, name: str):
    before = trained(name)
    for checkpoint in ("last", "best"):
        episodes = load_run(before.path, checkpoint).evaluate(deterministic=False)  # type: ignore[arg-type]
        assert episodes.mean_reward == before.results[checkpoint]["mean_reward"]


def test_evaluation_plays_as_the_config_says_by_default(trained: GetTrained):
    before = trained("stochastic")
    episodes = evaluate(before.path)
    assert episodes.mean_reward == before.results["last"]["mean_reward"]


def test_more_episodes_begin_with_those_of_the_final_evaluation(trained: GetTrained):
    run = load_run(trained("q_learning").path)
    few, more = run.evaluate(5), run.evaluate(12)
    assert len(more.returns) == 12
    assert more.returns[:5].tolist() == few.returns.tolist()
    assert more.seeds[:5].tolist() == few.seeds.tolist()
    assert run.evaluate(1).returns.tolist() == few.returns[:1].tolist()


def test_evaluating_twice_gives_the_same(trained: GetTrained):
    run = load_run(trained("ppo").path)
    for deterministic in (True, False):
        first = run.evaluate(6, deterministic=deterministic)
        assert evaluate(run, 6, deterministic=deterministic).returns.tolist() == (
            first.returns.tolist()
        )


def test_a_normalised_run_is_evaluated_with_its_own_statistics(copy_of: Callable[[str], Path]):
    path = copy_of("normalized")
    run = load_run(path)
    vec_normalize = run.agent.get_vec_normalize_env()
    assert vec_normalize is not None
    with np.load(path / "normalization.npz", allow_pickle=False) as file:
        saved = dict(file)
    assert set(saved) == set(statistics(vec_normalize))
    for name, array in statistics(vec_normalize).items():
        np.testing.assert_array_equal(array, saved[name])
    assert saved["obs/count"] > 256  # it did see the training observations

    own = run.evaluate()
    saved["obs/mean"] = saved["obs/mean"] + 3.0
    np.savez(path / "normalization.npz", **saved)
    assert evaluate(path).returns.tolist() != own.returns.tolist()


def test_evaluating_leaves_the_statistics_of_a_run_alone(trained: GetTrained):
    run = load_run(trained("normalized").path)
    vec_normalize = unwrap_vec_normalize(run.agent.get_env())  # type: ignore[arg-type]
    assert vec_normalize is not None
    before = {name: array.copy() for name, array in statistics(vec_normalize).items()}
    run.evaluate()
    for name, array in statistics(vec_normalize).items():
        np.testing.assert_array_equal(array, before[name])


# --- nothing is unpickled -------------------------------------------------------------------------


@pytest.fixture
def forbid_pickle(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """From the call on every way to unpickle fails; the list gets torch's safe loads.

    Training comes before: it loads its checkpoints, and the compiler its own pickled code.
    """
    safe_loads: list[str] = []
    torch_load = torch.load

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("something was unpickled")

    def load_weights_only(*arguments: Any, weights_only: bool = False, **keywords: Any) -> Any:
        assert weights_only
        safe_loads.append("torch.load")
        return torch_load(*arguments, weights_only=True, **keywords)

    def forbid() -> list[str]:
        for module in (pickle, cloudpickle):
            for name in ("load", "loads"):
                monkeypatch.setattr(module, name, refuse)
        for name in ("Unpickler", "_Unpickler", "_load", "_loads"):
            monkeypatch.setattr(pickle, name, refuse)
        monkeypatch.setattr(torch, "load", load_weights_only)
        return safe_loads

    return forbid


@pytest.mark.parametrize("name", [*ALGORITHMS, "normalized"])
@pytest.mark.parametrize("checkpoint", ["last", "best"])
def test_loading_a_run_unpickles_nothing(
    trained: GetTrained, forbid_pickle: Callable[[], list[str]], name: str, checkpoint: Any
):
    path = trained(name).path
    safe_loads = forbid_pickle()
    run = load_run(path, checkpoint)
    assert run.evaluate(1).seeds.tolist() == SeedTree(3).final_evaluation(1)
    assert bool(safe_loads) == (name != "q_learning")


def test_the_guard_against_pickle_would_notice(
    trained: GetTrained, forbid_pickle: Callable[[], list[str]]
):
    path = trained("ppo").path / "model.zip"
    safe_loads = forbid_pickle()
    with pytest.raises(pytest.fail.Exception, match="unpickled"):
        PPO.load(path, device="cpu")
    assert safe_loads == []


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_pickle_in_place_of_the_weights_is_refused_and_never_run(
    copy_of: Callable[[str], Path], tmp_path: Path, name: str
):
    path = copy_of(name)
    bomb = pickle.dumps(Bomb(tmp_path / "exploded"), protocol=2)  # what torch writes
    weights = path / WEIGHTS[name]
    if weights.suffix == ".zip":
        with zipfile.ZipFile(weights) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(weights, "w") as archive:
            for member, content in members.items():
                archive.writestr(member, bomb if member == "policy.pth" else content)
    else:
        weights.write_bytes(bomb)
    with pytest.raises(CheckpointError):
        load_run(path)
    assert not (tmp_path / "exploded").exists()


# --- damage ---------------------------------------------------------------------------------------


def _damage(file: Path, kind: str) -> None:
    whole = file.read_bytes()
    match kind:
        case "missing":
            file.unlink()
        case "empty":
            file.write_bytes(b"")
        case "truncated":
            file.write_bytes(whole[: len(whole) // 2])
        case "beginning":
            file.write_bytes(whole[:100])
        case "text":
            file.write_text("these are not the weights you are looking for")
        case "binary":
            file.write_bytes(bytes(range(256)) * 10)
        case "folder":
            file.unlink()
            file.mkdir()


DAMAGES = ["missing", "empty", "truncated", "beginning", "text", "binary", "folder"]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", WEIGHTS)
def test_damaged_weights_are_a_checkpoint_problem(
    copy_of: Callable[[str], Path], name: str, damage: str
):
    path = copy_of(name)
    _damage(path / WEIGHTS[name], damage)
    with pytest.raises(CheckpointError) as caught:
        load_run(path)
    gc.collect()  # a file that was left open is this test's fault, not a later one's
    (problem,) = caught.value.problems
    assert problem.where in {str(path), str(path / WEIGHTS[name])}
    assert problem.cure


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_statistics_are_a_checkpoint_problem(copy_of: Callable[[str], Path], damage: str):
    path = copy_of("normalized")
    _damage(path / "normalization.npz", damage)
    with pytest.raises(CheckpointError) as caught:
        load_run(path)
    gc.collect()
    assert caught.value.problems[0].where == str(path / "normalization.npz")


def test_an_agent_of_an_older_version_is_to_be_trained_again(copy_of: Callable[[str], Path]):
    path = copy_of("ppo")
    (path / "agent.json").unlink()
    with pytest.raises(CheckpointError, match="an old version saved this agent") as caught:
        load_run(path)
    assert "Train it again" in (caught.value.problems[0].cure or "")


def test_statistics_of_other_observations_are_a_checkpoint_problem(
    copy_of: Callable[[str], Path],
):
    path = copy_of("normalized")
    np.savez(path / "normalization.npz", **{"returns/mean": np.array(0.0)})
    with pytest.raises(CheckpointError):
        load_run(path)


def test_statistics_of_another_shape_are_a_checkpoint_problem(copy_of: Callable[[str], Path]):
    path = copy_of("normalized")
    with np.load(path / "normalization.npz") as file:
        arrays = dict(file)
    arrays["obs/mean"], arrays["obs/var"] = np.zeros(5), np.ones(5)
    np.savez(path / "normalization.npz", **arrays)
    with pytest.raises(CheckpointError):
        load_run(path)


def test_a_table_of_another_size_is_a_checkpoint_problem(copy_of: Callable[[str], Path]):
    path = copy_of("q_learning")
    with np.load(path / "q_table.npz") as file:
        arrays = dict(file)
    np.savez(path / "q_table.npz", **{**arrays, "q_table": np.zeros((64, 4))})
    with pytest.raises(CheckpointError, match="64"):
        load_run(path)


def test_visits_of_another_size_are_a_checkpoint_problem(copy_of: Callable[[str], Path]):
    path = copy_of("q_learning")
    with np.load(path / "q_table.npz") as file:
        arrays = dict(file)
    np.savez(path / "q_table.npz", **{**arrays, "visits": np.zeros((64, 4))})
    with pytest.raises(CheckpointError):
        load_run(path)


def test_a_file_that_torch_reads_but_holds_no_policy_is_a_checkpoint_problem(
    copy_of: Callable[[str], Path],
):
    path = copy_of("reinforce")
    for contents in ([1, 2], {"policy": 3}, {}):
        torch.save(contents, path / "policy.pt")
        with pytest.raises(CheckpointError):
            load_run(path)


def test_weights_of_another_architecture_are_a_checkpoint_problem(
    trained: GetTrained, copy_of: Callable[[str], Path]
):
    path = copy_of("ppo")
    for other in ("sac", "normalized"):
        shutil.copy(trained(other).path / "model.zip", path / "model.zip")
        with pytest.raises(CheckpointError):
            load_run(path)


def test_a_missing_best_agent_is_a_checkpoint_problem(copy_of: Callable[[str], Path]):
    path = copy_of("ppo")
    shutil.rmtree(path / "checkpoints")
    with pytest.raises(CheckpointError, match="`best`"):
        load_run(path, "best")
    assert load_run(path).checkpoint == "last"


# --- not a run ------------------------------------------------------------------------------------


def test_an_experiment_is_not_a_run(trained: GetTrained):
    with pytest.raises(RunFolderError, match="not a run") as caught:
        load_run(trained("ppo").path.parent)
    assert "seed-" in caught.value.problems[0].cure


def test_a_folder_that_is_not_there_is_not_a_run(tmp_path: Path):
    with pytest.raises(RunFolderError, match="not a run"):
        load_run(tmp_path / "runs" / "seed-0")


def test_a_seed_that_was_never_trained_is_not_a_run(trained: GetTrained):
    with pytest.raises(RunFolderError, match="never started"):
        load_run(trained("ppo").path.parent / "seed-99")


@pytest.mark.parametrize("record", ["{", "[]", '{"status": "finished"}', '{"seed": "three"}'])
def test_a_run_with_a_damaged_record_is_a_run_folder_problem(
    copy_of: Callable[[str], Path], record: str
):
    path = copy_of("q_learning")
    (path / "run.json").write_text(record)
    with pytest.raises(RunFolderError):
        load_run(path)


def test_a_run_is_loaded_from_inside_its_own_folder(
    trained: GetTrained, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(trained("q_learning").path)
    assert load_run(".").seed == 3
