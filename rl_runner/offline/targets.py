"""Policies by name: a baseline, or a trained run."""

from dataclasses import dataclass

import numpy as np

from rl_runner.envs.recommender.exact import exact_model
from rl_runner.envs.recommender.policies import POLICIES, with_exploration
from rl_runner.errors import ConfigError, Problem, did_you_mean


@dataclass(frozen=True)
class NamedPolicy:
    """A policy over states and what logs call it."""

    name: str
    version: str
    probabilities: np.ndarray  # (262500, 27) P(a | s)

    def exact_mean_reward(self) -> float:
        """Return the simulated people's mean reward per interaction under this policy."""
        model = exact_model()
        return model.mean_reward(self.probabilities, model.occupancy(self.probabilities))


def named_policy(name: str, epsilon: float = 0.0) -> NamedPolicy:
    """Return the baseline called ``name``, with probability ``epsilon`` any action instead.

    :raises ConfigError: with the nearest name
    """
    if name not in POLICIES:
        cure = did_you_mean(name, POLICIES) or f"Policies: {', '.join(POLICIES)}."
        raise ConfigError(Problem(f"There is no policy `{name}`.", f"--policy {name}", cure))
    called = name if epsilon == 0 else f"{name}+epsilon={epsilon:g}"
    return NamedPolicy(called, "1", with_exploration(POLICIES[name](), epsilon))
