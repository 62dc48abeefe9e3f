"""How a run of a search ended, and whether it is tried again."""

from rl_runner.errors import DiskFullError, Problem
from rl_runner.training.task import RunResult

RETRIES = 2  # of a trial or run that was ended from outside


def ended_from_outside(result: RunResult) -> bool:
    """Whether a signal ended the run, or asked it to stop, while nobody stops the search."""
    return result.record.ended_by_signal or result.status == "interrupted"


def disk_full(result: RunResult) -> DiskFullError:
    """Say that a run could not go on because the disk is full: it is no result of the run's."""
    what = "The disk or your quota is full, and the run could not continue."
    return DiskFullError(Problem(what, str(result.path)))


def cause_of(result: RunResult) -> str:
    """Say why a run gave no result."""
    if result.status == "interrupted":
        return "the run was asked to stop by SIGTERM"
    return result.record.error or f"the run is {result.status}"
