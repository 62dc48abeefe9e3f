"""A finished run, run again from its own config in a temporary place, and compared."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from rl_runner.config import ExperimentConfig, dump_config, experiment_hash, load_config
from rl_runner.errors import Problem, RunFolderError
from rl_runner.evaluation.reproduction import Reproduction, compare_runs
from rl_runner.runs.find import find_runs
from rl_runner.runs.layout import seed_number
from rl_runner.training.reporting import Reporter, StopRequest
from rl_runner.training.task import RunTask, execute


@dataclass(frozen=True)
class FinishedRun:
    """A run that can be run again, and how long it took."""

    task: RunTask
    seconds: float


def find_finished(path: Path) -> FinishedRun:
    """Return the run that ``path`` names: itself, or the first finished one of an experiment.

    :raises RunFolderError: if there is none, or it learned from logs
    """
    config = None
    for place in find_runs(path):
        config = config or load_config(place.parent)
        if config.data is not None:
            what = "Only what trained in an environment can be reproduced; this learned from logs."
            cure = "`rl eval RUN --data LOG` judges what learned from a log."
            raise RunFolderError(Problem(what, str(path), cure))
        task = RunTask(config, seed_number(place.name), place.parent)
        record = task.folder.read_record()
        if record.get("status") == "finished":
            return FinishedRun(task, float(record.get("seconds", 0.0)))
    what = "Only a finished run can be reproduced, and here is none."
    raise RunFolderError(Problem(what, str(path), "`rl train` goes on where there are gaps."))


def reproduce(finished: FinishedRun, reporter: Reporter) -> Reproduction:
    """Run it again and compare. Nothing is left on disk, and the run itself is only read.

    :raises RuntimeError: if the repetition fails, with its traceback
    """
    task = finished.task
    with tempfile.TemporaryDirectory(prefix="rl-reproduce-") as folder:
        again = _execute(task.config, task.seed, Path(folder) / task.experiment.name, reporter)
        found = compare_runs(task.folder, again.folder)
    digest = experiment_hash(task.config)
    if task.experiment.resolve().name.endswith(f"-{digest}"):
        return found
    changed = f"config.yaml: its hash is {digest} now; it was edited, or the folder renamed"
    return replace(found, surroundings=[changed, *found.surroundings])


def _execute(config: ExperimentConfig, seed: int, place: Path, reporter: Reporter) -> RunTask:
    """Run one seed in this process; KeyboardInterrupt ends it and leaves nothing."""
    task = RunTask(config, seed, place)
    task.experiment_folder.write_config(dump_config(config))
    result = execute(task, reporter, StopRequest())
    if result.status != "finished":
        message = f"the repetition failed: {result.record.get('traceback')}"
        raise RuntimeError(message)
    return task
