"""A run as a task, whatever it learns from, and how it ended.

A :class:`RunTask` can be sent to another process or another machine; :func:`.execution.execute`
needs nothing but the task and the disk. Its subclasses decide what a run learns from:
:class:`.environment_task.EnvironmentTask`, or :class:`rl_runner.offline.learning.training.LogTask`.
"""

import abc
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rl_runner.agents.registry import ALGORITHMS
from rl_runner.config import ExperimentConfig, experiment_hash
from rl_runner.config.schema import AlgoConfig
from rl_runner.runs.folder import ExperimentFolder, RunFolder
from rl_runner.runs.record import Completion, RunRecord
from rl_runner.training.reporting import Reporter, RunId, StopRequest

TRAINING = "rl_runner.training.run"  # imports torch and SB3


@dataclass(frozen=True)
class RunTask(abc.ABC):
    """One seed of a resolved config, and where its results belong."""

    config: ExperimentConfig
    seed: int
    experiment: Path
    fresh: bool = False

    @property
    @abc.abstractmethod
    def weights_file(self) -> str:
        """The file name of what was learned."""

    @property
    def agent_files(self) -> tuple[str, ...]:
        """The file names that a finished run's agent consists of; it is loaded from all of them."""
        return (self.weights_file,)

    @property
    @abc.abstractmethod
    def modules(self) -> Sequence[str]:
        """What a process imports for it; the fork server does so once for all runs."""

    @abc.abstractmethod
    def train(self, run: RunFolder, reporter: Reporter, stop: StopRequest) -> Completion:
        """Train in a claimed folder, from where an earlier session was interrupted if possible.

        :raises Interrupted: if it stopped because it was asked to
        """

    def new_record(self) -> RunRecord:
        """Return what run.json says of a run that has not begun."""
        config = self.config
        return RunRecord(
            name=config.name,
            config_hash=experiment_hash(config),
            env=config.env.id,
            algo=config.algo.name,
            seed=self.seed,
        )

    def with_details(self, record: RunRecord) -> RunRecord:
        """Add to the record of a run that begins what only this kind of task knows."""
        return record

    @property
    def experiment_folder(self) -> ExperimentFolder:
        """The folder of the experiment it belongs to."""
        return ExperimentFolder(self.experiment, self.weights_file)

    @property
    def folder(self) -> RunFolder:
        """The run's folder."""
        return self.experiment_folder.run(self.seed)

    @property
    def run(self) -> RunId:
        """How reports refer to it."""
        return RunId(self.config.name, self.seed)


@dataclass(frozen=True)
class RunResult:
    """How one seed ended."""

    seed: int
    path: Path
    record: RunRecord
    was_finished: bool = False  # before this command, which therefore trained nothing
    elsewhere: bool = False  # left to another process
    holder: str = ""  # which one, if it is known

    @property
    def status(self) -> str:
        """``finished``, ``failed``, ``interrupted``, ``pruned``, or ``running`` elsewhere."""
        return self.record.status

    @property
    def mean_reward(self) -> float | None:
        """The last agent's mean return over the held-out episodes; None if it did not finish."""
        return self.record.last.mean_reward


def modules_for(algorithms: Iterable[AlgoConfig]) -> list[str]:
    """Return the modules that a process imports to train with these algorithms.

    A command asks for them before it loads torch itself, so this module must not import it.
    """
    modules = {TRAINING: None}  # in order, each of them once
    for algo in algorithms:
        if algo.name in ALGORITHMS:  # an unknown one is refused later, with its place in the config
            modules |= dict.fromkeys(ALGORITHMS[algo.name].modules_to_share(algo.engine))
    return list(modules)
