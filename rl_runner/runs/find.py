"""Finding experiments and runs below a folder, without loading anything heavy."""

import os
from pathlib import Path

from rl_runner.errors import Problem, RunFolderError, did_you_mean
from rl_runner.runs.folder import CONFIG, RECORD, seed_number


def find_runs(path: Path) -> list[Path]:
    """Return the run folders that ``path`` names: itself, or every seed of an experiment.

    :raises RunFolderError: if ``path`` is neither
    """
    if _is_file(path / RECORD):
        return [path]
    if _is_file(path / CONFIG):
        runs = sorted(
            (file.parent for file in path.glob(f"seed-*/{RECORD}")),
            key=lambda run: seed_number(run.name),
        )
        if runs:
            return runs
        raise RunFolderError(Problem("This experiment has no runs yet.", str(path)))
    if os.path.isdir(path):  # noqa: PTH112 - as below
        cure = "Name an experiment (it holds a config.yaml) or one of its seed-… folders."
        raise RunFolderError(Problem("Neither a run nor an experiment.", str(path), cure))
    if os.path.exists(path):  # noqa: PTH110 - as below
        raise RunFolderError(Problem("This is a file, not a folder.", str(path)))
    beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    cure = did_you_mean(path.name, beside) or "`rl runs` lists what there is."
    raise RunFolderError(Problem("There is no such folder.", str(path), cure))


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - no exception for any text
