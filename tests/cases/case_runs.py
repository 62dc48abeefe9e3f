"""The configs of cases, trained in this process, in the working directory."""

from collections.abc import Callable
from pathlib import Path

from rl_runner import load_config, load_run, train
from rl_runner.evaluation.play.loaded_run import Run
from rl_runner.runs.record import RunRecord

Case = Callable[[str], Path]


def run_of(config: Path, *changes: str) -> RunRecord:
    """Train a config's only seed, whatever comes of it."""
    (run,) = train(load_config(config, list(changes)), runs_dir=Path("runs"), fresh=True).runs
    return run.record


def finished_run(config: Path, *changes: str) -> Run:
    """Train a config's only seed, expect it to finish, and load its agent."""
    (run,) = train(load_config(config, list(changes)), runs_dir=Path("runs"), fresh=True).runs
    assert run.record.status == "finished", run.record.error
    return load_run(run.path)
