"""Finding experiments and runs below a folder, without loading anything heavy."""

from pathlib import Path

from rl_runner.errors import Problem, RunFolderError, did_you_mean
from rl_runner.runs.folder import CONFIG, RECORD


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


def _seed_number(run: Path) -> int:
    digits = run.name.removeprefix("seed-")
    return int(digits) if digits.isdigit() else -1
