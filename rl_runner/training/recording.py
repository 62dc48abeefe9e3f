"""What is recorded of a run from outside its training: before it begins, or if its process fails.

:class:`LogWriter` writes into log.txt how any run goes.
"""

from dataclasses import replace
from typing import Any

from rl_runner.errors import RunFolderError
from rl_runner.runs.disk import is_full_disk
from rl_runner.runs.folder import RunFolder
from rl_runner.runs.provenance import now
from rl_runner.runs.record import RunRecord
from rl_runner.training.reporting import Evaluated
from rl_runner.training.task import RunResult, RunTask


def announce(task: RunTask) -> None:
    """Record in run.json that the run is pending, unless there is a run.json already."""
    task.folder.announce(task.new_record())


def refresh_result(result: RunResult, task: RunTask) -> RunResult:
    """Return the present state of a run that was left to another process."""
    if not result.elsewhere or task.folder.is_claimed():
        return result
    return replace(result, record=stored_record(task))


def stored_record(task: RunTask) -> RunRecord:
    """Return what run.json says of a run that no process trains now."""
    run = task.folder
    try:
        record = run.read_record() or task.new_record()
    except RunFolderError as error:
        record = RunRecord(status="failed", error=str(error))
    if record.status == "running":  # it was killed
        timesteps = run.checkpoints.newest_timesteps()
        record = replace(record, status="interrupted", timesteps=timesteps)
    return record


def record_interruption(task: RunTask) -> RunResult:
    """Note in run.json that the run's process was killed after it was asked to stop."""
    resumes_at = task.folder.checkpoints.newest_timesteps()
    return _record_from_outside(task, status="interrupted", timesteps=resumes_at)


def record_failure(task: RunTask, error: str, *, by_signal: bool = False) -> RunResult:
    """Note in run.json that the run's process ended without doing so itself."""
    task.folder.trim_log()
    tail = tuple(task.folder.log_tail())
    return _record_from_outside(
        task, status="failed", error=error, log_tail=tail, ended_by_signal=by_signal
    )


def record_own_end(task: RunTask, *, overdue: bool) -> None:
    """Note in run.json that this process, which has the run's claim, ends itself and why."""
    run = task.folder
    before = run.read_record()
    if before is None or before.status != "running":  # only its process did not end
        return
    timesteps = run.checkpoints.newest_timesteps()
    if overdue:
        error, tail = too_long(task), tuple(run.log_tail())
        ended = replace(before, status="failed", error=error, log_tail=tail)
    else:
        ended = replace(before, status="interrupted", timesteps=timesteps)
    run.write_final_record(replace(ended, finished=now()))


def too_long(task: RunTask) -> str:
    """Say that a run took longer than its config allows."""
    return f"took longer than {task.config.train.max_hours} hours"


def _record_from_outside(task: RunTask, **changes: Any) -> RunResult:
    """Add to run.json how the run ended, which its process could no longer do itself."""
    run = task.folder
    record = replace(task.new_record(), **changes, finished=now())
    try:
        before = run.read_record()
        record = record if before is None else replace(before, **changes, finished=record.finished)
        if run.claim():  # else another process has taken it over by now
            try:
                LogWriter(task, run).end(record)
                run.write_final_record(record)
            finally:
                run.release()
    except RunFolderError as error:  # damaged, or not to be written: left as it is
        record = replace(record, error=str(error), disk_full=is_full_disk(error))
    return RunResult(task.seed, run.path, record)


class LogWriter:
    """Writes into log.txt how a run goes, among what its process prints there."""

    def __init__(self, task: RunTask, run: RunFolder) -> None:
        self._task = task
        self._run = run
        self._evaluated_until = run.checkpoints.newest_timesteps()  # logged by earlier sessions

    def add(self, text: str) -> None:
        """Append a line with the time, in UTC."""
        self._run.add_to_log(f"{now()} {text}")

    def begin(self) -> None:
        """Say what is trained."""
        config = self._task.config
        what = f"{config.algo.name} on {config.env.id}"
        if config.data is None:  # learning from logs plays no timesteps
            what += f", {config.train.total_timesteps:,} timesteps"
        self.add(f"{config.name} seed {self._task.seed}: {what}")

    def add_evaluation(self, evaluated: Evaluated) -> None:
        """Say what a periodic evaluation found, once: a resumed run reports its earlier ones."""
        if evaluated.timesteps > self._evaluated_until:
            self._evaluated_until = evaluated.timesteps
            mean = f"{evaluated.mean_reward:.6g}"
            self.add(f"{evaluated.timesteps:,} timesteps: evaluation {mean}")

    def end(self, record: RunRecord) -> None:
        """Say how the run ended."""
        if record.error is not None:
            self.add("\n".join([f"{record.status}: {record.error}", *_lines(record.traceback)]))
        elif record.is_finished and record.last.mean_reward is not None:
            last = record.last
            self.add(f"finished: mean reward {last.mean_reward:.6g} in {record.seconds:,.1f} s")
        else:
            self.add(record.status)


def _lines(text: str | None) -> list[str]:
    return [] if text is None else text.rstrip().splitlines()
