"""Repeat a finished run from its own config in a temporary folder, and compare the two."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from rl_runner.config import dump_config, experiment_hash, load_config
from rl_runner.envs.code import use_code, with_code
from rl_runner.errors import Problem, RunFolderError
from rl_runner.evaluation.reproduction import Reproduction, compare_runs
from rl_runner.layout import seed_number
from rl_runner.runs.find import find_runs
from rl_runner.training.environment_task import EnvironmentTask
from rl_runner.training.execution import execute
from rl_runner.training.reporting import Reporter, StopRequest
from rl_runner.training.task import RunTask


@dataclass(frozen=True)
class FinishedRun:
    """A finished run that can be repeated."""

    task: RunTask
    seconds: float  # that it took


def find_finished(path: Path) -> FinishedRun:
    """Return the run that ``path`` names: itself, or the first finished one of an experiment.

    :raises RunFolderError: if no run there is finished, or the experiment learned from logs
    """
    config = None
    for place in find_runs(path):
        config = config or load_config(place.parent)
        if config.data is not None:
            what = "Only training in an environment can be reproduced; this run learned from logs."
            cure = "`rl eval RUN --data LOG` evaluates a run that learned from a log."
            raise RunFolderError(Problem(what, str(path), cure))
        task = EnvironmentTask(config, seed_number(place.name), place.parent)
        record = task.folder.read_record()
        if record is not None and record.is_finished:
            return FinishedRun(task, record.seconds or 0.0)
    what = "Only a finished run can be reproduced, and there is none here."
    raise RunFolderError(Problem(what, str(path), "`rl train` finishes runs that are incomplete."))


def reproduce(finished: FinishedRun, reporter: Reporter) -> Reproduction:
    """Repeat a run and compare. Nothing is left on disk, and the run itself is only read.

    :raises RunFolderError: if the repetition fails, with its traceback
    """
    task = finished.task
    with tempfile.TemporaryDirectory(prefix="rl-reproduce-") as folder:
        repetition = _repeat(task, Path(folder) / task.experiment.name, reporter)
        found = compare_runs(task.folder, repetition.folder)
    # The folder's name ends in the hash of the config that was trained.
    digest = experiment_hash(task.config)
    if task.experiment.resolve().name.endswith(f"-{digest}"):
        return found
    changed = f"config.yaml: its hash is {digest} now; it was edited, or the folder was renamed"
    return replace(found, surroundings=[changed, *found.surroundings])


def _repeat(original: RunTask, experiment: Path, reporter: Reporter) -> RunTask:
    """Train the same seed in this process, in the folder ``experiment``; return the new task.

    It runs the code as it is now: a difference is a part of the comparison.

    :raises RunFolderError: if it does not finish, with its traceback
    """
    use_code(original.config)
    present_code = original.config.model_copy(update={"code": None})
    config = with_code(present_code.with_source(original.config.source))
    task = EnvironmentTask(config, original.seed, experiment)
    task.experiment_folder.write_config(dump_config(task.config))
    result = execute(task, reporter, StopRequest())
    if result.status != "finished":
        what = f"The repetition failed: {result.record.error}"
        cure = f"Its traceback:\n{result.record.traceback}" if result.record.traceback else ""
        raise RunFolderError(Problem(what, str(original.folder.path), cure))
    return task
