"""One run in a process of its own, seen from inside: what the forked process does."""

import faulthandler
import os
import signal
from multiprocessing.connection import Connection
from typing import Any

from rl_runner.runs.record import RunRecord
from rl_runner.training.reporting import Evaluated, Progress, Reporter, StopRequest
from rl_runner.training.task import RunResult, RunTask, execute

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
    # From here on signals are safe: the launcher may send them once it knows the process id.
    reports.send(("pid", (os.getpid(),)))
    try:
        return execute(task, reporter, stop)
    except KeyboardInterrupt:  # raised by the environment itself; already recorded
        return RunResult(task.seed, task.folder.path, task.folder.read_record() or RunRecord())


def _redirect_output(task: RunTask) -> None:
    """Write standard output and error into the run's log, with the trace of a crash.

    Redirecting the file descriptors includes what compiled code prints.
    """
    with task.folder.open_log() as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    faulthandler.enable(file=2)


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
        """Obey the messages that have arrived."""
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
