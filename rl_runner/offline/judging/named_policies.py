"""Policies by name: the recommender's baselines, or a trained run."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rl_runner.envs.recommender.exact import exact_model
from rl_runner.envs.recommender.policies import POLICIES, rule_based_policy, with_exploration
from rl_runner.errors import ConfigError, Problem, did_you_mean
from rl_runner.offline.learning.trained_run import load_trained


@dataclass(frozen=True)
class NamedPolicy:
    """A policy over states, and its name and version in logs."""

    name: str
    version: str
    probabilities: np.ndarray  # (n_states, n_actions) P(a | s)

    def exact_mean_reward(self) -> float:
        """Return the simulated people's mean reward per interaction under this policy."""
        model = exact_model()
        return model.mean_reward(self.probabilities, model.occupancy(self.probabilities))


def reference_policy() -> np.ndarray:
    """Return (n_states, n_actions) P(a | s) of the policy that others are compared with."""
    return with_exploration(rule_based_policy(), 0.0)


def named_policy(name: str, epsilon: float = 0.0) -> NamedPolicy:
    """Return a baseline, or a trained run by its folder.

    :param epsilon: the probability with which the policy takes a random action instead
    :raises RunnerError: with the most similar name, if it is neither
    """
    if name not in POLICIES and Path(name).is_dir():
        run = load_trained(Path(name))
        version, table = str(run.record.finished), run.policy_table()
        called = _called(run.path.parent.name, epsilon)
        return NamedPolicy(called, version, with_exploration(table, epsilon))
    if name not in POLICIES:
        cure = did_you_mean(name, POLICIES) or f"Policies: {', '.join(POLICIES)}."
        raise ConfigError(Problem(f"There is no policy `{name}`.", f"--policy {name}", cure))
    return NamedPolicy(_called(name, epsilon), "1", with_exploration(POLICIES[name](), epsilon))


def _called(name: str, epsilon: float) -> str:
    return name if epsilon == 0 else f"{name}+epsilon={epsilon:g}"
