"""Policies that need no training, as tables: (262500, 27) probabilities or (262500,) actions."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from rl_runner.envs.recommender.domain import (
    ACTION_SIZES,
    MOODS,
    N_ACTIONS,
    N_STATES,
    STATE_SIZES,
    TIMES_OF_DAY,
    state_index,
)
from rl_runner.envs.recommender.exact import exact_model

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

DISCOUNT = 0.95  # for ``optimal``; the discount of the configs that come with rl_runner


def random_policy() -> np.ndarray:
    """Return (262500, 27): every action with the same probability."""
    return np.full((N_STATES, N_ACTIONS), 1.0 / N_ACTIONS)


def rule_based_policy() -> np.ndarray:
    """Return (262500,) actions by rules that a product team might write down.

    Lively moods get high energy, quiet and low moods get low energy, and the night gets less. Open
    people get new things, neurotic people familiar ones. Diversity is always balanced.
    """
    openness, _, _, _, neuroticism, _, mood, time = np.unravel_index(
        np.arange(N_STATES), STATE_SIZES
    )
    by_mood = {"energetic": 2, "happy": 2, "neutral": 1, "anxious": 0}  # others: low
    energy = np.array([by_mood.get(name, 0) for name in MOODS])[mood]
    energy = np.where(time == TIMES_OF_DAY.index("night"), np.maximum(energy - 1, 0), energy)
    novelty = np.where(openness >= 3, 2, np.where(neuroticism >= 3, 0, 1))
    actions: np.ndarray = np.ravel_multi_index(
        (energy, np.ones_like(energy), novelty), ACTION_SIZES
    )
    return actions


def myopic_policy() -> np.ndarray:
    """Return (262500,) the actions of highest expected reward: the optimum for γ = 0."""
    return exact_model().best_policy(gamma=0.0)


def optimal_policy(gamma: float = DISCOUNT) -> np.ndarray:
    """Return (262500,) the best actions, which also consider how the mood will change."""
    return exact_model().best_policy(gamma)


POLICIES: Mapping[str, Callable[[], np.ndarray]] = {
    "random": random_policy,
    "rule_based": rule_based_policy,
    "myopic": myopic_policy,
    "optimal": optimal_policy,
}


def with_exploration(policy: np.ndarray, epsilon: float) -> np.ndarray:
    """Return (262500, 27) probabilities: with probability ε, a random one of the 27 actions."""
    if policy.ndim == 1:
        mixed = np.full((N_STATES, N_ACTIONS), epsilon / N_ACTIONS)
        mixed[np.arange(N_STATES), policy] += 1.0 - epsilon
        return mixed
    blended: np.ndarray = (1.0 - epsilon) * policy + epsilon / N_ACTIONS
    return blended


class TablePolicy:
    """A tabular policy over states, with the signature of SB3's ``predict``.

    :param policy: (262500,) actions, or (262500, 27) P(a | s)
    :param full_states: returns the components (n, 8) of the copies' states, whatever is observed
    """

    def __init__(
        self, policy: np.ndarray, full_states: Callable[[], np.ndarray], seed: int
    ) -> None:
        # (262500,) actions, or (262500, 27) distribution functions
        self._table = policy if policy.ndim == 1 else np.cumsum(policy, axis=1)
        self._full_states = full_states
        self._rng = np.random.default_rng(seed)

    def predict(
        self,
        observation: Any,  # noqa: ARG002 - full_states has more
        state: Any = None,
        episode_start: np.ndarray | None = None,  # noqa: ARG002 - SB3's signature
        deterministic: bool = False,  # noqa: ARG002 - a random policy stays random
    ) -> tuple[np.ndarray, Any]:
        """Return (n,) actions for the current states of the n copies."""
        rows = state_index(self._full_states())
        if self._table.ndim == 1:
            return self._table[rows], state
        draws = self._rng.random(rows.shape)[..., None]
        chosen: np.ndarray = (draws >= self._table[rows][..., :-1]).sum(axis=-1)
        return chosen, state


def _baseline(name: str, env: "VecEnv", seed: int) -> TablePolicy:
    return TablePolicy(POLICIES[name](), lambda: np.stack(env.env_method("full_states")), seed)


def random_baseline(env: "VecEnv", seed: int) -> TablePolicy:
    """Build the policy of :func:`random_policy`."""
    return _baseline("random", env, seed)


def rule_based_baseline(env: "VecEnv", seed: int) -> TablePolicy:
    """Build the policy of :func:`rule_based_policy`."""
    return _baseline("rule_based", env, seed)


def myopic_baseline(env: "VecEnv", seed: int) -> TablePolicy:
    """Build the policy of :func:`myopic_policy`."""
    return _baseline("myopic", env, seed)


def optimal_baseline(env: "VecEnv", seed: int) -> TablePolicy:
    """Build the policy of :func:`optimal_policy`."""
    return _baseline("optimal", env, seed)
