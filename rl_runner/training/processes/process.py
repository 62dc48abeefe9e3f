"""One run in a process of its own, seen from the launcher: start it, receive reports, stop it.

Pebble forks the process from the fork server and reports how it ended. Reports travel through one
pipe per run: a queue shared by all runs would stay locked if a run were killed while it writes.

Another backend (a cluster, for example) would replace :func:`start_process`. It has to call
:func:`rl_runner.training.execution.execute` on the task somewhere that has access to the same disk.
"""

import contextlib
import multiprocessing
import os
import signal
import time
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing.connection import Connection

from pebble import concurrent

from rl_runner.layout import seed_name
from rl_runner.training.processes.worker import GIVE_UP, GRACE_SECONDS, work
from rl_runner.training.reporting import Reporter
from rl_runner.training.task import RunResult, RunTask


def start_process(task: RunTask, *, verbose: bool) -> tuple[Future[RunResult], Connection]:
    """Start a task in a process of its own.

    :param verbose: print every metric to this command's standard error too
    :return: the future of its result, and the pipe: reports arrive, :data:`.worker.GIVE_UP` is sent
    """
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe()
    # Not a daemon, or `env.vec: subproc` could start no processes of its own.
    # (Pebble reads `context`, though its annotations call it `mp_context`.)
    start = concurrent.process(  # type: ignore[call-overload]
        context=context, daemon=False, name=seed_name(task.seed)
    )(work)
    future = start(task, theirs, verbose)
    theirs.close()
    return future, ours


@dataclass
class RunningTask:
    """A task whose process has been started, as the launcher sees it."""

    task: RunTask
    tries: int
    future: Future[RunResult]
    reports: Connection
    began: float | None = None  # monotonic seconds; None until the process is ready for signals
    pid: int | None = None  # None until then, too
    is_overdue: bool = False  # has exceeded the config's `train.max_hours`
    is_asked_to_stop: bool = False

    def drain(self, reporter: Reporter) -> None:
        """Pass the run's reports since the last call on to ``reporter``."""
        try:
            while self.reports.poll():
                method, arguments = self.reports.recv()
                if method == "pid":
                    self.pid, self.began = arguments[0], time.monotonic()
                else:
                    getattr(reporter, method)(*arguments)
        except (EOFError, OSError):  # it has ended, perhaps in the middle of a report
            return

    def send(self, signal_number: signal.Signals) -> None:
        """Send the process a signal, if it is ready for signals and has not ended."""
        if self.pid is not None and not self.future.done():
            with contextlib.suppress(ProcessLookupError):  # it ended a moment ago
                os.kill(self.pid, signal_number)

    def ask_to_stop(self) -> None:
        """Send SIGTERM once, which asks the run to stop.

        Before the process is ready for signals it does nothing, so call it repeatedly.
        """
        if self.pid is not None and not self.is_asked_to_stop:
            self.is_asked_to_stop = True
            self.send(signal.SIGTERM)

    def give_up(self) -> None:
        """Tell the run that its result is not needed: it ends at its next step, unsaved."""
        with contextlib.suppress(OSError):  # it has ended by itself
            self.reports.send(GIVE_UP)

    def check_time(self) -> None:
        """Stop a run that exceeds its ``train.max_hours``; kill it if that takes too long."""
        hours = self.task.config.train.max_hours
        if hours is None or self.began is None:
            return
        overdue = time.monotonic() - self.began - hours * 3600
        if overdue > 0:
            self.is_overdue = True
            self.ask_to_stop()
        if overdue > GRACE_SECONDS:
            self.send(signal.SIGKILL)
