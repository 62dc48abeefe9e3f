"""Baselines: policies that need no training, with which agents are compared.

Environments with policies of their own (a fixed curriculum, an exact oracle) list them in
:data:`BASELINES`. :mod:`rl_runner.evaluation` adds ``random`` for every environment, and
``optimal`` where there is a transition table.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rl_runner.policy import Policy

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv


# Takes the environments to act in, into which an oracle may look, and a seed.
BaselineFactory = Callable[["VecEnv", int], Policy]

# environment id → baseline → its factory, imported on demand
BASELINES: Mapping[str, Mapping[str, str]] = {
    "Tutor-v0": {
        name: f"rl_runner.envs.tutor.planning.baselines:{name}"
        for name in (
            "round_robin",
            "bandit",
            "greedy_gap",
            "fixed_curriculum",
            "mastery",
            "qmdp",
            "lookahead",
            "oracle",
        )
    },
    "Recommender-v0": {
        name: f"rl_runner.envs.recommender.policies:{name}_baseline"
        for name in ("random", "rule_based", "myopic", "optimal")
    },
}

# Baselines that comparisons show in addition to random and best: strong and quick to play.
REFERENCES: Mapping[str, tuple[str, ...]] = {
    "Tutor-v0": ("mastery", "bandit", "fixed_curriculum"),
}

# environment id → a function of one unwrapped environment: the exact mean return that no policy
# exceeds, for environments without a transition table
HIGHEST_MEANS: Mapping[str, str] = {
    "Tutor-v0": "rl_runner.envs.tutor.planning.baselines:highest_mean",
}


def highest_mean_of(env_id: str) -> Callable[[Any], float] | None:
    """Import the function that returns the exact mean return that no policy exceeds, if known."""
    place = HIGHEST_MEANS.get(env_id.rpartition(":")[2])
    if place is None:
        return None
    module, _, attribute = place.partition(":")
    function: Callable[[Any], float] = getattr(importlib.import_module(module), attribute)
    return function


def references_of(env_id: str) -> tuple[str, ...]:
    """Return the names of the baselines that comparisons show as reference lines."""
    return REFERENCES.get(env_id.rpartition(":")[2], ())


def baselines_of(env_id: str) -> tuple[str, ...]:
    """Return the names of an environment's own baselines."""
    return tuple(BASELINES.get(env_id.rpartition(":")[2], ()))


def load_baseline(env_id: str, name: str) -> BaselineFactory:
    """Import the factory of one of :func:`baselines_of`; raises KeyError for other names."""
    module, _, attribute = BASELINES[env_id.rpartition(":")[2]][name].partition(":")
    factory: BaselineFactory = getattr(importlib.import_module(module), attribute)
    return factory
