"""The life of a run, whatever it learns from: claimed, trained, recorded however it ends.

A :class:`RunTask` can be sent to another process or another machine; :func:`execute` needs nothing
but the task and the disk. Its subclasses decide what a run learns from:
:class:`.environment_task.EnvironmentTask`, or :class:`rl_runner.offline.learning.training.LogTask`.
"""

import abc
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rl_runner.config import ExperimentConfig, experiment_hash
from rl_runner.errors import Problem, RunFolderError, bounded, describe_exception
from rl_runner.local_code import keeping_working_directory
from rl_runner.runs.disk import is_full_disk
from rl_runner.runs.folder import ExperimentFolder, RunFolder
from rl_runner.runs.provenance import now, with_provenance
from rl_runner.runs.record import Completion, ExtendedFrom, RunRecord
from rl_runner.training.reporting import (
    Evaluated,
    Interrupted,
    Progress,
    Reporter,
    RunId,
    StopRequest,
)

HEARTBEAT_SECONDS = 10.0
MOST_TRACEBACK = 20_000  # characters


@dataclass(frozen=True)
class RunTask(abc.ABC):
    """One seed of a resolved config, and where its results belong."""

    config: ExperimentConfig
    seed: int
    experiment: Path
    fresh: bool = False

    @property
    @abc.abstractmethod
    def weights_file(self) -> str:
        """The file name of what was learned."""

    @property
    @abc.abstractmethod
    def modules(self) -> Sequence[str]:
        """What a process imports for it; the fork server does so once for all runs."""

    @abc.abstractmethod
    def train(self, run: RunFolder, reporter: Reporter, stop: StopRequest) -> Completion:
        """Train in a claimed folder, from where an earlier session was interrupted if possible.

        :raises Interrupted: if it stopped because it was asked to
        """

    def new_record(self) -> RunRecord:
        """Return what run.json says of a run that has not begun."""
        config = self.config
        return RunRecord(
            name=config.name,
            config_hash=experiment_hash(config),
            env=config.env.id,
            algo=config.algo.name,
            seed=self.seed,
        )

    def with_details(self, record: RunRecord) -> RunRecord:
        """Add to the record of a run that begins what only this kind of task knows."""
        return record

    @property
    def experiment_folder(self) -> ExperimentFolder:
        """The folder of the experiment it belongs to."""
        return ExperimentFolder(self.experiment, self.weights_file)

    @property
    def folder(self) -> RunFolder:
        """The run's folder."""
        return self.experiment_folder.run(self.seed)

    @property
    def run(self) -> RunId:
        """How reports refer to it."""
        return RunId(self.config.name, self.seed)


@dataclass(frozen=True)
class RunResult:
    """How one seed ended."""

    seed: int
    path: Path
    record: RunRecord
    was_finished: bool = False  # before this command, which therefore trained nothing
    elsewhere: bool = False  # left to another process
    holder: str = ""  # which one, if it is known

    @property
    def status(self) -> str:
        """``finished``, ``failed``, ``interrupted``, ``pruned``, or ``running`` elsewhere."""
        return self.record.status

    @property
    def mean_reward(self) -> float | None:
        """The last agent's mean return over the held-out episodes; None if it did not finish."""
        return self.record.last.mean_reward


def execute(task: RunTask, reporter: Reporter, stop: StopRequest) -> RunResult:
    """Train one seed, unless it is finished or another process is training it.

    An exception of the run itself is recorded in its run.json and not raised.

    :raises RunFolderError: if the folder cannot be written, or its run.json is damaged
    """
    # The environment may change the working directory: find everything without it.
    place = task.folder.path
    task = replace(task, experiment=task.experiment.absolute())
    run = task.folder
    with keeping_working_directory():
        # Only one process may train a run.
        if not run.claim():
            holder = run.holder
            by = f"another process ({holder})" if holder else "another process"
            reporter.note(f"Seed {task.seed} is being trained by {by}; left to it.")
            running = RunRecord(status="running")
            return RunResult(task.seed, place, running, elsewhere=True, holder=holder)
        try:
            # With --fresh, forget what there is, even a damaged run.json.
            if task.fresh:
                run.clear()
                run.write_record(task.new_record())
            # Train, unless the run is finished and its weights are there.
            record = run.read_record()
            _check_same_experiment(task, record)
            was_finished = (
                record is not None and record.is_finished and run.agents.weights.is_file()
            )
            if record is None or not was_finished:
                run.sign_claim()
                reporter.run_started(task.run)
                record = _train_and_record(task, run, reporter, stop)
            reporter.run_ended(task.run, record)
            return RunResult(task.seed, place, record, was_finished=was_finished)
        finally:
            run.release()


def _check_same_experiment(task: RunTask, record: RunRecord | None) -> None:
    """Refuse a folder whose run was made of another config: its results are not this task's.

    :raises RunFolderError: naming both configs by their hashes
    """
    before = None if record is None else record.config_hash
    now = experiment_hash(task.config)
    if before not in {None, now}:
        what = f"This run was made of another config ({before}) than the one to train ({now})."
        cure = "Train in another folder, remove this one, or use `--fresh` to train it again."
        raise RunFolderError(Problem(what, str(task.folder.path), cure))


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


def _train_and_record(
    task: RunTask, run: RunFolder, reporter: Reporter, stop: StopRequest
) -> RunRecord:
    """Train one seed; run.json says at every moment how far it has come, and how it ended."""
    # Say that the run is under way, and what it runs on.
    begun = replace(task.new_record(), extended_from=_origin(run), status="running", started=now())
    file = _RecordFile(run, with_provenance(begun))
    run.reserve_record()  # first: a disk that fills up later cannot leave "running" behind
    file.write()
    log = _LogWriter(task, run)
    log.begin()
    started = time.monotonic()
    try:
        file.record = task.with_details(file.record)
        done = task.train(run, _Heartbeat(reporter, file, log), stop)
        file.change(
            status="finished",
            timesteps=done.timesteps,
            training_seconds=done.training_seconds,
            results=done.results,
        )
    except (KeyboardInterrupt, Interrupted) as error:
        # It was asked to stop, by Ctrl-C or through ``stop``.
        status = "pruned" if stop.hopeless else "interrupted"
        file.change(status=status, timesteps=run.checkpoints.newest_timesteps())
        if isinstance(error, KeyboardInterrupt):
            raise
        file.change(stopped_at=error.timesteps)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - recorded with its traceback; the other runs continue
        file.change(
            status="failed",
            error=describe_exception(error),
            traceback=bounded(traceback.format_exc(), MOST_TRACEBACK),
            log_tail=tuple(run.log_tail()),
            disk_full=is_full_disk(error),  # then the run is not to blame
        )
    finally:
        # However it ended, record when
        file.change(finished=now(), seconds=round(time.monotonic() - started, 3))
        log.end(file.record)
        run.trim_log()
        run.write_final_record(file.record)
    return file.record


class _RecordFile:
    """The run.json of a run under way."""

    def __init__(self, run: RunFolder, record: RunRecord) -> None:
        self._run = run
        self.record = record

    def change(self, **changes: Any) -> None:
        """Change fields of the record; :meth:`write` puts them on disk."""
        self.record = replace(self.record, **changes)

    def write(self) -> None:
        """Replace run.json."""
        self._run.write_record(self.record)


class _LogWriter:
    """Writes into log.txt how a run goes, beside what its process prints there."""

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
        what = f"{config.algo.name} on {config.env.id}, {config.train.total_timesteps:,} timesteps"
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


def _origin(run: RunFolder) -> ExtendedFrom | None:
    """Return the run that this one was extended from, while it has the checkpoints to show it."""
    before = run.read_record() if run.checkpoints.newest_timesteps() else None
    return None if before is None else before.extended_from


def announce(task: RunTask) -> None:
    """Record in run.json that the run is pending, unless there is a run.json already."""
    task.folder.announce(task.new_record())


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
                _LogWriter(task, run).end(record)
                run.write_final_record(record)
            finally:
                run.release()
    except RunFolderError as error:  # damaged, or not to be written: left as it is
        record = replace(record, error=str(error), disk_full=is_full_disk(error))
    return RunResult(task.seed, run.path, record)


class _Heartbeat(Reporter):
    """Passes reports on and, now and then, notes in run.json that the run is alive, and where."""

    def __init__(self, inner: Reporter, file: _RecordFile, log: _LogWriter) -> None:
        self._inner = inner
        self._file = file
        self._log = log
        self._last = time.monotonic()
        self.metrics_file = inner.metrics_file

    def note(self, text: str) -> None:
        self._log.add(f"Note: {text}")
        self._inner.note(text)

    def run_evaluated(self, evaluated: Evaluated) -> None:
        self._log.add_evaluation(evaluated)
        self._inner.run_evaluated(evaluated)

    def run_progress(self, progress: Progress) -> None:
        self._inner.run_progress(progress)
        if time.monotonic() - self._last >= HEARTBEAT_SECONDS:
            self._last = time.monotonic()
            self._file.change(heartbeat=now(), timesteps=progress.timesteps)
            self._file.write()
