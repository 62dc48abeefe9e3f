"""The tutor's baselines by name: each builds a policy for the environments it will act in."""

from typing import TYPE_CHECKING, Any

import numpy as np

from rl_runner.envs.tutor.planning.policies import (
    FixedCurriculum,
    GreedyGap,
    Mastery,
    RoundRobin,
    Tutor,
)

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv


def round_robin(env: "VecEnv", seed: int) -> Tutor:
    """Return the policy that suggests the topics in turn; it needs neither argument."""
    del env, seed
    return RoundRobin()


def fixed_curriculum(env: "VecEnv", seed: int) -> Tutor:
    """Return the policy that teaches topic by topic, with quizzes; it needs neither argument."""
    del env, seed
    return FixedCurriculum()


def greedy_gap(env: "VecEnv", seed: int) -> Tutor:
    """Return the policy that teaches the least known topic; it needs neither argument."""
    del env, seed
    return GreedyGap()


def mastery(env: "VecEnv", seed: int) -> Tutor:
    """Return the fixed curriculum that repeats what failed; it needs neither argument."""
    del env, seed
    return Mastery()


def oracle(env: "VecEnv", seed: int) -> Tutor:
    """Build the oracle; its values are computed once and then read from disk."""
    from rl_runner.envs.tutor.planning.oracle import Oracle, load_values_shown

    del seed
    options = env.get_attr("options")[0]
    values = load_values_shown(options)
    return Oracle(options, lambda: np.stack(env.env_method("full_states")), values)


def highest_mean(env: Any) -> float:
    """Return the oracle's exact mean return, which no policy exceeds.

    :param env: one unwrapped environment
    :raises EnvError: if the problem is too large to be solved exactly
    """
    from rl_runner.envs.tutor.planning.oracle import load_values_shown, start_value

    return start_value(env.options, load_values_shown(env.options))


def qmdp(env: "VecEnv", seed: int) -> Tutor:
    """Build the QMDP policy, which weighs the oracle's values by what it believes of a learner."""
    from rl_runner.envs.tutor.planning.oracle import load_values_shown
    from rl_runner.envs.tutor.planning.qmdp import QMDP

    del seed
    options = env.get_attr("options")[0]
    return QMDP(options, load_values_shown(options))


def lookahead(env: "VecEnv", seed: int) -> Tutor:
    """Build :class:`rl_runner.envs.tutor.planning.lookahead.Lookahead`."""
    from rl_runner.envs.tutor.planning.lookahead import Lookahead
    from rl_runner.envs.tutor.planning.oracle import load_values_shown

    del seed
    options = env.get_attr("options")[0]
    return Lookahead(options, load_values_shown(options))


def bandit(env: "VecEnv", seed: int) -> Tutor:
    """Build a LinUCB bandit and train it on separate learners with the same options."""
    from rl_runner.envs.tutor.planning.bandit import train_bandit

    return train_bandit(env.get_attr("options")[0], seed)
