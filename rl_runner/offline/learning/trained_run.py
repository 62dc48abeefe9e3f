"""A finished run on logs, loaded from disk."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rl_runner.config import ExperimentConfig, load_config
from rl_runner.errors import CheckpointError, Problem, RunFolderError
from rl_runner.layout import RECORD
from rl_runner.offline.learning.learners import (
    LogLearner,
    build_learner,
    find_learner,
    policy_table,
)
from rl_runner.offline.logs.encoding import RewardWeights, reward_weights
from rl_runner.runs.find import find_runs
from rl_runner.runs.folder import RunFolder
from rl_runner.runs.log_results import LogReport
from rl_runner.runs.record import EDITED, RunRecord


@dataclass(frozen=True)
class TrainedRun:
    """A finished run on logs, with what it has learned."""

    path: Path
    config: ExperimentConfig
    record: RunRecord
    log: LogReport  # what it has read and learned from
    learner: LogLearner

    @property
    def weights(self) -> RewardWeights:
        """What the outcomes are worth in its rewards."""
        return reward_weights(self.config)

    def policy_table(self) -> np.ndarray:
        """Return (n_states, n_actions) P(a | s) of the policy that is deployed."""
        return policy_table(self.learner)


def load_trained(path: Path) -> TrainedRun:
    """Load a run on logs, or the only run of an experiment; nothing is unpickled.

    :raises RunFolderError: if ``path`` is not a finished run on logs
    :raises CheckpointError: if its table is missing or damaged
    """
    # Find the run, and its config.
    runs = find_runs(path)
    if len(runs) > 1:
        cure = f"Name one: {runs[0]}."
        raise RunFolderError(Problem("This experiment has several runs.", str(path), cure))
    run = runs[0]
    config = load_config(run.parent)
    if config.data is None:
        cure = "Name a run of `rl train` on a config with a `data` section."
        raise RunFolderError(Problem("This run has not learned from a log.", str(run), cure))
    # Read what run.json says of it.
    row = find_learner(config)
    folder = RunFolder(run, row.weights_file)
    record = folder.read_record()
    if record is None or not record.is_finished:
        raise RunFolderError(Problem("This run is not finished.", str(run)))
    if record.results is None or record.results.log is None:
        what = "`results.log` is missing: what it has learned from."
        raise RunFolderError(Problem(what, str(run / RECORD), EDITED))
    # Load what it has learned.
    learner = build_learner(config)
    try:
        learner.load(folder.agents.weights)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        what = f"The file of what it has learned cannot be loaded: {error}"
        cure = "It may be damaged. `rl train … --fresh` learns it again."
        raise CheckpointError(Problem(what, str(folder.agents.weights), cure)) from error
    return TrainedRun(run, config, record, record.results.log, learner)
