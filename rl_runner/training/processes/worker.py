"""The other side of :mod:`.process`: what happens in a run's own process."""

import faulthandler
import os
import signal
from multiprocessing.connection import Connection
from typing import Any

from rl_runner.training.reporting import Evaluated, Progress, Reporter, StopRequest
from rl_runner.training.task import RunResult, RunTask, execute

GIVE_UP = "give up"  # what the launcher says to a run that is hopeless


def work(task: RunTask, reports: Connection, verbose: bool) -> RunResult:
    """Execute a task; SIGTERM asks it to stop, and so does the death of the launcher.

    What the run prints, and the trace of a crash in compiled code, go to its log.
    """
    stop = StopRequest()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the launcher, which decides
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    reporter = PipeReporter(reports, stop)
    if verbose:
        reporter.metrics_file = os.fdopen(os.dup(2), "w", buffering=1)
    _print_into_log(task)
    reports.send(("pid", (os.getpid(),)))
    try:
        return execute(task, reporter, stop)
    except KeyboardInterrupt:  # raised by the environment itself; already recorded
        return RunResult(task.seed, task.folder.path, task.folder.read_record())


def _print_into_log(task: RunTask) -> None:
    """Send standard output and error, also those of compiled code, to the run's log."""
    with task.folder.open_log() as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    faulthandler.enable(file=2)


class PipeReporter(Reporter):
    """Sends every report to the launcher, and hears whether the run is to be given up."""

    def __init__(self, reports: Connection, stop: StopRequest) -> None:
        self._reports = reports
        self._stop = stop
        self._parent = os.getppid()

    def note(self, text: str) -> None:
        """Send it."""
        self._send("note", text)

    def run_started(self, run: Any) -> None:
        """Send it."""
        self._send("run_started", run)

    def run_progress(self, progress: Progress) -> None:
        """Send it, and stop if nobody is left to hear it."""
        if os.getppid() != self._parent:
            self._stop.set()
        self._send("run_progress", progress)
        self._listen()

    def run_evaluated(self, evaluated: Evaluated) -> None:
        """Send it."""
        self._send("run_evaluated", evaluated)
        self._listen()

    def run_ended(self, run: Any, record: Any) -> None:
        """Send it."""
        self._send("run_ended", run, record)

    def _listen(self) -> None:
        try:
            while self._reports.poll():
                if self._reports.recv() == GIVE_UP:
                    self._stop.give_up()
        except (EOFError, OSError):  # the launcher is gone
            self._stop.set()

    def _send(self, method: str, *arguments: Any) -> None:
        try:
            self._reports.send((method, arguments))
        except OSError:  # the launcher is gone
            self._stop.set()
