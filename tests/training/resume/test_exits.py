"""What tests/agents/test_resume.py leaves out about leaving mid-segment."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from rl_runner import config_from_dict
from rl_runner.config import ExperimentConfig
from rl_runner.training.environment_task import EnvironmentTask
from rl_runner.training.execution import execute
from rl_runner.training.reporting import Evaluated, Progress, Reporter, StopRequest
from rl_runner.training.resolve import resolve
from rl_runner.training.resume import segments
from rl_runner.training.resume.logging_interval import LoggingInterval
from rl_runner.training.task import RunResult

pytestmark = pytest.mark.usefixtures("report_every_step")
ConfigOf = Callable[..., ExperimentConfig]


class Forgetful(gym.Env[int, int]):
    """Shows numbers that follow from no seed."""

    def __init__(self) -> None:
        self.observation_space = spaces.Discrete(100_000)
        self.action_space = spaces.Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        return self._anything(), {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        del action
        return self._anything(), 1.0, False, False, {}

    def _anything(self) -> int:
        return int(np.random.default_rng().integers(100_000))


class Touchy(Forgetful):
    """Raises at actions that it does not expect; says once that it expects others."""

    expects_others: ClassVar[bool] = False

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        if Touchy.expects_others:
            Touchy.expects_others = False
            message = "not legal here"
            raise ValueError(message)
        return super().step(action)


class Lucky(Forgetful):
    """Pays what the day brings."""

    pays: ClassVar[float] = 1.0

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        obs, _, terminated, truncated, info = super().step(action)
        return obs, self.pays, terminated, truncated, info


for name, kind in (("Forgetful", Forgetful), ("Touchy", Touchy), ("Lucky", Lucky)):
    gym.register(f"ExitsTest{name}-v0", entry_point=kind, max_episode_steps=15)


class Stopping(Reporter):
    def __init__(self, at: float, *, hopeless: bool = False) -> None:
        self.at = at
        self.hopeless = hopeless
        self.stop = StopRequest()
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def run_progress(self, progress: Progress) -> None:
        if progress.timesteps >= self.at:
            self.stop.hopeless = self.hopeless
            self.stop.set()


def run(config: ExperimentConfig, path: Path, reporter: Stopping) -> RunResult:
    return execute(EnvironmentTask(resolve(config).config, 0, path), reporter, reporter.stop)


def checkpoints(result: RunResult) -> set[str]:
    names = {place.name for place in (result.path / "checkpoints").iterdir()}
    return {name for name in names if name.isdigit() or name.startswith("exit-")}


def forgetful(name: str = "Forgetful", eval_every: int = 100) -> ExperimentConfig:
    return config_from_dict(
        {
            "env": {"id": f"ExitsTest{name}-v0"},
            "algo": {"name": "q_learning"},
            "train": {"total_timesteps": 200, "seeds": [0]},
            "eval": {"every": eval_every, "n_episodes": 1, "final_episodes": 1},
            "checkpoint": {"every": 50},
        }
    )


def test_an_environment_that_behaves_differently_is_noticed_and_the_last_checkpoint_used(
    tmp_path: Path,
):
    stopped = run(forgetful(), tmp_path, Stopping(70))
    assert checkpoints(stopped) == {"50", "exit-70"}
    reporter = Stopping(1e9)
    finished = run(forgetful(), tmp_path, reporter)
    assert finished.status == "finished"
    notes = [note for note in reporter.notes if note.startswith("Seed 0")]
    assert [notes[0], notes[2]] == [f"Seed 0 resumes from {t} timesteps." for t in (70, 50)]
    assert "did not behave the same when its actions were replayed" in notes[1]
    episodes = (finished.path / "episodes.csv").read_text().splitlines()[1:]
    assert [int(row.split(",")[0]) for row in episodes] == [
        *range(15, 50, 15), *range(65, 100, 15), *range(115, 150, 15), *range(165, 200, 15),
    ]  # fmt: skip


def test_before_the_first_checkpoint_too(tmp_path: Path):
    run(forgetful(), tmp_path, Stopping(20))
    reporter = Stopping(1e9)
    finished = run(forgetful(), tmp_path, reporter)
    assert finished.status == "finished"
    assert any("did not behave the same" in note for note in reporter.notes)
    assert not any("resumes from 50" in note for note in reporter.notes)


def test_an_environment_that_raises_in_the_replay_is_noticed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run(forgetful("Touchy"), tmp_path, Stopping(70))
    monkeypatch.setattr(Touchy, "expects_others", True)
    reporter = Stopping(1e9)
    finished = run(forgetful("Touchy"), tmp_path, reporter)
    assert finished.status == "finished", finished.record.traceback
    assert any("ValueError: not legal here" in note for note in reporter.notes)


def test_the_best_agent_of_what_was_given_up_is_not_taken_for_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class LuckyFrom50On(Stopping):
        def run_evaluated(self, evaluated: Evaluated) -> None:
            monkeypatch.setattr(Lucky, "pays", 1.0 if evaluated.timesteps < 50 else 2.0)

    config = forgetful("Lucky", eval_every=25)
    stopped = run(config, tmp_path, LuckyFrom50On(80))
    best = stopped.path / "checkpoints/best"
    assert best.read_text().strip() == "best-75"
    monkeypatch.setattr(Lucky, "pays", 1.0)
    finished = run(config, tmp_path, Stopping(1e9))
    timesteps = finished.record.best.timesteps
    assert best.read_text().strip() == f"best-{timesteps}"
    assert timesteps > 50
    saved_at = json.loads((best.parent / f"best-{timesteps}/agent.json").read_text())
    assert saved_at["num_timesteps"] == timesteps


def test_an_exit_stays_until_the_next_checkpoint_and_counts_not_as_one(
    tmp_path: Path, config_of: ConfigOf
):
    config = config_of("cliff", algo={"engine": "stock"}, checkpoint={"every": 100, "keep_last": 1})
    stopped = run(config, tmp_path, Stopping(130))
    assert checkpoints(stopped) == {"100", "exit-130"}
    assert (stopped.record.timesteps, stopped.record.stopped_at) == (130, 130)
    stopped = run(config, tmp_path, Stopping(170))
    assert checkpoints(stopped) == {"100", "exit-170"}
    stopped = run(config, tmp_path, Stopping(220))
    assert checkpoints(stopped) == {"200", "exit-220"}
    assert checkpoints(run(config, tmp_path, Stopping(1e9))) == {"300"}


def test_a_run_that_could_only_stop_much_later_stops_at_once(
    tmp_path: Path, config_of: ConfigOf, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(segments, "PATIENCE", -1.0)
    stopped = run(config_of("ppo", checkpoint={"every": 64}), tmp_path, Stopping(100))
    assert checkpoints(stopped) == {"64"}
    assert (stopped.record.timesteps, stopped.record.stopped_at) == (64, 102)


def test_a_hopeless_run_writes_nothing(tmp_path: Path, config_of: ConfigOf):
    config = config_of("cliff", algo={"engine": "stock"})
    pruned = run(config, tmp_path, Stopping(130, hopeless=True))
    assert pruned.status == "pruned"
    assert not {name for name in checkpoints(pruned) if name.startswith("exit")}


@pytest.mark.parametrize("begins_anew", [True, False])
def test_a_logging_interval_counts_through_two_sessions(begins_anew: bool):
    whole = [count for count in range(1, 20) if count % LoggingInterval(7) == 0]
    first, second = LoggingInterval(7), LoggingInterval(7)
    logged = [count for count in range(1, 11) if count % first == 0]
    second.last = first.last
    counted = [(count, count - 10 if begins_anew else count) for count in range(11, 20)]
    logged += [count for count, theirs in counted if theirs % second == 0]
    assert logged == whole == [7, 14]
