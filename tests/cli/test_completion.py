"""What a shell completes words to."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rl_runner.cli.options import complete_algorithm, complete_policy, complete_run


def test_algorithms_are_completed() -> None:
    assert complete_algorithm("tr") == ["trpo"]
    assert "ppo" in complete_algorithm("")


def test_the_baselines_of_the_named_environment_are_completed() -> None:
    context: Any = SimpleNamespace(params={"env": "Tutor-v0"})
    assert complete_policy(context, "or") == ["oracle"]
    context = SimpleNamespace(params={"env": "CartPole-v1"})
    assert complete_policy(context, "") == ["random", "greedy", "optimal"]


def test_experiments_and_runs_are_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs/a-1/seed-0"
    run.mkdir(parents=True)
    (run.parent / "config.yaml").touch()
    (run / "run.json").touch()
    (tmp_path / "runs/other").mkdir()
    assert complete_run("") == ["runs/a-1"]
    assert complete_run("ru") == ["runs/a-1"]
    assert complete_run("runs/") == ["runs/a-1"]
    assert complete_run("runs/a-1/") == ["runs/a-1/seed-0"]
    assert complete_run("runs/b") == []
