"""One run as a task: claimed, trained, and recorded whatever happens to it.

This is the seam at which runs are started. A task holds plain values only, so that it can be sent
to another process or another machine; :func:`execute` needs nothing but the task and the disk.
"""

import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rl_runner.agents.registry import find_algorithm
from rl_runner.config import EnvConfig, ExperimentConfig
from rl_runner.envs import reason_for_single_copies
from rl_runner.errors import RunFolderError, RunnerError
from rl_runner.runs.disk import is_full_disk
from rl_runner.runs.folder import ExperimentFolder, RunFolder
from rl_runner.runs.provenance import now, provenance
from rl_runner.training.reporting import Evaluated, Progress, Reporter, RunId, StopRequest

HEARTBEAT_SECONDS = 10.0


def folder_at(path: Path, config: ExperimentConfig) -> ExperimentFolder:
    """Return the experiment's folder ``path``, which knows what its agents' files are called."""
    return ExperimentFolder(path, find_algorithm(config.algo.name).weights_file)


@dataclass(frozen=True)
class RunTask:
    """One seed of a resolved config, and where its results belong."""

    config: ExperimentConfig
    seed: int
    experiment: Path
    fresh: bool = False

    @property
    def experiment_folder(self) -> ExperimentFolder:
        """The folder of the experiment it belongs to."""
        return folder_at(self.experiment, self.config)

    @property
    def folder(self) -> RunFolder:
        """The run's folder."""
        return self.experiment_folder.run(self.seed)

    @property
    def run(self) -> RunId:
        """What reports call it."""
        return RunId(self.config.name, self.seed)


@dataclass(frozen=True)
class RunResult:
    """How one seed ended."""

    seed: int
    path: Path
    record: Mapping[str, Any]
    elsewhere: bool = False  # left to another process

    @property
    def status(self) -> str:
        """``finished``, ``failed``, ``interrupted``, ``pruned``, or ``running`` elsewhere."""
        return str(self.record.get("status", "running"))

    @property
    def mean_reward(self) -> float | None:
        """The last agent's mean return over the held-out episodes; None if it did not finish."""
        value: float | None = self.record.get("results", {}).get("last", {}).get("mean_reward")
        return value


def execute(task: RunTask, reporter: Reporter, stop: StopRequest) -> RunResult:
    """Train one seed from where it stopped, unless it is finished or another process is at it.

    An exception of the run itself is recorded in its run.json and not raised. Raises RunFolderError
    if the folder cannot be written.
    """
    run = task.folder
    if not run.claim():
        reporter.note(f"Seed {task.seed} is being trained by another process; left to it.")
        return RunResult(task.seed, run.path, {"status": "running"}, elsewhere=True)
    try:
        if task.fresh:
            run.clear()
            run.write_record(new_record(task))
        record = run.read_record()
        if record.get("status") != "finished" or not run.weights.is_file():
            reporter.run_started(task.run)
            record = _train_and_record(task, run, reporter, stop)
        reporter.run_ended(task.run, record)
        return RunResult(task.seed, run.path, record)
    finally:
        run.release()


def look_again(result: RunResult, task: RunTask) -> RunResult:
    """Return how a run stands by now that was left to another process."""
    run = task.folder
    if not result.elsewhere or run.is_claimed():
        return result
    try:
        record = run.read_record()
    except RunFolderError as error:
        record = {"status": "failed", "error": str(error)}
    if record.get("status") == "running":  # it was killed
        timesteps = run.checkpoints.newest_timesteps()
        record |= {"status": "interrupted", "timesteps": timesteps}
    return replace(result, record=record)


def _train_and_record(
    task: RunTask, run: RunFolder, reporter: Reporter, stop: StopRequest
) -> dict[str, Any]:
    """Train one seed and keep its run.json true to what happens."""
    from rl_runner.training.resume.segments import Interrupted
    from rl_runner.training.run import train_run

    begun = {"status": "running", "started": now(), **provenance()}
    record = {**new_record(task), **_origin(run), **begun}
    run.write_record(record)
    started = time.monotonic()
    heartbeat = _Heartbeat(reporter, run, record)
    try:
        record |= _stepping(task.config.env)
        record |= train_run(task.config, task.seed, run, heartbeat, stop)
        record["status"] = "finished"
    except (KeyboardInterrupt, Interrupted) as error:
        status = "pruned" if stop.hopeless else "interrupted"
        record |= {"status": status, "timesteps": run.checkpoints.newest_timesteps()}
        if isinstance(error, Interrupted):
            record["stopped_at"] = error.timesteps
        if isinstance(error, KeyboardInterrupt):
            raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - recorded with its traceback; other runs go on
        told = " ".join(str(error).split()) if isinstance(error, RunnerError) else repr(error)
        if isinstance(error, EOFError | ConnectionError) and task.config.env.vec == "subproc":
            told = "an environment's process ended; `env.vec: dummy` would show why"
        record |= {"status": "failed", "error": told, "traceback": traceback.format_exc()}
        record["log_tail"] = run.log_tail()
        if is_full_disk(error):
            record["disk_full"] = True  # the run is not to blame
    finally:
        record |= {"finished": now(), "seconds": round(time.monotonic() - started, 3)}
        run.write_record(record)
    return record


def _origin(run: RunFolder) -> dict[str, Any]:
    """Return what run.json keeps while there are checkpoints: the run it was extended from."""
    before = run.read_record() if run.checkpoints.newest_timesteps() else {}
    return {key: before[key] for key in ("extended_from",) if key in before}


def _stepping(env: EnvConfig) -> dict[str, Any]:
    """Return how the copies are stepped, and why not as a batch, for run.json."""
    reason = reason_for_single_copies(env)
    if reason is None:
        return {"vec": "batched"}
    in_processes = env.vec == "subproc" and env.n_envs > 1
    return {"vec": "subproc" if in_processes else "dummy", "vec_reason": reason}


def new_record(task: RunTask) -> dict[str, Any]:
    """Return what run.json says of a run that has not begun."""
    return {
        "format": 1,
        "status": "pending",
        "name": task.config.name,
        "env": task.config.env.id,
        "algo": task.config.algo.name,
        "engine": task.config.algo.engine,
        "seed": task.seed,
    }


def announce(task: RunTask) -> None:
    """Let run.json say that the run is pending, unless it says something already."""
    task.folder.announce(new_record(task))


def record_interruption(task: RunTask) -> RunResult:
    """Note in run.json that the run's process was killed because somebody asked it to stop."""
    goes_on_from = task.folder.checkpoints.newest_timesteps()
    told = {"status": "interrupted", "timesteps": goes_on_from, "finished": now()}
    return _record_from_outside(task, told)


def record_failure(task: RunTask, error: str, *, by_signal: bool = False) -> RunResult:
    """Note in run.json that the run's process ended without doing so itself."""
    told: dict[str, Any] = {"error": error, "log_tail": task.folder.log_tail()}
    if by_signal:
        told["ended_by_signal"] = True
    return _record_from_outside(task, {"status": "failed", **told, "finished": now()})


def too_long(task: RunTask) -> str:
    """Say that a run took longer than its config allows."""
    return f"took longer than {task.config.train.max_hours} hours"


def _record_from_outside(task: RunTask, told: dict[str, Any]) -> RunResult:
    """Add to run.json what the run's process could not say itself any more."""
    run = task.folder
    try:
        record = {**(run.read_record() or new_record(task)), **told}
        if run.claim():  # else another process has taken it over by now
            try:
                run.write_record(record)
            finally:
                run.release()
    except RunFolderError as error:  # damaged, or not to be written: left as it is
        told |= {"error": str(error), "disk_full": is_full_disk(error)}
        return RunResult(task.seed, run.path, told)
    return RunResult(task.seed, run.path, record)


class _Heartbeat(Reporter):
    """Passes reports on and, now and then, notes in run.json that the run is alive, and where."""

    def __init__(self, inner: Reporter, run: RunFolder, record: dict[str, Any]) -> None:
        self._inner = inner
        self._run = run
        self._record = record
        self._last = time.monotonic()
        self.metrics_file = inner.metrics_file

    def note(self, text: str) -> None:
        self._inner.note(text)

    def run_evaluated(self, evaluated: Evaluated) -> None:
        self._inner.run_evaluated(evaluated)

    def run_progress(self, progress: Progress) -> None:
        self._inner.run_progress(progress)
        if time.monotonic() - self._last >= HEARTBEAT_SECONDS:
            self._last = time.monotonic()
            self._record |= {"heartbeat": now(), "timesteps": progress.timesteps}
            self._run.write_record(self._record)
