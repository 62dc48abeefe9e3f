"""What training tells whoever watches: the command line draws it, a notebook may ignore it."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from rl_runner.config import ExperimentConfig
from rl_runner.runs.record import RunRecord


@dataclass(frozen=True)
class RunId:
    """Which run a report is about."""

    experiment: str
    seed: int


@dataclass(frozen=True)
class Progress:
    """How far one run is."""

    run: RunId
    timesteps: int
    total_timesteps: int
    steps_per_second: float
    mean_return: float | None  # over the last 100 training episodes
    mean_evaluation: float | None  # of the last periodic evaluation


@dataclass(frozen=True)
class Evaluated:
    """What a periodic evaluation gave."""

    run: RunId
    timesteps: int
    mean_reward: float


class Interrupted(Exception):  # noqa: N818 - control flow, not an error
    """A run has stopped because it was asked to.

    :param timesteps: how far it was
    """

    def __init__(self, timesteps: int) -> None:
        super().__init__(timesteps)
        self.timesteps = timesteps


class StopRequest(threading.Event):
    """Set it to ask a run to stop: at its next checkpoint, or at once because it is hopeless."""

    hopeless = False

    def give_up(self) -> None:
        """Ask the run to end at once; nobody wants it to go on later."""
        self.hopeless = True
        self.set()


class Reporter:
    """Listens to training; this one says nothing. Override what you want to hear."""

    metrics_file: TextIO | None = None  # where every metric that TensorBoard gets is printed too

    def experiment_started(
        self, config: ExperimentConfig, path: Path, seeds: Sequence[int]
    ) -> None:
        """Hear that training is about to begin in folder ``path``."""

    def note(self, text: str) -> None:
        """Hear of something worth knowing, e.g. a time limit that we had to choose."""

    def run_started(self, run: RunId) -> None:
        """Hear that a run begins."""

    def run_progress(self, progress: Progress) -> None:
        """Hear how far a run is, a few times a second."""

    def run_evaluated(self, evaluated: Evaluated) -> None:
        """Hear what a periodic evaluation gave; a run that goes on tells the earlier ones again."""

    def run_ended(self, run: RunId, record: RunRecord) -> None:
        """Hear that a run ended (finished, failed, or was there already), with its run.json."""

    def close(self) -> None:
        """Stop listening."""
