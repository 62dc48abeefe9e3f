"""Finding experiments and runs below a folder, without loading anything heavy."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rl_runner.errors import Problem, RunFolderError, did_you_mean
from rl_runner.runs.folder import CONFIG, RECORD, read_record


def find_runs(path: Path) -> list[Path]:
    """Return the run folders that ``path`` names: itself, or every seed of an experiment.

    :raises RunFolderError: if ``path`` is neither
    """
    if (path / RECORD).is_file():
        return [path]
    if (path / CONFIG).is_file():
        runs = sorted((file.parent for file in path.glob(f"seed-*/{RECORD}")), key=_seed_number)
        if runs:
            return runs
        raise RunFolderError(Problem("This experiment has no runs yet.", str(path)))
    if path.is_dir():
        cure = "Name an experiment (it holds a config.yaml) or one of its seed-… folders."
        raise RunFolderError(Problem("Neither a run nor an experiment.", str(path), cure))
    beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    cure = did_you_mean(path.name, beside) or "`rl runs` lists what there is."
    raise RunFolderError(Problem("There is no such folder.", str(path), cure))


def records_below(runs_dir: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield every run's folder and run.json; a damaged run.json comes as ``{"error": …}``."""
    for file in sorted(runs_dir.glob(f"*/seed-*/{RECORD}"), key=_experiment_and_seed):
        try:
            yield file.parent, read_record(file.parent)
        except RunFolderError as error:
            yield file.parent, {"status": "unreadable", "error": str(error)}


def _seed_number(run: Path) -> int:
    digits = run.name.removeprefix("seed-")
    return int(digits) if digits.isdigit() else -1


def _experiment_and_seed(file: Path) -> tuple[str, int]:
    return file.parent.parent.name, _seed_number(file.parent)
