"""The life of a run, whatever it learns from: claimed, trained, recorded however it ends."""

import time
import traceback
from dataclasses import replace
from typing import Any

from rl_runner.config import experiment_hash
from rl_runner.errors import Problem, RunFolderError, bounded, describe_exception
from rl_runner.local_code import keeping_working_directory
from rl_runner.runs.disk import is_full_disk
from rl_runner.runs.folder import RunFolder
from rl_runner.runs.provenance import now, with_provenance
from rl_runner.runs.record import ExtendedFrom, RunRecord
from rl_runner.training.recording import LogWriter
from rl_runner.training.reporting import (
    Evaluated,
    Interrupted,
    Progress,
    Reporter,
    StopRequest,
)
from rl_runner.training.task import RunResult, RunTask

HEARTBEAT_SECONDS = 10.0
MOST_TRACEBACK = 20_000  # characters


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
            # Train, unless the run is finished and its agent is there.
            record = run.read_record()
            _check_same_experiment(task, record)
            has_agent = all((run.path / name).is_file() for name in task.agent_files)
            was_finished = record is not None and record.is_finished and has_agent
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


def _train_and_record(
    task: RunTask, run: RunFolder, reporter: Reporter, stop: StopRequest
) -> RunRecord:
    """Train one seed; run.json says at every moment how far it has come, and how it ended."""
    # Say that the run is under way, and what it runs on.
    begun = replace(task.new_record(), extended_from=_origin(run), status="running", started=now())
    file = _RecordFile(run, with_provenance(begun))
    run.reserve_record()  # first: a disk that fills up later cannot leave "running" behind
    file.write()
    log = LogWriter(task, run)
    log.begin()
    started = time.monotonic()
    try:
        file.record = task.with_details(file.record)
        done = task.train(run, _Heartbeat(reporter, file, log), stop)
        file.change(
            status="finished",
            timesteps=done.timesteps,
            training_seconds=done.training_seconds,
            unlisted_code=done.unlisted_code,
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


def _origin(run: RunFolder) -> ExtendedFrom | None:
    """Return the run that this one was extended from, while it has the checkpoints to show it."""
    before = run.read_record() if run.checkpoints.newest_timesteps() else None
    return None if before is None else before.extended_from


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


class _Heartbeat(Reporter):
    """Passes reports on and, now and then, notes in run.json that the run is alive, and where."""

    def __init__(self, inner: Reporter, file: _RecordFile, log: LogWriter) -> None:
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
