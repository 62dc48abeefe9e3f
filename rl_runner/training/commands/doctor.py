"""Proof that a stopped run goes on exactly, on the user's own config."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from rl_runner.config import ExperimentConfig, dump_config
from rl_runner.errors import Problem, RunnerError
from rl_runner.evaluation.reproduction import differences
from rl_runner.training.commands.check import check_experiment, learning_at_once
from rl_runner.training.reporting import Progress, Reporter, StopRequest
from rl_runner.training.resolve import resolve
from rl_runner.training.task import RunResult, RunTask, execute

SEGMENT_SECONDS = 3.0


@dataclass(frozen=True)
class ResumeProof:
    """What came of running a short piece whole, and stopped, broken off and resumed."""

    total_timesteps: int
    checkpoint_every: int
    stopped_at: int  # asked to, between two checkpoints; 0 if it reached the next one first
    broken_off_at: int
    differences: list[str]


class _Asking(Reporter):
    """Asks a run to stop when it has come far enough."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.stop = StopRequest()

    def run_progress(self, progress: Progress) -> None:
        if progress.timesteps >= self.at:
            self.stop.set()


class _BreakOff(Reporter):
    """Ends a run by an exception when it has come far enough."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.broken_off_at = 0

    def run_progress(self, progress: Progress) -> None:
        if not self.broken_off_at and progress.timesteps >= self.at:
            self.broken_off_at = progress.timesteps
            message = "broken off by the doctor"
            raise RuntimeError(message)


def prove_resume(config: ExperimentConfig) -> ResumeProof:
    """Run a few seconds of an experiment whole, and again stopped, broken off and resumed.

    It is asked to stop in the middle of the first segment, which it leaves there, and broken off in
    the middle of the second one, which it then begins again.

    Nothing is left on disk.

    :raises RunnerError: if the config is wrong, or the short run could not be broken off
    :raises RuntimeError: if the short run itself fails
    """
    speed = check_experiment(config).steps_per_second
    resolved = learning_at_once(resolve(config))
    every = _segment_length(resolved, speed)
    short = resolved.model_copy(
        update={
            "train": resolved.train.model_copy(update={"total_timesteps": 3 * every}),
            "eval": resolved.eval.model_copy(
                update={"every": every, "n_episodes": 2, "final_episodes": 2}
            ),
            "checkpoint": resolved.checkpoint.model_copy(update={"every": every}),
        }
    )
    with tempfile.TemporaryDirectory(prefix="rl-doctor-") as folder:
        whole = _run(short, Path(folder) / "whole", Reporter())
        _finished(whole)
        asking = _Asking(every // 3)
        stopped = _run(short, Path(folder) / "halves", asking, asking.stop).record
        breaker = _BreakOff(every + every // 2)
        _run(short, Path(folder) / "halves", breaker)
        if not breaker.broken_off_at:
            what = "The short run was over before it could be broken off, which proves nothing."
            cure = "Examine it again, when the machine is less busy."
            raise RunnerError(Problem(what, config.name, cure))
        resumed = _run(short, Path(folder) / "halves", breaker)
        _finished(resumed)
        found = differences(
            RunTask(short, 0, Path(folder) / "whole").folder,
            RunTask(short, 0, Path(folder) / "halves").folder,
        )
    stopped_at = stopped.get("stopped_at", 0)
    left = stopped_at if 0 < stopped_at == stopped["timesteps"] < every else 0
    return ResumeProof(3 * every, every, left, breaker.broken_off_at, found)


def _segment_length(config: ExperimentConfig, speed: float) -> int:
    """Return about three seconds' timesteps, but at least two rollouts."""
    rollout: int = config.algo.hyperparameters.get("n_steps", 1) * config.env.n_envs
    return max(int(speed * SEGMENT_SECONDS), 2 * rollout)


def _run(
    config: ExperimentConfig, experiment: Path, reporter: Reporter, stop: StopRequest | None = None
) -> RunResult:
    task = RunTask(config, 0, experiment)
    task.experiment_folder.write_config(dump_config(config))
    return execute(task, reporter, stop or StopRequest())


def _finished(result: RunResult) -> None:
    if result.status != "finished":
        message = f"the short run failed: {result.record.get('traceback')}"
        raise RuntimeError(message)
