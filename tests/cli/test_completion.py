"""What a shell completes words to, asked of the commands as a shell asks them."""

from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from rl_runner.cli.app import app

RUN_ARGUMENTS = [
    ("eval", "targets"),
    ("compare", "experiments"),
    ("record", "run"),
    ("watch", "run"),
    ("reproduce", "run"),
    ("models register", "run"),
]


def complete(command: str, parameter: str, incomplete: str, **given: str) -> list[str]:
    """Return what a parameter's word is completed to, after other parameters were given."""
    found: Any = get_command(app)
    for name in command.split():
        found = found.commands[name]
    context = typer.Context(found)
    context.params.update(given)
    (asked,) = [each for each in found.params if each.name == parameter]
    return [item.value for item in asked.shell_complete(context, incomplete)]


@pytest.mark.parametrize(("command", "parameter"), [("init", "algo"), ("algos", "name")])
def test_algorithms_are_completed(command: str, parameter: str) -> None:
    assert complete(command, parameter, "tr") == ["trpo"]
    assert "ppo" in complete(command, parameter, "")


@pytest.mark.parametrize("command", ["eval", "record", "watch"])
def test_the_baselines_of_the_named_environment_are_completed(command: str) -> None:
    assert complete(command, "policy", "or", env="Tutor-v0") == ["oracle"]
    of_cartpole = complete(command, "policy", "", env="CartPole-v1")
    assert of_cartpole == ["random", "greedy", "optimal"]


@pytest.mark.parametrize(("command", "parameter"), RUN_ARGUMENTS)
def test_experiments_and_runs_are_completed(
    command: str, parameter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs/a-1/seed-0"
    run.mkdir(parents=True)
    (run.parent / "config.yaml").touch()
    (run / "run.json").touch()
    (tmp_path / "runs/other").mkdir()
    assert complete(command, parameter, "") == ["runs/a-1"]
    assert complete(command, parameter, "ru") == ["runs/a-1"]
    assert complete(command, parameter, "runs/") == ["runs/a-1"]
    assert complete(command, parameter, "runs/a-1/") == ["runs/a-1/seed-0"]
    assert complete(command, parameter, "runs/b") == []


def test_experiments_and_studies_are_completed_for_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("runs/a-1/config.yaml", "runs/a-1/seed-0/run.json", "runs/search/start.yaml"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    for incomplete in ("", "ru", "runs/"):
        assert complete("report", "experiments", incomplete) == ["runs/a-1", "runs/search"]
    assert complete("report", "experiments", "runs/s") == ["runs/search"]
