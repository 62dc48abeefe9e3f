from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diary_envs import Diary

from rl_runner import Reporter, config_from_dict, train
from rl_runner.config import ExperimentConfig
from rl_runner.runs.record import RunRecord
from rl_runner.training.environment_task import EnvironmentTask
from rl_runner.training.experiment import ExperimentResult
from rl_runner.training.observers.callbacks import ProgressTicker
from rl_runner.training.recording import announce
from rl_runner.training.reporting import Progress, RunId
from rl_runner.training.resolve import resolve
from rl_runner.training.task import RunTask

torch.set_num_threads(1)

EVAL = {"every": 100, "n_episodes": 2, "final_episodes": 3}
PPO = {"name": "ppo", "n_steps": 32, "batch_size": 64, "n_epochs": 2, "learning_rate": 0.01}
PPO |= {"policy_kwargs": {"net_arch": [8]}}
CONFIGS: dict[str, dict[str, Any]] = {
    "q_learning": {
        "env": {"id": "FrozenLake-v1"},
        "algo": {"name": "q_learning", "initial_q": 0.5},
        "train": {"total_timesteps": 300, "seeds": [0]},
        "eval": EVAL,
    },
    "cliff": {  # as quick as can be: no picture is drawn
        "env": {"id": "CliffWalking-v1", "time_limit": 20},
        "algo": {"name": "q_learning"},
        "train": {"total_timesteps": 300, "seeds": [0]},
        "eval": EVAL,
    },
    "ppo": {
        "env": {"id": "CartPole-v1", "n_envs": 2},
        "algo": PPO,
        "train": {"total_timesteps": 256, "seeds": [0]},
        "eval": EVAL,
    },
    "normalized": {
        "env": {"id": "CartPole-v1", "n_envs": 2, "normalize": True},
        "algo": PPO,
        "train": {"total_timesteps": 192, "seeds": [0]},
        "eval": EVAL,
    },
    "reinforce": {
        "env": {"id": "CartPole-v1"},
        "algo": {"name": "reinforce", "n_episodes": 2},
        "train": {"total_timesteps": 200, "seeds": [0]},
        "eval": EVAL,
    },
}


@pytest.fixture
def diary(monkeypatch: pytest.MonkeyPatch) -> type[Diary]:
    """Give the class of ``TrainingTestDiary-v0``, its pages empty."""
    monkeypatch.setattr(Diary, "seeds", [])
    monkeypatch.setattr(Diary, "episodes", [])
    monkeypatch.setattr(Diary, "can_fail", True)
    return Diary


class Witness(Reporter):
    """Remembers everything that is reported to it, as ``(what, details)``."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def experiment_started(self, config: ExperimentConfig, path: Path, seeds: Any) -> None:
        self.heard.append(("experiment_started", (config, path, tuple(seeds))))

    def note(self, text: str) -> None:
        self.heard.append(("note", text))

    def run_started(self, run: RunId) -> None:
        self.heard.append(("run_started", run.seed))

    def run_progress(self, progress: Progress) -> None:
        self.heard.append(("run_progress", progress))

    def run_ended(self, run: RunId, record: RunRecord) -> None:
        self.heard.append(("run_ended", (run.seed, record.status)))

    def reports(self, what: str) -> list[Any]:
        return [details for heard, details in self.heard if heard == what]


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
def report_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProgressTicker, "SECONDS", 0.0)


@pytest.fixture
def config_of() -> Callable[..., ExperimentConfig]:
    """Give one of the tiny configs, or sections of it changed."""

    def build(name: str, **sections: dict[str, Any]) -> ExperimentConfig:
        raw: dict[str, Any] = {"name": name, **CONFIGS[name]}
        for section, changes in sections.items():
            raw[section] = {**raw.get(section, {}), **changes}
        return config_from_dict(raw)

    return build


@pytest.fixture
def task(tmp_path: Path, config_of: Callable[..., ExperimentConfig]) -> RunTask:
    """Give a run that has been announced and has not begun."""
    task = EnvironmentTask(resolve(config_of("cliff")).config, 0, tmp_path / "cliff-0123abcd")
    announce(task)
    return task


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], ExperimentResult]:
    """Give a finished tiny experiment, trained when it is first asked for; do not change it."""
    runs_dir = tmp_path_factory.mktemp("runs")
    finished: dict[str, ExperimentResult] = {}

    def get(name: str) -> ExperimentResult:
        if name not in finished:
            config = config_from_dict({"name": name, **CONFIGS[name]})
            result = train(config, runs_dir=runs_dir)
            assert result.runs[0].status == "finished", result.runs[0].record.traceback
            finished[name] = result
        return finished[name]

    return get


@pytest.fixture
def same_numbers() -> Callable[[Path, Path], None]:
    """Assert that two runs trained and evaluated to the same numbers, to the last digit."""

    def check(one: Path, other: Path) -> None:
        episodes = [
            [line.split(",")[:4] for line in (path / "episodes.csv").read_text().splitlines()]
            for path in (one, other)
        ]
        assert len(episodes[0]) > 2
        assert episodes[0] == episodes[1]
        with np.load(one / "evaluations.npz") as a, np.load(other / "evaluations.npz") as b:
            assert set(a) == set(b)
            for key in a:
                np.testing.assert_array_equal(a[key], b[key])

    return check
