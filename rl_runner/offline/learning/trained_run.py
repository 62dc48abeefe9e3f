"""Runs that have learned from a log, from disk."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rl_runner.config import ExperimentConfig, load_config
from rl_runner.envs.recommender.domain import N_STATES
from rl_runner.envs.recommender.rewards import RewardWeights, weights_from
from rl_runner.errors import CheckpointError, Problem, RunFolderError
from rl_runner.offline.learning.learners import LogLearner, build_learner, find_learner
from rl_runner.runs.find import find_runs
from rl_runner.runs.folder import RunFolder
from rl_runner.runs.record import Results, RunRecord


@dataclass(frozen=True)
class TrainedRun:
    """A finished run on logs."""

    path: Path
    config: ExperimentConfig
    record: RunRecord
    learner: LogLearner

    @property
    def learned_until(self) -> int:
        """The end of the training window, in microseconds since 1970."""
        results = self.record.results or Results()
        return int((results.log or {})["learned_until"])

    @property
    def weights(self) -> RewardWeights:
        """What the outcomes were worth."""
        return weights_from(self.config.data.rewards if self.config.data else {})

    def policy(self) -> np.ndarray:
        """Return (262500, 27) P(a | s) of the policy that is deployed."""
        return self.learner.policy(np.arange(N_STATES))


def load_trained(path: Path) -> TrainedRun:
    """Load a run on logs, or the only run of an experiment. Nothing is unpickled.

    :raises RunFolderError: if ``path`` is not a finished run on logs
    :raises CheckpointError: if its table is missing or damaged
    """
    runs = find_runs(path)
    if len(runs) > 1:
        cure = f"Name one: {runs[0]}."
        raise RunFolderError(Problem("This experiment has several runs.", str(path), cure))
    run = runs[0]
    config = load_config(run.parent)
    if config.data is None:
        cure = "Name a run of `rl train` on a config with a `data` section."
        raise RunFolderError(Problem("This run has not learned from a log.", str(run), cure))
    row = find_learner(config)
    folder = RunFolder(run, row.weights_file)
    record = folder.read_record()
    if record is None or not record.is_finished:
        raise RunFolderError(Problem("This run is not finished.", str(run)))
    learner = build_learner(config)
    try:
        learner.load(folder.weights)
    except (OSError, ValueError, KeyError) as error:
        what = f"What it has learned cannot be loaded: {error}"
        cure = "Is it damaged? `rl train … --fresh` learns it again."
        raise CheckpointError(Problem(what, str(folder.weights), cure)) from error
    return TrainedRun(run, config, record, learner)
