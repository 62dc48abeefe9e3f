"""One run in a process of its own, seen from inside: what the forked process does."""

import faulthandler
import os
import select
import signal
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from rl_runner.runs.record import RunRecord
from rl_runner.training.execution import execute
from rl_runner.training.recording import record_own_end
from rl_runner.training.reporting import Evaluated, Progress, Reporter, StopRequest
from rl_runner.training.task import RunResult, RunTask

GRACE_SECONDS = 15.0  # for a run that was asked to stop
LAUNCHER_SECONDS = 5.0  # beyond that, in which the launcher ends it
WATCH_SECONDS = 1.0
GIVE_UP = "give up"  # the launcher's message to a run whose result is not needed


def work(task: RunTask, reports: Connection, verbose: bool) -> RunResult:
    """Execute a task in this process; SIGTERM asks it to stop, and so does the launcher's end.

    :param reports: the pipe to the launcher
    :param verbose: print every metric to this process's standard error too
    :return: the result; pebble passes it, or an exception, to the launcher
    """
    # A terminal sends Ctrl-C to every process. The launcher decides what it means for this one.
    stop = StopRequest()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    # Metrics go to the launcher's standard error, everything else that is printed into the log.
    reporter = _PipeReporter(reports, stop)
    if verbose:
        reporter.metrics_file = os.fdopen(os.dup(2), "w", buffering=1)
    _redirect_output(task)
    _Watch(task, reports, stop).start()
    # From here on signals are safe: the launcher may send them once it knows the process id.
    reports.send(("pid", (os.getpid(),)))
    try:
        return execute(task, reporter, stop)
    except KeyboardInterrupt:  # raised by the user's own code; already recorded
        return RunResult(task.seed, task.folder.path, task.folder.read_record() or RunRecord())


def _redirect_output(task: RunTask) -> None:
    """Write standard output and error into the run's log, with the trace of a crash.

    Redirecting the file descriptors includes what compiled code prints.
    """
    with task.folder.open_log() as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    faulthandler.enable(file=2)


class _Watch(threading.Thread):
    """Keeps a run within its bounds while the main thread trains, or hangs in an environment.

    Every second it shortens a log that has become too long, and asks the run to stop if its
    launcher has ended, however that happened, or if it has exceeded ``train.max_hours``. A run that
    does not stop is ended, after the traceback of where it hangs was written to its log.
    """

    def __init__(self, task: RunTask, reports: Connection, stop: StopRequest) -> None:
        super().__init__(name="watch", daemon=True)
        self._task = task
        self._stop = stop
        self._launcher = select.poll()
        self._launcher.register(reports, 0)  # only that it was closed, not that something arrived
        hours = task.config.train.max_hours
        self._deadline = None if hours is None else time.monotonic() + hours * 3600
        if hours is not None:
            # This timer needs no Python: code that never lets other threads run is ended, too.
            last = hours * 3600 + 2 * GRACE_SECONDS
            faulthandler.dump_traceback_later(last, exit=True, file=2)

    def run(self) -> None:
        """Watch until the process ends."""
        asked_at: float | None = None  # monotonic seconds
        while True:
            is_alone = bool(self._launcher.poll(WATCH_SECONDS * 1000))
            self._task.folder.trim_log()
            seconds = time.monotonic()
            is_overdue = self._deadline is not None and seconds > self._deadline
            if not (is_alone or is_overdue):
                continue
            # Ask once, wait, and then end it. A launcher that is there may do so before.
            if asked_at is None:
                asked_at = seconds
                self._stop.set()
            if seconds - asked_at > GRACE_SECONDS + (0 if is_alone else LAUNCHER_SECONDS):
                self._end(is_overdue=is_overdue)
            if is_alone:
                time.sleep(WATCH_SECONDS)

    def _end(self, *, is_overdue: bool) -> None:
        """Record where the main thread hangs and how the run ends, and end this process."""
        try:
            faulthandler.dump_traceback(file=2)
            record_own_end(self._task, overdue=is_overdue)
        finally:
            os._exit(1)


class _PipeReporter(Reporter):
    """Send every report to the launcher as ``(method, arguments)``; receive its messages.

    After a report on progress or an evaluation, a few times a second, it looks for a message: that
    is how :data:`GIVE_UP` reaches the run. A launcher that has ended is noticed by the broken pipe,
    or by another parent process, and the run is asked to stop.
    """

    def __init__(self, reports: Connection, stop: StopRequest) -> None:
        self._reports = reports
        self._stop = stop
        self._parent = os.getppid()

    def note(self, text: str) -> None:
        self._send("note", text)

    def run_started(self, run: Any) -> None:
        self._send("run_started", run)

    def run_progress(self, progress: Progress) -> None:
        if os.getppid() != self._parent:  # the launcher has ended; nobody would stop this process
            self._stop.set()
        self._send("run_progress", progress)
        self._receive()

    def run_evaluated(self, evaluated: Evaluated) -> None:
        self._send("run_evaluated", evaluated)
        self._receive()

    def run_ended(self, run: Any, record: Any) -> None:
        self._send("run_ended", run, record)

    def _receive(self) -> None:
        """Act on the messages that have arrived."""
        try:
            while self._reports.poll():
                if self._reports.recv() == GIVE_UP:
                    self._stop.give_up()
        except (EOFError, OSError):  # the launcher is gone
            self._stop.set()

    def _send(self, method: str, *arguments: Any) -> None:
        """Send the name and the arguments of a reporter's method, which the launcher calls."""
        try:
            self._reports.send((method, arguments))
        except OSError:  # the launcher is gone
            self._stop.set()
