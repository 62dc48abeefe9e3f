"""Train several runs: at once, each in a process of its own, or one after another in this one.

Whatever happens to one run, the others are not affected.
"""

import contextlib
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

from pebble import ProcessExpired

from rl_runner.errors import RunnerError, describe_exception, describe_exit
from rl_runner.runs.disk import is_full_disk
from rl_runner.runs.record import RunRecord
from rl_runner.startup import start_fork_server
from rl_runner.training.execution import execute
from rl_runner.training.processes.process import RunningTask, start_process
from rl_runner.training.processes.worker import GRACE_SECONDS
from rl_runner.training.recording import (
    record_failure,
    record_interruption,
    stored_record,
    too_long,
)
from rl_runner.training.reporting import Reporter, StopRequest
from rl_runner.training.task import RunResult, RunTask

POLL_SECONDS = 0.05


def run_here(tasks: Sequence[RunTask], reporter: Reporter) -> list[RunResult]:
    """Run the tasks one after another in this process, for example in a notebook."""
    return [_run_here(task, reporter) for task in tasks]


def _run_here(task: RunTask, reporter: Reporter) -> RunResult:
    """Run one task; a timer asks it to stop after ``train.max_hours``."""
    stop, hours = StopRequest(), task.config.train.max_hours
    if hours is None:
        return execute(task, reporter, stop)
    # Ask it to stop once its time is over.
    timer = threading.Timer(hours * 3600, stop.set)
    timer.daemon = True
    timer.start()
    try:
        result = execute(task, reporter, stop)
    finally:
        timer.cancel()
    if result.status != "interrupted":
        return result
    # It stopped because of that: its run has failed.
    overdue = record_failure(task, too_long(task))
    reporter.run_ended(task.run, overdue.record)
    return overdue


def run_in_processes(
    tasks: Sequence[RunTask], reporter: Reporter, *, jobs: int, retries: int = 0
) -> list[RunResult]:
    """Run every task in a process of its own, ``jobs`` of them at a time.

    At the first SIGINT or SIGTERM the runs write their checkpoints and end, at the second they are
    killed. Call it from the main thread, which alone can handle signals.

    :param retries: how often a failed run is tried again
    :return: the results in the order of the tasks; a task that was not started has what is on disk
    """
    launcher = Launcher(reporter, jobs=jobs, retries=retries)
    index_of = {id(task): i for i, task in enumerate(tasks)}
    results: dict[int, RunResult] = {}
    for task in tasks:
        launcher.add(task)
    with launcher.session():
        while launcher.busy:
            results |= {index_of[id(task)]: result for task, result in launcher.poll()}
            if launcher.busy:
                time.sleep(POLL_SECONDS)
    return [results[i] if i in results else _not_started(task) for i, task in enumerate(tasks)]


def _not_started(task: RunTask) -> RunResult:
    """Return what is known of a task that this command has not started."""
    run = task.folder
    if run.is_claimed():
        running = RunRecord(status="running")
        return RunResult(task.seed, run.path, running, elsewhere=True, holder=run.holder)
    return RunResult(task.seed, run.path, stored_record(task))


class Launcher:
    """Run tasks in processes, ``jobs`` of them at a time; tasks can be added at any time.

    ::

        with launcher.session():
            launcher.add(task)
            while launcher.busy:
                time.sleep(POLL_SECONDS)
                for task, result in launcher.poll():
                    ...

    :param retries: how often a failed run is tried again
    """

    def __init__(self, reporter: Reporter, *, jobs: int, retries: int = 0) -> None:
        self.reporter = reporter
        self.jobs = jobs
        self.retries = retries
        self.waiting: deque[tuple[RunTask, int]] = deque()
        self.running: list[RunningTask] = []
        self.stop_requests = 0
        self.stop_requested_at = 0.0

    @property
    def busy(self) -> bool:
        """Whether runs are under way, or are waiting and will still be started."""
        return bool(self.running or (self.waiting and not self.stop_requests))

    @property
    def n_free(self) -> int:
        """How many more tasks would be started at once."""
        return max(0, self.jobs - len(self.running) - len(self.waiting))

    def add(self, task: RunTask) -> None:
        """Run a task as soon as fewer than ``jobs`` are under way."""
        self.waiting.append((task, 0))

    def give_up(self, task: RunTask) -> None:
        """Ask a run to end now because its result is not needed; its status becomes ``pruned``."""
        for running in self.running:
            if running.task is task:
                running.give_up()

    def poll(self) -> list[tuple[RunTask, RunResult]]:
        """Start waiting tasks, pass reports on, stop runs if asked to, and return those that ended.

        Call it every :data:`POLL_SECONDS` or so. A failed run that is tried again is not returned.
        """
        # Start as many as may run at a time.
        while self.waiting and len(self.running) < self.jobs and not self.stop_requests:
            task, tries = self.waiting.popleft()
            verbose = self.reporter.metrics_file is not None
            future, reports = start_process(task, verbose=verbose)
            self.running.append(RunningTask(task, tries, future, reports))
        # Look after those under way.
        ended = []
        for running in self.running.copy():
            running.drain(self.reporter)
            running.check_time()
            if self.stop_requests:
                self._terminate(running)
            if running.future.done():
                ended += self._take_result(running)
        return ended

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """Start the fork server; until the context ends, SIGINT and SIGTERM stop the runs."""
        start_fork_server(
            dict.fromkeys(module for task, _ in self.waiting for module in task.modules)
        )
        with _handling_signals(self.request_stop):
            yield

    def _take_result(self, running: RunningTask) -> list[tuple[RunTask, RunResult]]:
        """Return a run that has ended with its result; nothing if it is tried again."""
        running.drain(self.reporter)
        running.reports.close()
        self.running.remove(running)
        result = self._result_of(running)
        retry = result.status == "failed" and running.tries < self.retries
        if retry and not self.stop_requests:
            self.reporter.note(f"Seed {running.task.seed} failed and is tried again.")
            self.waiting.append((running.task, running.tries + 1))
            return []
        return [(running.task, result)]

    def _result_of(self, running: RunningTask) -> RunResult:
        """Return what the process returned; if it returned nothing, record why in run.json."""
        task = running.task
        try:
            result = running.future.result()
        except RunnerError as error:  # a damaged run.json or a full disk: write nothing there
            full = is_full_disk(error)
            record = RunRecord(status="failed", error=str(error), disk_full=full)
            self.reporter.run_ended(task.run, record)
            return RunResult(task.seed, task.folder.path, record)
        except ProcessExpired as error:
            if self.stop_requests:  # killed: its process could not report that it ended
                result = record_interruption(task)
                self.reporter.run_ended(task.run, result.record)
                return result
            if not running.is_overdue:
                code = error.exitcode
                text = f"the process {describe_exit(code)}"
                return self._failed(task, text, by_signal=(code or 0) < 0)
        except BaseException as error:  # noqa: BLE001 - whatever it was, the other runs continue
            return self._failed(task, describe_exception(error))
        else:
            if not (running.is_overdue and result.status == "interrupted"):
                return result
        return self._failed(task, too_long(task))

    def _failed(self, task: RunTask, error: str, *, by_signal: bool = False) -> RunResult:
        result = record_failure(task, error, by_signal=by_signal)
        self.reporter.run_ended(task.run, result.record)
        return result

    def request_stop(self) -> None:
        """Count a request to stop; from then on :meth:`poll` starts no run and ends those there.

        After the first request the runs write their checkpoints, after a second they are killed.
        A signal handler calls this method at any time, so it sends nothing itself.
        """
        self.stop_requests += 1
        self.stop_requested_at = time.monotonic()
        if self.stop_requests == 1:
            self.reporter.note(
                "Stopping: each run writes a checkpoint. A run that takes too long for that will "
                "resume from its last one. Press Ctrl-C again to stop at once."
            )

    def stop_and_wait(self) -> None:
        """End all runs, and return when the last has ended; the results are on disk."""
        self.request_stop()
        while self.busy:
            time.sleep(POLL_SECONDS)
            self.poll()

    def _terminate(self, running: RunningTask) -> None:
        """Send SIGTERM to a run; after a second request, or if it takes too long, SIGKILL."""
        if self.stop_requests > 1 or time.monotonic() - self.stop_requested_at > GRACE_SECONDS:
            running.send(signal.SIGKILL)
        else:
            running.ask_to_stop()


@contextlib.contextmanager
def _handling_signals(on_stop: Callable[[], None]) -> Iterator[None]:
    """Call ``on_stop`` at SIGINT and SIGTERM, which would end this process otherwise."""

    def handler(number: int, frame: FrameType | None) -> None:
        del number, frame
        on_stop()

    # Only the main thread can handle signals; in another one they keep their meaning.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
