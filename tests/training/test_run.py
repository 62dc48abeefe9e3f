import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rl_runner import config_from_dict, train
from rl_runner.agents.registry import find_algorithm
from rl_runner.config import ExperimentConfig
from rl_runner.evaluation.reproduction import differences
from rl_runner.runs.folder import RunFolder
from rl_runner.training.observers.callbacks import PeriodicEvaluation
from rl_runner.training.reporting import Progress, Reporter
from rl_runner.training.task import RunResult

ConfigOf = Callable[..., ExperimentConfig]
Witness = Any  # the reporter of conftest.py

pytestmark = pytest.mark.usefixtures("report_every_step")

LAKE = {
    "env": {"id": "FrozenLake-v1"},
    "algo": {"name": "q_learning"},
    "train": {"total_timesteps": 2000, "seeds": [0]},
    "eval": {"n_episodes": 2, "final_episodes": 3},
}
POLE = {
    "env": {"id": "CartPole-v1"},
    "algo": {"name": "a2c", "policy_kwargs": {"net_arch": [8]}},  # logs every 100 × 5 timesteps
    "train": {"total_timesteps": 250, "seeds": [0]},
    "eval": {"every": 50, "n_episodes": 1, "final_episodes": 1},
    "checkpoint": {"every": 50},
}


class Impatient(Reporter):
    def __init__(self, at: int) -> None:
        self.at = at

    def run_progress(self, progress: Progress) -> None:
        if progress.timesteps >= self.at:
            raise KeyboardInterrupt


def broken_off(config: ExperimentConfig, runs_dir: Path, at: int) -> RunFolder:
    with pytest.raises(KeyboardInterrupt):
        train(config, runs_dir=runs_dir, reporter=Impatient(at))
    (path,) = runs_dir.glob("*/seed-0")
    return RunFolder(path, "q_table.npz")


def finished(config: ExperimentConfig, runs_dir: Path, reporter: Reporter | None = None) -> Path:
    (run,) = train(config, runs_dir=runs_dir, reporter=reporter).runs
    assert run.status == "finished", run.record.traceback
    return run.path


def steps_of(run: Path, tag: str) -> list[int]:
    events = EventAccumulator(str(run), size_guidance={"scalars": 0})
    events.Reload()
    return [event.step for event in events.Scalars(tag)]


# --- the evaluation at timestep 0 -----------------------------------------------------------------

SMALL = {"net_arch": [8]}
UNTRAINED: dict[
    str, tuple[str, dict[str, Any], dict[str, Any]]
] = {  # env, algo, of the env section
    "a table": ("FrozenLake-v1", {"name": "q_learning"}, {}),
    "reinforce": ("CartPole-v1", {"name": "reinforce", "n_episodes": 2}, {}),
    "ppo": ("CartPole-v1", {"name": "ppo", "n_steps": 32, "policy_kwargs": SMALL}, {"n_envs": 2}),
    "normalised": (
        "CartPole-v1",
        {"name": "a2c", "policy_kwargs": SMALL},
        {"normalize": True, "n_envs": 2},
    ),
    "borrowed copies": (
        "CartPole-v1",
        {"name": "a2c", "policy_kwargs": SMALL},
        {"normalize": True, "n_envs": 2, "max_copies": 2},
    ),
    "dqn": (
        "CartPole-v1",
        {"name": "dqn", "learning_starts": 50, "policy_kwargs": SMALL},
        {},
    ),
    "gsde": (
        "Pendulum-v1",
        {"name": "sac", "learning_starts": 150, "use_sde": True, "policy_kwargs": SMALL},
        {},
    ),
    "recurrent": (
        "CartPole-v1",
        {"name": "recurrent_ppo", "n_steps": 32, "batch_size": 32, "n_epochs": 1},
        {},
    ),
    "ars": ("CartPole-v1", {"name": "ars", "n_delta": 2, "policy_kwargs": SMALL}, {}),
}


@pytest.mark.parametrize("engine", ["stock", "auto"])
@pytest.mark.parametrize("name", UNTRAINED)
def test_evaluating_the_untrained_agent_changes_no_other_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, engine: str
):
    env, algo, of_env = UNTRAINED[name]
    config = config_from_dict(
        {
            "env": {"id": env, **of_env},
            "algo": {**algo, "engine": engine},
            "train": {"total_timesteps": 200, "seeds": [0]},
            "eval": {"every": 100, "n_episodes": 2, "final_episodes": 2},
        }
    )
    run = finished(config, tmp_path / "with")
    monkeypatch.setattr(PeriodicEvaluation, "evaluate_untrained", lambda *_: "")
    without = finished(config, tmp_path / "without")
    weights = find_algorithm(algo["name"]).weights_file
    folders = RunFolder(run, weights), RunFolder(without, weights)
    assert differences(*folders) == []
    records = [folder.read_record() for folder in folders]
    assert records[0] is not None
    assert records[1] is not None
    assert records[0].results == records[1].results
    curves = [folder.measurements.load_evaluations()["timesteps"].tolist() for folder in folders]
    assert curves[0] == [0, *curves[1]]
    assert steps_of(run, "eval/mean_reward") == curves[0]


# --- logging windows longer than a segment --------------------------------------------------------


@pytest.mark.parametrize("tag", ["rollout/ep_rew_mean", "time/fps"])
def test_segments_shorter_than_the_logging_interval_are_logged_at_their_ends(
    short_segments: Path, tag: str
):
    assert steps_of(short_segments, tag) == [50, 100, 150, 200, 250]


@pytest.fixture(scope="module")
def short_segments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(config_from_dict(POLE), tmp_path_factory.mktemp("runs"))


def test_a_table_is_logged_at_every_checkpoint_also_after_a_resume(tmp_path: Path):
    config = config_from_dict(LAKE)
    whole = finished(config, tmp_path / "whole")
    for tag in ("train/mean_abs_td_error", "rollout/ep_rew_mean"):
        assert steps_of(whole, tag) == list(range(200, 2001, 200))
    broken_off(config, tmp_path / "broken", at=1100)
    resumed = finished(config, tmp_path / "broken")
    folders = RunFolder(whole, "q_table.npz"), RunFolder(resumed, "q_table.npz")
    assert differences(*folders) == []


def test_short_segments_are_logged_the_same_after_a_resume(tmp_path: Path, short_segments: Path):
    config = config_from_dict(POLE)
    broken_off(config, tmp_path, at=130)
    resumed = finished(config, tmp_path)
    assert steps_of(resumed, "time/fps") == steps_of(short_segments, "time/fps")
    folders = RunFolder(short_segments, "model.zip"), RunFolder(resumed, "model.zip")
    assert differences(*folders) == []


# --- outputs that lost what a checkpoint relies on ------------------------------------------------


def outputs_at(run: RunFolder, timesteps: int) -> dict[str, int]:
    progress = json.loads((run.checkpoints.path / f"{timesteps}/progress.json").read_text())
    outputs: dict[str, int] = progress["outputs"]
    return outputs


@pytest.mark.parametrize("lost", ["episodes.csv", "events.out.tfevents"])
def test_a_checkpoint_whose_outputs_are_too_short_is_skipped(
    tmp_path: Path, config_of: ConfigOf, witness: Witness, lost: str
):
    config = config_of("cliff", checkpoint={"every": 40})
    run = broken_off(config, tmp_path / "cut", at=150)
    (name,) = (name for name in outputs_at(run, 120) if name.startswith(lost))
    assert outputs_at(run, 80)[name] < outputs_at(run, 120)[name]
    os.truncate(run.path / name, outputs_at(run, 80)[name])
    resumed = finished(config, tmp_path / "cut", witness)
    (skipped,) = (note for note in witness.reports("note") if "too short" in note)
    assert name in skipped
    assert f"{run.checkpoints.path / '120'}; it is skipped" in skipped
    assert "Seed 0 resumes from 80 timesteps." in witness.reports("note")
    whole = finished(config, tmp_path / "whole")
    assert differences(RunFolder(whole, "q_table.npz"), RunFolder(resumed, "q_table.npz")) == []


def test_when_no_checkpoint_is_left_the_error_names_the_file_and_the_cure(
    tmp_path: Path, config_of: ConfigOf
):
    config = config_of("cliff", checkpoint={"every": 40})
    run = broken_off(config, tmp_path, at=150)
    os.truncate(run.measurements.episodes_file, 3)
    before = sorted(run.path.rglob("*"))
    (failed,) = train(config, runs_dir=tmp_path).runs
    assert failed.status == "failed"
    for part in (
        str(run.measurements.episodes_file),
        "shorter than at the checkpoint",
        "--fresh",
    ):
        assert part in failed.record.error
    assert sorted(run.path.rglob("*")) == before
    (again,) = train(config, runs_dir=tmp_path, fresh=True).runs
    assert again.status == "finished"


# --- a finished run that lost its weights ---------------------------------------------------------


def test_lost_weights_come_back_from_the_last_checkpoint(
    tmp_path: Path, config_of: ConfigOf, witness: Witness
):
    config = config_of("cliff")
    whole = finished(config, tmp_path / "whole")
    lost = finished(config, tmp_path / "lost")
    (lost / "q_table.npz").unlink()
    (again,) = train(config, runs_dir=tmp_path / "lost", reporter=witness).runs
    assert witness.reports("run_started") == [0]
    assert witness.reports("run_progress") == []  # no step was trained
    assert again.status == "finished"
    assert differences(RunFolder(whole, "q_table.npz"), RunFolder(lost, "q_table.npz")) == []
    assert _results(again) == json.loads((whole / "run.json").read_text())["results"]


def _results(run: RunResult) -> dict[str, Any]:
    results: dict[str, Any] = run.record.to_json()["results"]
    return results
