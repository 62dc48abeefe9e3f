"""Policies that need no training: the reference lines of an evaluation.

An environment that knows such policies (a tutor's fixed curriculum, the exact oracle) lists them in
:data:`BASELINES`. What any environment has (``random``, and the optimum where there is a transition
table) is added in :mod:`rl_runner.evaluation`.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from rl_runner.policy import Policy

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv


# Called with the environments it will act in and a seed; an oracle may look into the environments.
BaselineFactory = Callable[["VecEnv", int], Policy]

# env id → name → where the factory is; imported when it is asked for
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
            "oracle",
        )
    },
    "Recommender-v0": {
        name: f"rl_runner.envs.recommender.policies:{name}_baseline"
        for name in ("random", "rule_based", "myopic", "optimal")
    },
}

# The baselines that comparisons show beside random and best: those worth beating, quick to play.
REFERENCES: Mapping[str, tuple[str, ...]] = {
    "Tutor-v0": ("mastery", "bandit", "fixed_curriculum"),
}


def references_of(env_id: str) -> tuple[str, ...]:
    """Return the names of the baselines that comparisons show as reference lines."""
    return REFERENCES.get(env_id.rpartition(":")[2], ())


def baselines_of(env_id: str) -> tuple[str, ...]:
    """Return the names of the baselines that an environment brings itself."""
    return tuple(BASELINES.get(env_id.rpartition(":")[2], ()))


def load_baseline(env_id: str, name: str) -> BaselineFactory:
    """Import the factory of one of :func:`baselines_of`."""
    module, _, attribute = BASELINES[env_id.rpartition(":")[2]][name].partition(":")
    factory: BaselineFactory = getattr(importlib.import_module(module), attribute)
    return factory
