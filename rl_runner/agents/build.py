"""From complete, checked hyperparameters to an agent."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import gymnasium as gym

from rl_runner.agents.hyperparameters.constructor import build_keywords
from rl_runner.agents.protocol import Agent
from rl_runner.agents.registry import Algorithm
from rl_runner.config.schema import Engine
from rl_runner.errors import ConfigError, Problem

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv


def build_agent(
    algorithm: Algorithm,
    checked: Mapping[str, Any],
    env: "VecEnv",
    seed: int,
    engine: Engine = "stock",
) -> Agent:
    """Build an agent from complete, checked hyperparameters.

    :param seed: seeds Python's, NumPy's and torch's generators and the action space (< 2**32)
    :param engine: fast builds the algorithm's compiled twin, which computes on the CPU
    :raises ConfigError: if the algorithm's constructor refuses what is left to refuse
    """
    n_actions = gym.spaces.utils.flatdim(env.action_space)
    keywords = build_keywords(algorithm, checked, n_actions)
    agent_class = algorithm.load_fast_class() if engine == "fast" else algorithm.load_class()
    if engine == "fast" and keywords.get("device") == "auto":
        keywords["device"] = "cpu"
    try:
        return cast("Agent", agent_class(env=env, seed=seed, **keywords))
    except MemoryError as error:
        what = f"{algorithm.name} refuses this configuration: not enough memory: {error}"
        cure = "Lower `buffer_size`, `n_steps` or the network's sizes."
        raise ConfigError(Problem(what, "algo", cure)) from error
    except Exception as error:  # SB3 asserts, raises ValueError, or trips over what it missed
        what = f"{algorithm.name} refuses this configuration: {type(error).__name__}: {error}"
        raise ConfigError(Problem(what, "algo", f"See `rl algos {algorithm.name}`.")) from error
