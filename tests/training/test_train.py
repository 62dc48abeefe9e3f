import csv
import itertools
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from rl_runner import Reporter, config_from_dict, train
from rl_runner.config import ExperimentConfig, dump_config, experiment_hash, load_config
from rl_runner.errors import ConfigError, EnvError, RunFolderError
from rl_runner.evaluation.play.loaded_run import evaluate
from rl_runner.runs.folder import ExperimentFolder
from rl_runner.runs.record import RunRecord, write_record
from rl_runner.seeding import SeedTree
from rl_runner.training.experiment import ExperimentResult
from rl_runner.training.reporting import RunId
from rl_runner.training.resolve import resolve
from rl_runner.training.task import RunResult

Trained = Callable[[str], ExperimentResult]
ConfigOf = Callable[..., ExperimentConfig]
Diary = Any  # the environment class of conftest.py
Witness = Any  # the reporter of conftest.py

DIARY = {
    "env": {"id": "TrainingTestDiary-v0"},
    "algo": {"name": "q_learning"},
    "train": {"total_timesteps": 60, "seeds": [0]},
    "eval": {"every": 20, "n_episodes": 3, "final_episodes": 4, "n_envs": 2},
    "checkpoint": {"every": 10_000},
}


def _strict_json(path: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not JSON")

    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    return record


def _episodes(path: Path) -> list[tuple[int, float, int, int]]:
    with (path / "episodes.csv").open(encoding="utf-8") as file:
        return [
            (int(row["timestep"]), float(row["return"]), int(row["length"]), int(row["terminated"]))
            for row in csv.DictReader(file)
        ]


def _diary_config(**sections: dict[str, Any]) -> ExperimentConfig:
    raw = {"name": "diary", **DIARY}
    for section, changes in sections.items():
        raw[section] = {**DIARY[section], **changes}
    return config_from_dict(raw)


# --- what is on disk ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "agent_files"),
    [
        ("q_learning", {"agent.json", "q_table.npz"}),
        ("ppo", {"agent.json", "model.zip"}),
        ("reinforce", {"agent.json", "policy.pt"}),
        ("normalized", {"agent.json", "model.zip", "normalization.npz"}),
    ],
)
def test_a_run_folder_holds_exactly_what_the_architecture_says(
    trained: Trained, name: str, agent_files: set[str]
):
    result = trained(name)
    run = result.runs[0].path
    assert result.path.name == f"{name}-{result.hash}"
    assert {entry.name for entry in result.path.iterdir()} == {"config.yaml", "seed-0"}
    files = {str(file.relative_to(run)) for file in run.rglob("*") if file.is_file()}
    (events,) = (file for file in files if file.startswith("events.out.tfevents"))
    best = (run / "checkpoints" / "best").read_text().strip()
    places = [place.name for place in (run / "checkpoints").iterdir()]
    whole = [place for place in places if place.isdigit()]
    assert whole
    # Of the others the first checkpoint is the last, or comes before half of the budget.
    halfway = ["half-200"] if name == "q_learning" else []
    assert [place for place in places if place.startswith("half-")] == halfway
    state = {"state.json", "random.npz", "evaluations.npz", "progress.json", "checksums.json"}
    assert files == {
        ".lock",
        "run.json",
        "log.txt",
        "episodes.csv",
        "evaluations.npz",
        events,
        "checkpoints/best",
        *agent_files,
        *(
            f"checkpoints/{place}/{file}"
            for place in (best, *halfway)
            for file in agent_files | {"checksums.json"}
        ),
        *(f"checkpoints/{t}/{file}" for t in whole for file in agent_files | state),
    }


def test_the_config_on_disk_is_complete_and_reproduces_the_experiment(
    trained: Trained, config_of: ConfigOf
):
    result = trained("ppo")
    loaded = load_config(result.path)
    assert loaded == resolve(config_of("ppo")).config
    assert loaded.env.time_limit == 500
    assert loaded.algo.hyperparameters["gamma"] == 0.99
    assert experiment_hash(loaded) == result.hash
    assert load_config(result.path / "config.yaml") == loaded


def test_training_the_config_on_disk_finds_the_run_finished(trained: Trained, witness: Witness):
    result = trained("q_learning")
    again = train(result.path / "config.yaml", runs_dir=result.path.parent, reporter=witness)
    assert again.path == result.path
    assert again.runs[0].record == result.runs[0].record
    assert witness.reports("run_started") == []


# --- run.json -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["q_learning", "ppo", "reinforce", "normalized"])
def test_the_record_says_what_was_run_and_where(trained: Trained, name: str):
    result = trained(name).runs[0]
    record = _strict_json(result.path / "run.json")
    assert record == result.record.to_json()
    assert set(record) - {"heartbeat", "vec_reason"} == {  # not every run has these
        *("format", "status", "name", "config_hash", "env", "algo", "engine", "seed", "started"),
        *("finished",),
        *("seconds", "training_seconds", "command", "versions", "git", "machine", "timesteps"),
        *("results", "vec"),
    }
    assert record["engine"] == "fast"
    if record["env"] == "CartPole-v1":
        assert record["vec"] == "batched"
        assert "vec_reason" not in record
    else:
        assert (record["vec"], record["vec_reason"]) == ("dummy", "it has no batched version")
    assert record["format"] == 1
    assert record["status"] == result.status == "finished"
    assert (record["name"], record["seed"]) == (name, 0)
    assert record["algo"] == ("ppo" if name == "normalized" else name)
    assert record["env"] in {"FrozenLake-v1", "CartPole-v1"}
    assert record["versions"]["python"] == platform.python_version()
    assert record["versions"]["gymnasium"] == gym.__version__
    assert record["machine"]["cores"] == os.cpu_count()
    assert record["git"] is None or set(record["git"]) == {"of", "commit", "dirty"}
    assert record["command"]
    started, finished = (datetime.fromisoformat(record[key]) for key in ("started", "finished"))
    assert 0 <= (finished - started).total_seconds() <= record["seconds"] + 1
    assert record["seconds"] > 0


@pytest.mark.parametrize("name", ["q_learning", "ppo", "reinforce", "normalized"])
def test_the_results_are_those_of_the_evaluations(trained: Trained, name: str):
    run = trained(name).runs[0]
    last, best = run.record.last, run.record.best
    assert set(run.record.to_json()["results"]) == {"last", "best"}
    assert last.n_episodes == best.n_episodes == 3
    assert run.mean_reward == last.mean_reward

    with np.load(run.path / "evaluations.npz") as file:
        timesteps, means = file["timesteps"], file["returns"].mean(axis=1)
    assert best.periodic_mean_reward == means.max()
    assert best.timesteps == timesteps[means.argmax()]
    assert best.selection_optimism == means.max() - best.mean_reward
    assert (run.path / "checkpoints" / "best").read_text() == f"best-{best.timesteps}\n"

    held_out = evaluate(run.path)
    assert last.mean_reward == held_out.returns.mean()
    assert last.std_reward == held_out.returns.std(ddof=1)
    assert last.mean_ep_length == held_out.lengths.mean()


def test_the_timesteps_of_the_record_are_those_of_the_whole_training(trained: Trained):
    assert trained("q_learning").runs[0].record.timesteps == 300
    assert trained("ppo").runs[0].record.timesteps == 256
    assert trained("normalized").runs[0].record.timesteps == 192
    reinforce = trained("reinforce").runs[0]
    assert reinforce.record.timesteps >= 200
    with np.load(reinforce.path / "evaluations.npz") as file:
        assert reinforce.record.timesteps == file["timesteps"][-1]


def test_the_success_rate_is_reported_where_the_environment_tells(tmp_path: Path):
    config = config_from_dict(
        {
            "env": {"id": "BitFlipping-v0", "kwargs": {"n_bits": 2}},
            "algo": {
                "name": "dqn",
                "learning_starts": 10,
                "policy_kwargs": {"net_arch": [4]},
            },
            "train": {"total_timesteps": 30, "seeds": [0]},
            "eval": {"n_episodes": 2, "final_episodes": 20},
        }
    )
    (run,) = train(config, runs_dir=tmp_path).runs
    assert run.status == "finished", run.record.traceback
    rate = run.record.last.success_rate
    assert 0 < rate <= 1
    assert (rate * 20) % 1 == pytest.approx(0, abs=1e-9)
    assert run.record.best.success_rate is not None


def test_without_successes_there_is_no_success_rate(trained: Trained):
    assert trained("ppo").runs[0].record.last.success_rate is None


# --- evaluations.npz ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "timesteps"),
    [
        ("q_learning", [0, 100, 200, 300]),
        ("ppo", [0, 100, 200, 256]),
        ("normalized", [0, 100, 192]),
    ],
)
def test_evaluations_come_at_the_start_at_the_multiples_and_at_the_end(
    trained: Trained, name: str, timesteps: list[int]
):
    with np.load(trained(name).runs[0].path / "evaluations.npz", allow_pickle=False) as file:
        arrays = dict(file)
    n = len(timesteps)
    assert arrays["timesteps"].tolist() == timesteps
    assert {key: array.shape for key, array in arrays.items()} == {
        "timesteps": (n,),
        "returns": (n, 2),
        "lengths": (n, 2),
        "successes": (n, 2),
        "seeds": (2,),
        "exact": (n if name == "q_learning" else 0,),
    }
    assert arrays["seeds"].tolist() == SeedTree(0).evaluation(2)


def test_environments_are_reset_on_the_seeds_of_their_purpose(tmp_path: Path, diary: Diary):
    config = _diary_config(env={"n_envs": 2})
    (run,) = train(config, runs_dir=tmp_path, seeds=[5]).runs
    assert run.status == "finished", run.record.traceback
    tree = SeedTree(5)
    by_copy = [[s for s in seeds if s is not None] for seeds in diary.seeds if seeds]
    training = [seeds for seeds in by_copy if seeds[0] in tree.train_envs(2)]
    assert training == [[seed] for seed in tree.train_envs(2)]  # afterwards the generator runs on
    evaluation, final = tree.evaluation(3), tree.final_evaluation(4)
    assert [seeds for seeds in by_copy if seeds not in training] == [
        [evaluation[0], evaluation[2]] * 4,  # at 0, 20, 40 and 60 timesteps
        [evaluation[1]] * 4,
        [final[0], final[2]] * 2,  # the last agent's and the best's
        [final[1], final[3]] * 2,
    ]


# --- episodes.csv ---------------------------------------------------------------------------------


def _as_recorded(diary: Diary, train_seeds: list[int]) -> list[tuple[int, float, int, int]]:
    """Write down the training episodes that ended, as episodes.csv should have them."""
    expected = []
    for copy, seed in enumerate(train_seeds):
        (index,) = (i for i, seeds in enumerate(diary.seeds) if seeds and seeds[0] == seed)
        steps = 0
        for played in diary.episodes[index]:
            length = len(played.rewards)
            steps += length
            if played.terminated or length == 6:
                timestep = steps * len(train_seeds)
                row = (timestep, sum(played.rewards), length, int(played.terminated))
                expected.append((timestep, copy, row))
    return [row for _, _, row in sorted(expected)]


@pytest.mark.parametrize(
    ("n_envs", "algo"),
    [
        (1, {"name": "q_learning"}),
        (3, {"name": "q_learning"}),
        (1, {"name": "ars", "policy": "LinearPolicy", "n_delta": 2}),
        (1, {"name": "reinforce", "n_episodes": 4}),
        (2, {"name": "ppo", "n_steps": 16, "batch_size": 32, "n_epochs": 1}),
    ],
)
def test_every_training_episode_is_recorded_as_the_environment_saw_it(
    tmp_path: Path, diary: Diary, n_envs: int, algo: dict[str, Any]
):
    raw = {**DIARY, "env": {**DIARY["env"], "n_envs": n_envs}, "algo": algo}  # type: ignore[dict-item]
    raw["train"] = {"total_timesteps": 240, "seeds": [2]}
    (run,) = train(config_from_dict(raw), runs_dir=tmp_path).runs
    assert run.status == "finished", run.record.traceback
    rows = _episodes(run.path)
    assert rows == _as_recorded(diary, SeedTree(2).train_envs(n_envs))
    assert {terminated for *_, terminated in rows} == {0, 1}
    assert all(length == 6 for _, _, length, terminated in rows if not terminated)
    assert rows[-1][0] <= run.record.timesteps <= rows[-1][0] + 6 * n_envs


def test_an_episode_that_ends_on_its_last_step_by_itself_was_terminated(
    tmp_path: Path, diary: Diary
):
    (run,) = train(_diary_config(train={"total_timesteps": 900}), runs_dir=tmp_path).runs
    assert run.status == "finished"
    ends = {terminated for _, _, length, terminated in _episodes(run.path) if length == 6}
    assert ends == {0, 1}
    assert _episodes(run.path) == _as_recorded(diary, SeedTree(0).train_envs(1))


@pytest.mark.usefixtures("diary")
def test_episodes_have_their_time_since_the_beginning(tmp_path: Path):
    (run,) = train(_diary_config(), runs_dir=tmp_path).runs
    with (run.path / "episodes.csv").open() as file:
        times = [float(row["wall_time"]) for row in csv.DictReader(file)]
    assert times == sorted(times)
    assert 0 <= times[0] <= times[-1] <= run.record.seconds


# --- the same numbers again -----------------------------------------------------------------------

SameNumbers = Callable[[Path, Path], None]


@pytest.mark.parametrize("name", ["cliff", "ppo", "normalized"])
def test_the_same_seed_gives_the_same_numbers(
    tmp_path: Path, trained: Trained, config_of: ConfigOf, same_numbers: SameNumbers, name: str
):
    before = trained(name).runs[0]
    (again,) = train(config_of(name), runs_dir=tmp_path).runs
    same_numbers(before.path, again.path)
    assert again.record.results == before.record.results


def test_another_seed_gives_other_numbers(trained: Trained, config_of: ConfigOf, tmp_path: Path):
    (other,) = train(config_of("ppo"), runs_dir=tmp_path, seeds=[1]).runs
    assert _episodes(other.path) != _episodes(trained("ppo").runs[0].path)


@pytest.mark.parametrize("name", ["cliff", "ppo", "normalized"])
def test_evaluating_more_often_does_not_change_training(
    tmp_path: Path, trained: Trained, config_of: ConfigOf, name: str
):
    evaluation = {"every": 16, "n_episodes": 3, "n_envs": 1, "deterministic": False}
    (run,) = train(config_of(name, eval=evaluation), runs_dir=tmp_path).runs
    assert run.status == "finished", run.record.traceback
    assert _episodes(run.path) == _episodes(trained(name).runs[0].path)


# --- log.txt ---


def test_the_log_says_how_the_run_went(trained: Trained):
    run = trained("q_learning").runs[0]
    lines = (run.path / "log.txt").read_text(encoding="utf-8").splitlines()
    said = [line.partition(" ")[2] for line in lines]  # without the time
    assert said[0] == "q_learning seed 0: q_learning on FrozenLake-v1, 300 timesteps"
    evaluated = [line for line in said if "evaluation" in line]
    assert [line.partition(" ")[0] for line in evaluated] == ["100", "200", "300"]
    assert said[-1].startswith(f"finished: mean reward {run.mean_reward:.6g} in ")
    times = [datetime.fromisoformat(line.partition(" ")[0]) for line in lines]
    assert times == sorted(times)


def test_a_finished_run_is_left_to_say_so(tmp_path: Path, config_of: ConfigOf):
    config = config_of("cliff")
    assert not train(config, runs_dir=tmp_path).runs[0].was_finished
    log = tmp_path / train(config, runs_dir=tmp_path).runs[0].path / "log.txt"
    before = log.read_text(encoding="utf-8")
    assert train(config, runs_dir=tmp_path).runs[0].was_finished
    assert log.read_text(encoding="utf-8") == before


# --- idempotence ----------------------------------------------------------------------------------


def test_finished_seeds_are_kept_and_missing_ones_are_added(
    tmp_path: Path, config_of: ConfigOf, witness: Witness
):
    config = config_of("cliff")
    first = train(config, runs_dir=tmp_path)
    before = {file: file.stat().st_mtime_ns for file in first.runs[0].path.rglob("*")}
    more = train(config, runs_dir=tmp_path, seeds=[2, 0], reporter=witness)
    assert witness.reports("run_started") == [2]
    assert witness.reports("run_ended") == [(2, "finished"), (0, "finished")]
    assert more.path == first.path
    assert [run.seed for run in more.runs] == [2, 0]
    assert more.runs[1].record == first.runs[0].record
    after = {file: file.stat().st_mtime_ns for file in first.runs[0].path.rglob("*")}
    assert {f: t for f, t in after.items() if f.name != ".lock"} == {
        f: t for f, t in before.items() if f.name != ".lock"
    }
    assert load_config(first.path).train.seeds == (0, 2)


def test_fresh_trains_finished_seeds_again(
    tmp_path: Path, config_of: ConfigOf, witness: Witness, same_numbers: SameNumbers
):
    (first,) = train(config_of("cliff"), runs_dir=tmp_path / "a").runs
    litter = first.path / "checkpoints" / "99999"
    litter.mkdir()
    (first.path / "notes.txt").write_text("mine")
    (kept,) = train(config_of("cliff"), runs_dir=tmp_path / "b").runs
    (again,) = train(config_of("cliff"), runs_dir=tmp_path / "a", fresh=True, reporter=witness).runs
    assert witness.reports("run_started") == [0]
    assert not litter.exists()
    assert not (first.path / "notes.txt").exists()
    assert len(list(first.path.glob("events.out.tfevents*"))) == 1
    same_numbers(again.path, kept.path)


def test_a_changed_config_gets_a_folder_of_its_own(tmp_path: Path, config_of: ConfigOf):
    one = train(config_of("cliff"), runs_dir=tmp_path)
    other = train(config_of("cliff", algo={"gamma": 0.9}), runs_dir=tmp_path)
    assert one.path != other.path
    assert (one.name, other.name) == ("cliff", "cliff")
    assert one.hash != other.hash


@pytest.mark.parametrize(
    ("seeds", "message"),
    [([], "at least 1 seed"), ([0, 0], "listed twice"), ([-1], "greater than or equal to 0")],
)
def test_seeds_that_the_config_would_refuse_are_refused(
    tmp_path: Path, config_of: ConfigOf, seeds: list[int], message: str
):
    with pytest.raises(ConfigError, match=message):
        train(config_of("cliff"), runs_dir=tmp_path / "runs", seeds=seeds)
    assert not (tmp_path / "runs").exists()


# --- interruptions and failures -------------------------------------------------------------------


@pytest.mark.usefixtures("report_every_step")
def test_an_interrupted_run_is_recorded_and_resumes_next_time(
    tmp_path: Path, config_of: ConfigOf, witness: Witness, same_numbers: SameNumbers
):
    class Impatient(type(witness)):  # type: ignore[misc]
        def run_progress(self, progress: Any) -> None:
            if progress.timesteps >= 150:
                raise KeyboardInterrupt

    config = config_of("cliff", train={"seeds": [0, 1]})
    with pytest.raises(KeyboardInterrupt):
        train(config, runs_dir=tmp_path / "a", reporter=Impatient())
    (experiment,) = (tmp_path / "a").iterdir()
    record = _strict_json(experiment / "seed-0" / "run.json")
    assert record["status"] == "interrupted"
    assert "results" not in record
    assert datetime.fromisoformat(record["finished"])
    assert _strict_json(experiment / "seed-1" / "run.json")["status"] == "pending"
    with np.load(experiment / "seed-0" / "evaluations.npz") as file:
        assert file["timesteps"].tolist() == [0, 100]

    result = train(config, runs_dir=tmp_path / "a", reporter=witness)
    assert witness.reports("run_started") == [0, 1]
    assert [run.status for run in result.runs] == ["finished", "finished"]
    whole = train(config, runs_dir=tmp_path / "b", seeds=[0])
    same_numbers(result.runs[0].path, whole.runs[0].path)


def test_a_run_whose_process_vanished_resumes(
    tmp_path: Path, config_of: ConfigOf, witness: Witness
):
    (run,) = train(config_of("cliff"), runs_dir=tmp_path).runs
    write_record(run.path, replace(run.record, status="running", results=None, finished=None))
    (again,) = train(config_of("cliff"), runs_dir=tmp_path, reporter=witness).runs
    assert witness.reports("run_started") == [0]
    assert again.record.results == run.record.results


def test_a_failing_seed_is_recorded_and_the_others_continue(
    tmp_path: Path, diary: Diary, witness: Witness
):
    (fatal,) = SeedTree(1).train_envs(1)
    config = _diary_config(env={"kwargs": {"fails_on": fatal}}, train={"seeds": [0, 1, 2]})
    result = train(config, runs_dir=tmp_path, reporter=witness)
    assert [run.status for run in result.runs] == ["finished", "failed", "finished"]
    failed = result.runs[1]
    assert failed.mean_reward is None
    record = _strict_json(failed.path / "run.json")
    assert record == failed.record.to_json()
    assert "RuntimeError: the robot fell off the table" in record["error"]
    assert "Traceback" in record["traceback"]
    assert "fell off the table" in record["traceback"]
    assert "in step" in record["traceback"]
    assert "results" not in record
    assert {"finished", "seconds"} <= set(record)
    assert result.summary is not None
    assert result.summary.n == 2
    means = [result.runs[0].mean_reward, result.runs[2].mean_reward]
    assert result.summary.mean == pytest.approx(np.mean(means))  # type: ignore[arg-type]
    assert witness.reports("run_ended") == [(0, "finished"), (1, "failed"), (2, "finished")]

    diary.can_fail = False
    again = type(witness)()
    train(config, runs_dir=tmp_path, reporter=again)
    assert again.reports("run_started") == [1]


def test_a_failure_in_the_final_evaluation_is_a_failed_run(tmp_path: Path, diary: Diary):
    fatal = SeedTree(0).final_evaluation(4)[3]
    config = _diary_config(env={"kwargs": {"fails_on": fatal}})
    (run,) = train(config, runs_dir=tmp_path).runs
    assert run.status == "failed"
    assert "fell off the table" in run.record.error
    assert run.record.results is None
    assert diary.seeds


def test_if_every_seed_fails_there_is_no_summary(tmp_path: Path, diary: Diary):
    fatal = SeedTree(0).evaluation(1)[0]
    config = _diary_config(env={"kwargs": {"fails_on": fatal}})
    result = train(config, runs_dir=tmp_path)
    assert [run.status for run in result.runs] == ["failed"]
    assert result.summary is None
    assert diary.seeds


@pytest.mark.usefixtures("diary")
@pytest.mark.parametrize("reward", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("when", ["final", "periodic"])
def test_returns_that_are_not_finite_are_a_failure_and_not_a_result(
    tmp_path: Path, reward: float, when: str
):
    tree = SeedTree(0)
    seed = tree.final_evaluation(4)[2] if when == "final" else tree.evaluation(3)[1]
    config = _diary_config(env={"kwargs": {"reward_on": [seed, str(reward)]}})
    (run,) = train(config, runs_dir=tmp_path).runs
    record = _strict_json(run.path / "run.json")
    assert record["status"] == "failed"
    assert "results" not in record
    assert "finite" in record["error"]


@pytest.mark.usefixtures("diary")
def test_an_environment_that_takes_no_render_mode_can_be_trained(tmp_path: Path):
    gym.make("TrainingTestBlind-v0").close()  # Gymnasium has nothing against it
    (run,) = train(_diary_config(env={"id": "TrainingTestBlind-v0"}), runs_dir=tmp_path).runs
    assert run.status == "finished"


# --- several processes ----------------------------------------------------------------------------

TRAIN_AT_ONCE = """
import json, sys, time
from pathlib import Path
from rl_runner import Reporter, train

me, other = map(Path, sys.argv[3:])

class Listener(Reporter):
    def __init__(self):
        self.started = []

    def run_started(self, run):
        self.started.append(run.seed)
        me.touch()
        while not other.exists():  # until the other process has a seed in its hands too
            time.sleep(0.005)

listener = Listener()
result = train(sys.argv[1], runs_dir=sys.argv[2], reporter=listener)
statuses = {run.seed: run.status for run in result.runs}
print(json.dumps({"started": listener.started, "statuses": statuses}))
"""


@pytest.mark.slow
def test_two_processes_share_the_seeds_and_train_none_twice(
    tmp_path: Path, config_of: ConfigOf, same_numbers: SameNumbers
):
    seeds = [0, 1, 2]
    config = config_of("cliff", train={"seeds": seeds})
    file = tmp_path / "config.yaml"
    file.write_text(dump_config(config))
    marks = [str(tmp_path / "one"), str(tmp_path / "other")]
    command = [sys.executable, "-c", TRAIN_AT_ONCE, str(file), str(tmp_path / "runs")]
    processes = [
        subprocess.Popen([*command, *order], stdout=subprocess.PIPE, text=True)
        for order in (marks, marks[::-1])
    ]
    answers = [json.loads(process.communicate(timeout=300)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    started = [seed for answer in answers for seed in answer["started"]]
    assert sorted(started) == seeds
    assert all(answer["started"] for answer in answers)
    for answer in answers:  # the other's last seed may be over before this one looks
        assert set(answer["statuses"].values()) <= {"finished", "running"}
    (experiment,) = (tmp_path / "runs").iterdir()
    records = [_strict_json(experiment / f"seed-{seed}" / "run.json") for seed in seeds]
    assert [record["status"] for record in records] == ["finished"] * 3

    alone = train(config, runs_dir=tmp_path / "alone", seeds=[0])
    same_numbers(experiment / "seed-0", alone.runs[0].path)


def test_a_seed_that_another_process_trains_is_left_to_it(
    tmp_path: Path, config_of: ConfigOf, witness: Witness
):
    config = config_of("cliff", train={"seeds": [0, 1]})
    digest = experiment_hash(resolve(config).config)
    folder = ExperimentFolder.place(tmp_path, "cliff", digest, "q_table.npz")
    claimed = folder.run(0)
    assert claimed.claim()
    result = train(config, runs_dir=tmp_path, reporter=witness)
    claimed.release()
    assert [run.status for run in result.runs] == ["running", "finished"]
    assert witness.reports("run_started") == [1]
    assert any("Seed 0" in note and "another process" in note for note in witness.reports("note"))
    assert result.summary is not None
    assert result.summary.n == 1


# --- mistakes -------------------------------------------------------------------------------------

MISTAKES: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "unknown hyperparameter": ({"algo": {"name": "q_learning", "gama": 0.9}}, ConfigError),
    "unknown algorithm": ({"algo": {"name": "q_lerning"}}, ConfigError),
    "value out of range": ({"algo": {"name": "q_learning", "gamma": 1.5}}, ConfigError),
    "unknown environment": ({"env": {"id": "FrozenLak-v1"}}, EnvError),
    "environment argument": ({"env": {"id": "FrozenLake-v1", "kwargs": {"x": 1}}}, EnvError),
    "actions do not fit": ({"algo": {"name": "sac"}}, ConfigError),
    "observations do not fit": ({"env": {"id": "CartPole-v1"}}, ConfigError),
    "batch size": ({"algo": {"name": "ppo", "n_steps": 32, "batch_size": 48}}, ConfigError),
}


@pytest.mark.parametrize(("changes", "error"), MISTAKES.values(), ids=MISTAKES)
def test_a_wrong_config_leaves_nothing_on_disk(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    witness: Witness,
    changes: dict[str, Any],
    error: type[Exception],
):
    monkeypatch.chdir(tmp_path)
    raw = {
        "env": {"id": "FrozenLake-v1"},
        "algo": {"name": "q_learning"},
        "train": {"total_timesteps": 300},
        **changes,
    }
    with pytest.raises(error):
        train(config_from_dict(raw), runs_dir=tmp_path / "runs", reporter=witness)
    assert list(tmp_path.iterdir()) == []
    assert witness.heard == []


def test_a_file_in_place_of_the_runs_directory_is_a_run_folder_problem(
    tmp_path: Path, config_of: ConfigOf
):
    (tmp_path / "runs").touch()
    with pytest.raises(RunFolderError, match="Cannot write"):
        train(config_of("cliff"), runs_dir=tmp_path / "runs")


def test_a_damaged_record_is_a_run_folder_problem_that_fresh_cures(
    tmp_path: Path, config_of: ConfigOf
):
    (run,) = train(config_of("cliff"), runs_dir=tmp_path).runs
    (run.path / "run.json").write_text('{"status": "fin')
    with pytest.raises(RunFolderError, match="--fresh"):
        train(config_of("cliff"), runs_dir=tmp_path)
    (again,) = train(config_of("cliff"), runs_dir=tmp_path, fresh=True).runs
    assert again.record.results == run.record.results


@pytest.mark.parametrize("damage", ["name: [\nenv:", "name: cliff\nenvv: {}\n", "\x00"])
def test_a_damaged_config_on_disk_is_rewritten_with_all_seeds(
    tmp_path: Path, config_of: ConfigOf, witness: Witness, damage: str
):
    before = train(config_of("cliff"), runs_dir=tmp_path, seeds=[0, 3])
    whole = (before.path / "config.yaml").read_text(encoding="utf-8")
    (before.path / "config.yaml").write_text(damage, encoding="utf-8")
    after = train(config_of("cliff"), runs_dir=tmp_path, seeds=[3], reporter=witness)
    assert after.runs[0].record == before.runs[1].record
    (note,) = witness.reports("note")
    assert f"{before.path / 'config.yaml'}" in note
    if "\n" in damage:
        assert re.search(r"config\.yaml:[12]\b", note)
    assert "The file is written again, with the seeds that have a folder." in note
    assert (before.path / "config.yaml").read_text(encoding="utf-8") == whole
    assert load_config(before.path).train.seeds == (0, 3)


# --- what a reporter hears ------------------------------------------------------------------------


@pytest.mark.usefixtures("report_every_step")
def test_a_reporter_hears_the_whole_story_in_order(
    tmp_path: Path, config_of: ConfigOf, witness: Witness
):
    config = config_of("ppo", train={"seeds": [4]})
    result = train(config, runs_dir=tmp_path, reporter=witness)
    order = [what for what, _ in itertools.groupby(witness.heard, key=lambda heard: heard[0])]
    assert order == ["experiment_started", "run_started", "run_progress", "run_ended"]
    ((heard_config, path, seeds),) = witness.reports("experiment_started")
    assert (heard_config, path, seeds) == (resolve(config).config, result.path, (4,))
    assert witness.reports("run_started") == [4]
    assert witness.reports("run_ended") == [(4, "finished")]

    progress = witness.reports("run_progress")
    assert [p.timesteps for p in progress] == list(range(2, 257, 2))
    assert {(p.run.seed, p.total_timesteps) for p in progress} == {(4, 256)}
    assert all(p.steps_per_second > 0 for p in progress)
    assert progress[0].mean_return is None
    returns = [episode_return for _, episode_return, _, _ in _episodes(result.runs[0].path)]
    assert len(returns) < 100
    assert progress[-1].mean_return == pytest.approx(np.mean(returns))
    with np.load(result.runs[0].path / "evaluations.npz") as file:
        evaluations = file["returns"].mean(axis=1).tolist()[:-1]  # the last one ends the run
    heard = [p.mean_evaluation for p in progress if p.mean_evaluation is not None]
    assert [mean for mean, _ in itertools.groupby(heard)] == evaluations


def test_metrics_are_printed_where_the_reporter_wants_them(
    tmp_path: Path, config_of: ConfigOf, witness: Witness
):
    with (tmp_path / "metrics.txt").open("w") as file:
        witness.metrics_file = file
        (run,) = train(config_of("ppo"), runs_dir=tmp_path / "runs", reporter=witness).runs
    assert run.status == "finished", run.record.traceback
    text = (tmp_path / "metrics.txt").read_text()
    assert "eval/" in text
    assert "approx_kl" in text


def test_a_time_limit_that_we_chose_is_noted(tmp_path: Path, witness: Witness):
    raw = {
        "env": {"id": "CliffWalking-v1"},
        "algo": {"name": "q_learning"},
        "train": {"total_timesteps": 50, "seeds": [0]},
        "eval": {"every": 50, "n_episodes": 1, "final_episodes": 1},
    }
    result = train(config_from_dict(raw), runs_dir=tmp_path, reporter=witness)
    assert any("CliffWalking-v1" in note and "1000" in note for note in witness.reports("note"))
    assert load_config(result.path).env.time_limit == 1000


def test_an_own_or_a_given_time_limit_is_no_news(tmp_path: Path, witness: Witness):
    raw = {
        "env": {"id": "CliffWalking-v1", "time_limit": 20},
        "algo": {"name": "q_learning"},
        "train": {"total_timesteps": 50, "seeds": [0]},
        "eval": {"every": 50, "n_episodes": 1, "final_episodes": 1},
    }
    train(config_from_dict(raw), runs_dir=tmp_path, reporter=witness)
    raw["env"] = {"id": "FrozenLake-v1"}
    train(config_from_dict(raw), runs_dir=tmp_path, reporter=witness)
    assert witness.reports("note") == []


def test_a_run_of_another_process_has_no_result_yet(tmp_path: Path):
    run = RunResult(0, tmp_path, RunRecord(status="running"), elsewhere=True)
    assert run.status == "running"
    assert run.mean_reward is None


def test_every_run_is_pending_before_the_first_begins(tmp_path: Path, config_of: ConfigOf):
    seen: list[set[str]] = []

    class Onlooker(Reporter):
        def run_started(self, run: RunId) -> None:
            del run
            records = [json.loads(path.read_text()) for path in tmp_path.glob("*/*/run.json")]
            seen.append({record["status"] for record in records if record["seed"] > 0})

    train(config_of("q_learning"), runs_dir=tmp_path, seeds=[0, 1, 2], reporter=Onlooker())
    assert seen[0] == {"pending"}
