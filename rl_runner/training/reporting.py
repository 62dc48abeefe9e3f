"""What training reports while it runs: the command line displays it, a notebook may ignore it."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from rl_runner.config import ExperimentConfig
from rl_runner.runs.record import RunRecord


@dataclass(frozen=True)
class RunId:
    """The run that a report is about."""

    experiment: str
    seed: int


@dataclass(frozen=True)
class Progress:
    """How far one run has come."""

    run: RunId
    timesteps: int
    total_timesteps: int
    steps_per_second: float
    mean_return: float | None  # over the last 100 training episodes
    mean_evaluation: float | None  # of the last periodic evaluation


@dataclass(frozen=True)
class Evaluated:
    """The result of a periodic evaluation."""

    run: RunId
    timesteps: int
    mean_reward: float


class Interrupted(Exception):  # noqa: N818 - control flow, not an error
    """A run has stopped because it was asked to.

    :param timesteps: how far it had come
    """

    def __init__(self, timesteps: int) -> None:
        super().__init__(timesteps)
        self.timesteps = timesteps


class StopRequest(threading.Event):
    """Set it to ask a run to stop: at its next rollout start, with a checkpoint.

    :meth:`give_up` asks it to stop at its next step, without one.
    """

    hopeless = False

    def give_up(self) -> None:
        """Ask the run to end at once; it will not be resumed."""
        self.hopeless = True
        self.set()


class Reporter:
    """Receives reports on training and ignores them. Override the methods that you need."""

    metrics_file: TextIO | None = None  # where every metric that TensorBoard gets is printed too

    def experiment_started(
        self, config: ExperimentConfig, path: Path, seeds: Sequence[int]
    ) -> None:
        """Handle the report that training is about to begin in folder ``path``."""

    def note(self, text: str) -> None:
        """Handle a message worth reading, e.g. on a time limit that rl_runner had to choose."""

    def run_started(self, run: RunId) -> None:
        """Handle the report that a run begins."""

    def run_progress(self, progress: Progress) -> None:
        """Handle the progress of a run; called a few times a second."""

    def run_evaluated(self, evaluated: Evaluated) -> None:
        """Handle a periodic evaluation; a resumed run reports its earlier ones again."""

    def run_ended(self, run: RunId, record: RunRecord) -> None:
        """Handle a run's end, with its run.json, whose status says how it ended."""

    def close(self) -> None:
        """Release what the reporter holds, such as the terminal; no report follows."""
