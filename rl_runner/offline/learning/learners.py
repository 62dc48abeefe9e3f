"""ONE row per way of learning from a log, and what each must offer."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rl_runner.agents.hyperparameters.constructor import check_hyperparameters
from rl_runner.agents.registry import Algorithm
from rl_runner.config import ExperimentConfig
from rl_runner.errors import ConfigError, Problem, did_you_mean
from rl_runner.offline.logs.interactions import Interactions


class LogLearner(Protocol):
    """What learns from a log."""

    gamma: float
    values_are_bounded: bool  # whether a value outside what rewards can sum to would be a bug

    def learn(self, log: Interactions) -> dict[str, Any]:
        """Learn from interactions that come after all learned from before."""

    def q_values(self, states: np.ndarray) -> np.ndarray:
        """Return (n, 27) action values of (n,) states."""

    def policy(self, states: np.ndarray) -> np.ndarray:
        """Return (n, 27) P(a | s) of the policy that is deployed."""

    def coverage(self) -> dict[str, Any]:
        """Return what was seen, and mean and extremes of the values."""

    def outside(self, reward_bounds: tuple[float, float]) -> int:
        """Return how many values lie outside what rewards can sum to."""

    def save(self, path: Path) -> None:
        """Write what was learned."""

    def load(self, path: Path) -> None:
        """Read what :meth:`save` wrote; raises OSError, ValueError or KeyError."""


LEARNERS: dict[str, Algorithm] = {
    row.name: row
    for row in (
        Algorithm(
            "q_learning",
            "rl_runner.offline.learning.log_q_learning:LogQLearning",
            "Watkins & Dayan 1992",
            weights_file="log_table.npz",
        ),
        Algorithm(
            "reward_regression",
            "rl_runner.offline.learning.reward_regression:RewardRegression",
            "Hoerl & Kennard 1970",
            weights_file="log_regression.npz",
        ),
    )
}


def find_learner(config: ExperimentConfig) -> Algorithm:
    """Return the row that the config names; raises ConfigError with the nearest name."""
    name = config.algo.name
    if name in LEARNERS:
        return LEARNERS[name]
    cure = did_you_mean(name, LEARNERS) or f"These do: {', '.join(LEARNERS)}."
    what = f"`{name}` does not learn from logs."
    raise ConfigError(Problem(what, config.source.locate(("algo", "name")), cure))


def check_learner(config: ExperimentConfig) -> dict[str, Any]:
    """Return the complete hyperparameters; raises ConfigError on unknown or impossible ones."""
    return check_hyperparameters(find_learner(config), config.algo.hyperparameters, config.source)


def build_learner(config: ExperimentConfig) -> LogLearner:
    """Build the learner of a config whose hyperparameters are checked.

    :raises ConfigError: on what only the constructor can refuse
    """
    row = find_learner(config)
    try:
        learner: LogLearner = row.load_class()(**config.algo.hyperparameters)
    except ValueError as error:
        what = f"{row.name} refuses this configuration: {error}."
        raise ConfigError(Problem(what, config.source.locate(("algo",)))) from None
    return learner
