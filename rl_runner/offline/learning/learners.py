"""The learners: one row per way of learning from a log, and the protocol that each follows."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rl_runner.agents.hyperparameters.constructor import check_hyperparameters
from rl_runner.agents.registry import Algorithm
from rl_runner.config import ExperimentConfig
from rl_runner.errors import ConfigError, Problem, did_you_mean
from rl_runner.offline.learning.backoff import N_STATES
from rl_runner.offline.logs.interactions import Interactions
from rl_runner.runs.log_results import Coverage, Learned


class LogLearner(Protocol):
    """An algorithm that learns a policy from a log."""

    gamma: float
    values_are_bounded: bool  # whether a value beyond what rewards can sum to would be a bug

    @property
    def epsilon(self) -> float:
        """The share of actions that the deployed policy draws at random, now."""

    @property
    def lowest_epsilon(self) -> float:
        """The lowest ε that the deployed policy may reach."""

    def learn(self, log: Interactions) -> Learned:
        """Learn from interactions later than those of earlier calls."""

    def q_values(self, states: np.ndarray) -> np.ndarray:
        """Return (n, n_actions) action values of (n,) states."""

    def preferences(self, states: np.ndarray) -> np.ndarray:
        """Return (n, n_actions) what the deployed policy maximises: values, and any bonus."""

    def policy(self, states: np.ndarray) -> np.ndarray:
        """Return (n, n_actions) P(a | s) of the policy that is deployed."""

    def coverage(self) -> Coverage:
        """Return how much of the domain was seen, and the mean and extremes of the values."""

    def outside(self, reward_bounds: tuple[float, float]) -> int:
        """Return how many values lie beyond what rewards can sum to."""

    def save(self, path: Path) -> None:
        """Write what was learned to an npz file."""

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
    """Return the row that a config names.

    :raises ConfigError: with the most similar name, if there is none
    """
    name = config.algo.name
    if name in LEARNERS:
        return LEARNERS[name]
    cure = did_you_mean(name, LEARNERS) or f"These do: {', '.join(LEARNERS)}."
    what = f"`{name}` does not learn from logs."
    raise ConfigError(Problem(what, config.source.locate(("algo", "name")), cure))


def check_learner(config: ExperimentConfig) -> dict[str, Any]:
    """Return the complete hyperparameters of a config.

    :raises ConfigError: on unknown or invalid ones
    """
    return check_hyperparameters(find_learner(config), config.algo.hyperparameters, config.source)


def policy_table(learner: LogLearner) -> np.ndarray:
    """Return (n_states, n_actions) P(a | s) of the policy that is deployed."""
    return learner.policy(np.arange(N_STATES))


def build_learner(config: ExperimentConfig) -> LogLearner:
    """Build the learner of a config whose hyperparameters are checked.

    :raises ConfigError: on values that the learner's constructor refuses
    """
    row = find_learner(config)
    try:
        learner: LogLearner = row.load_class()(**config.algo.hyperparameters)
    except ValueError as error:
        what = f"{row.name} refuses this configuration: {error}."
        raise ConfigError(Problem(what, config.source.locate(("algo",)))) from None
    return learner
