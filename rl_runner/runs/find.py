"""Finding experiments and runs below a folder, without loading anything heavy."""

import os
from pathlib import Path

from rl_runner.errors import Problem, RunFolderError, did_you_mean
from rl_runner.layout import CONFIG, RECORD, STUDY_BEST, STUDY_START, STUDY_TRIALS, recorded_runs


def find_runs(path: Path) -> list[Path]:
    """Return the run folders that ``path`` names: itself, or every seed of an experiment.

    :raises RunFolderError: if ``path`` is neither
    """
    # A run, or all runs of an experiment.
    if _is_file(path / RECORD):
        return [path]
    if _is_file(path / CONFIG):
        runs = recorded_runs(path)
        if runs:
            return runs
        raise RunFolderError(Problem("This experiment has no runs yet.", str(path)))
    # Anything else: say what it is, and what to name instead.
    if _is_file(path / STUDY_START):
        raise RunFolderError(Problem("This is a tuning study.", str(path), _of_a_study(path)))
    if os.path.isdir(path):  # noqa: PTH112 - as below
        cure = "Name an experiment (it holds a config.yaml) or one of its seed-… folders."
        raise RunFolderError(Problem("Neither a run nor an experiment.", str(path), cure))
    if os.path.exists(path):  # noqa: PTH110 - as below
        raise RunFolderError(Problem("This is a file, not a folder.", str(path)))
    beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    cure = did_you_mean(path.name, beside) or "`rl runs` lists all runs."
    raise RunFolderError(Problem("There is no such folder.", str(path), cure))


def _of_a_study(path: Path) -> str:
    """Say which experiments a study leads to."""
    cure = f"Its trials are experiments: name one below {path / STUDY_TRIALS}."
    if not _is_file(path / STUDY_BEST):
        return cure
    return f"`rl train {path / STUDY_BEST}` makes an experiment of its winner. {cure}"


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - no exception for any text
