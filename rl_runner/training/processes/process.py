"""One run in a process of its own: started, listened to, stopped.

Pebble starts the processes, from a fork server that has torch loaded already, so that a run begins
in milliseconds, and tells how each of them ended. Reports travel through a pipe per run, since a
queue shared by all would be left locked by a run that is killed while it writes.

Another backend (a cluster, say) replaces :func:`start_process`: it has to see that
:func:`rl_runner.training.task.execute` runs on the task somewhere that sees the same disk.
"""

import contextlib
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing.connection import Connection

from pebble import concurrent

from rl_runner.agents.registry import ALGORITHMS
from rl_runner.config.schema import AlgoConfig
from rl_runner.runs.layout import seed_name
from rl_runner.training.processes.worker import GIVE_UP, work
from rl_runner.training.reporting import Reporter
from rl_runner.training.task import RunResult, RunTask

GRACE_SECONDS = 15.0  # for a run that was asked to stop
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def start_fork_server(algorithms: Iterable[AlgoConfig] = ()) -> None:
    """Let the process from which runs are forked load torch now, while this one does other things.

    Called again, or while it runs already, it changes nothing.

    :param algorithms: that will run, to load what they need beside torch
    """
    for variable in THREAD_VARIABLES:
        os.environ.setdefault(variable, "1")
    preload = dict.fromkeys(["rl_runner.training.processes.fork_server", "rl_runner.training.run"])
    for algo in algorithms:
        if algo.name in ALGORITHMS:
            preload |= dict.fromkeys(ALGORITHMS[algo.name].modules_to_share(algo.engine))
    multiprocessing.get_context("forkserver").set_forkserver_preload([*preload])
    with _ignoring_interrupts():  # which the server inherits; Ctrl-C is the launcher's
        multiprocessing.forkserver.ensure_running()


@contextlib.contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def start_process(task: RunTask, *, verbose: bool) -> tuple[Future[RunResult], Connection]:
    """Start a task; return the future of its result and the pipe to talk with it."""
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
    """A task under way in another process."""

    task: RunTask
    tries: int
    future: Future[RunResult]
    reports: Connection  # both ways: reports come, the wish to give the run up goes
    began: float | None = None  # when its process was ready, by the monotonic clock
    pid: int | None = None
    is_overdue: bool = False
    is_asked_to_stop: bool = False

    def drain(self, reporter: Reporter) -> None:
        """Pass on what the run has reported since the last call."""
        try:
            while self.reports.poll():
                method, arguments = self.reports.recv()
                if method == "pid":
                    self.pid, self.began = arguments[0], time.monotonic()
                else:
                    getattr(reporter, method)(*arguments)
        except (EOFError, OSError):  # it has ended, perhaps in the middle of a word
            return

    def send(self, signal_number: signal.Signals) -> None:
        """Send the process a signal, if it has begun and not ended."""
        if self.pid is not None and not self.future.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal_number)

    def ask_to_stop(self) -> None:
        """Ask the run to stop; its process has to be ready to hear it, so call it again."""
        if self.pid is not None and not self.is_asked_to_stop:
            self.is_asked_to_stop = True
            self.send(signal.SIGTERM)

    def give_up(self) -> None:
        """Tell the run that it is hopeless: it ends at its next step, without a checkpoint."""
        with contextlib.suppress(OSError):  # it has ended by itself
            self.reports.send(GIVE_UP)

    def check_time(self) -> None:
        """Ask a run to stop that takes longer than its config allows; kill it if it does not."""
        hours = self.task.config.train.max_hours
        if hours is None or self.began is None:
            return
        overdue = time.monotonic() - self.began - hours * 3600
        if overdue > 0:
            self.is_overdue = True
            self.ask_to_stop()
        if overdue > GRACE_SECONDS:
            self.send(signal.SIGKILL)


def describe_exit(exitcode: int | None) -> str:
    """Say how a process ended that did not return."""
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = "; was it out of memory?" if name == "SIGKILL" else ""
        return f"the process was ended by {name}{hint}"
    return f"the process ended with exit code {exitcode}"
