from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rl_runner.config import ExperimentConfig
from rl_runner.envs import build_training_env
from rl_runner.runs.folder import RunFolder
from rl_runner.seeding import SeedTree
from rl_runner.training.observers import observers as module
from rl_runner.training.observers.observers import Observers
from rl_runner.training.reporting import Reporter
from rl_runner.training.resolve import resolve

ConfigOf = Callable[..., ExperimentConfig]


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the list of what has been closed, in that order."""
    order: list[str] = []

    def recording(build: Any, name: str) -> Any:
        def built(*arguments: Any, **keywords: Any) -> Any:
            thing = build(*arguments, **keywords)
            close = thing.close
            thing.close = lambda: (order.append(name), close())
            return thing

        return built

    for name, label in (
        ("build_evaluation_env", "environment"),
        ("EpisodeRecorder", "episodes"),
        ("build_logger", "logger"),
    ):
        monkeypatch.setattr(module, name, recording(getattr(module, name), label))
    return order


def open_observers(config: ExperimentConfig, folder: Path) -> Observers:
    run = RunFolder(folder, "q_table.npz")
    run.path.mkdir()
    env = build_training_env(config.env, config.algo, SeedTree(0))
    try:
        return Observers(config, 0, run, Reporter(), env, lambda: pytest.fail("not lent"))
    finally:
        env.close()


def test_all_that_was_opened_is_closed_the_last_first(
    tmp_path: Path, config_of: ConfigOf, closed: list[str]
):
    observers = open_observers(resolve(config_of("cliff")).config, tmp_path / "seed-0")
    assert closed == []
    observers.close()
    assert closed == ["episodes", "logger", "environment"]


@pytest.mark.parametrize(
    ("step", "is_open"),
    [
        ("build_logger", ["environment"]),
        ("ProgressTicker", ["episodes", "logger", "environment"]),
    ],
)
def test_what_is_open_is_closed_if_a_later_step_fails(
    tmp_path: Path,
    config_of: ConfigOf,
    closed: list[str],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    is_open: list[str],
):
    def fail(*_: object) -> SimpleNamespace:
        message = "no space"
        raise OSError(message)

    monkeypatch.setattr(module, step, fail)
    with pytest.raises(OSError, match="no space"):
        open_observers(resolve(config_of("cliff")).config, tmp_path / "seed-0")
    assert closed == is_open
