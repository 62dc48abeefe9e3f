"""Prove on a user's config that an interrupted run resumes exactly."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from rl_runner.config import ExperimentConfig, dump_config
from rl_runner.errors import Problem, RunnerError
from rl_runner.evaluation.reproduction import differences
from rl_runner.training.commands.check import learning_at_once, probe_training
from rl_runner.training.environment_task import EnvironmentTask
from rl_runner.training.execution import execute
from rl_runner.training.reporting import Progress, Reporter, StopRequest
from rl_runner.training.resolve import resolve
from rl_runner.training.task import RunResult

SEGMENT_SECONDS = 3.0


@dataclass(frozen=True)
class ResumeProof:
    """A short run without interruption compared with one that was interrupted twice."""

    total_timesteps: int
    checkpoint_every: int
    stopped_at: int  # timesteps, between two checkpoints; 0 if it reached a checkpoint first
    broken_off_at: int  # timesteps at which an exception ended the run
    differences: list[str]  # empty if both runs are bit-equal


class _StopAt(Reporter):
    """Ask a run to stop at a timestep, as Ctrl-C does."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.stop = StopRequest()

    def run_progress(self, progress: Progress) -> None:
        if progress.timesteps >= self.at:
            self.stop.set()


class _FailAt(Reporter):
    """End a run by an exception at a timestep, without a checkpoint, as a power cut does."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.broken_off_at = 0

    def run_progress(self, progress: Progress) -> None:
        if not self.broken_off_at and progress.timesteps >= self.at:
            self.broken_off_at = progress.timesteps
            message = "ended by `rl doctor`"
            raise RuntimeError(message)


def prove_resume(config: ExperimentConfig) -> ResumeProof:
    """Train an experiment for a few seconds without interruption, and again with two of them.

    The second run is asked to stop in the middle of its first segment and resumes there. An
    exception then ends it in the middle of its second segment, and it resumes from the checkpoint
    before. Nothing is left on disk.

    :raises RunnerError: if the config is wrong, or the short run finished before the exception
    :raises RuntimeError: if the short run itself fails
    """
    resolved = learning_at_once(resolve(config).config)
    every = _segment_length(resolved, probe_training(resolved).steps_per_second)
    short = _three_segments(resolved, every)
    with tempfile.TemporaryDirectory(prefix="rl-doctor-") as folder:
        # Without interruption.
        whole = _run(short, Path(folder) / "whole", Reporter())
        _require_finished(whole)
        # Asked to stop in the first segment.
        stopper = _StopAt(every // 3)
        stopped = _run(short, Path(folder) / "halves", stopper, stopper.stop).record
        # Resumed, and ended by an exception in the second segment.
        breaker = _FailAt(every + every // 2)
        _run(short, Path(folder) / "halves", breaker)
        if not breaker.broken_off_at:
            what = "The short run finished before it could be interrupted, which proves nothing."
            cure = "Try again when the machine is less busy."
            raise RunnerError(Problem(what, config.name, cure))
        # Resumed again, to the end.
        resumed = _run(short, Path(folder) / "halves", breaker)
        _require_finished(resumed)
        found = differences(
            EnvironmentTask(short, 0, Path(folder) / "whole").folder,
            EnvironmentTask(short, 0, Path(folder) / "halves").folder,
        )
    stopped_at = stopped.stopped_at or 0
    left = stopped_at if stopped_at == stopped.timesteps and 0 < stopped_at < every else 0
    return ResumeProof(3 * every, every, left, breaker.broken_off_at, found)


def _segment_length(config: ExperimentConfig, steps_per_second: float) -> int:
    """Return the timesteps of about three seconds, but at least two rollouts."""
    rollout: int = config.algo.hyperparameters.get("n_steps", 1) * config.env.n_envs
    return max(int(steps_per_second * SEGMENT_SECONDS), 2 * rollout)


def _three_segments(config: ExperimentConfig, every: int) -> ExperimentConfig:
    """Return the config with a budget of three segments of ``every`` timesteps."""
    return config.model_copy(
        update={
            "train": config.train.model_copy(update={"total_timesteps": 3 * every}),
            "eval": config.eval.model_copy(
                update={"every": every, "n_episodes": 2, "final_episodes": 2}
            ),
            "checkpoint": config.checkpoint.model_copy(update={"every": every}),
        }
    )


def _run(
    config: ExperimentConfig, experiment: Path, reporter: Reporter, stop: StopRequest | None = None
) -> RunResult:
    task = EnvironmentTask(config, 0, experiment)
    task.experiment_folder.write_config(dump_config(config))
    return execute(task, reporter, stop or StopRequest())


def _require_finished(result: RunResult) -> None:
    if result.status != "finished":
        message = f"the short run failed: {result.record.traceback}"
        raise RuntimeError(message)
