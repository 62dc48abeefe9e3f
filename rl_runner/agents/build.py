"""From complete, checked hyperparameters to an agent: its policy, its engine, its constructor.

The engine is an algorithm's own class, or its compiled twin, which is faster.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import gymnasium as gym

from rl_runner.agents.hyperparameters.constructor import (
    build_keywords,
    check_policy_name,
)
from rl_runner.agents.protocol import Agent
from rl_runner.agents.registry import Algorithm
from rl_runner.agents.spaces import policy_for
from rl_runner.config.schema import Engine
from rl_runner.config.yaml_text import SourceMap
from rl_runner.errors import ConfigError, Problem, users_place_of

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv


def reason_against_fast(algorithm: Algorithm, agent: Any) -> str | None:
    """Return why the compiled twin cannot take a stock agent's place; None if it can.

    :param agent: built by the algorithm's own class
    """
    if not algorithm.fast_path:
        return f"{algorithm.name} has no compiled twin"
    from rl_runner.agents.fast.reasons import REASONS

    reason = REASONS[algorithm.name](agent)
    return None if reason is None else f"{algorithm.name}'s compiled twin does not support {reason}"


def choose_engine(algorithm: Algorithm, asked: Engine, agent: Any, where: str) -> Engine:
    """Return ``stock`` or ``fast``.

    :param agent: built by the algorithm's own class
    :param where: the location of the key in the config
    :raises ConfigError: if the fast engine is asked for and is not available for this agent
    """
    if asked == "stock":
        return "stock"
    reason = reason_against_fast(algorithm, agent)
    if reason is None:
        return "fast"
    if asked == "fast":
        what = f"`engine: fast` is not available: {reason}."
        raise ConfigError(Problem(what, where, "Set `engine: auto`, which takes the stock engine."))
    return "stock"


def choose_policy(
    algorithm: Algorithm,
    checked: Mapping[str, Any],
    observations: gym.Space[Any],
    source: SourceMap,
) -> dict[str, Any]:
    """Return the hyperparameters with ``policy: auto`` replaced; check a policy that is named.

    :param observations: the space that the policy is chosen for
    :raises ConfigError: if the algorithm has no such policy
    """
    chosen = dict(checked)
    if chosen.get("policy") == "auto":
        chosen["policy"] = policy_for(algorithm, observations)
    elif "policy" in chosen:
        check_policy_name(algorithm, chosen["policy"], source.locate(("algo", "policy")))
    return chosen


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
    if engine == "fast" and not algorithm.fast_path:
        what = f"`engine: fast` is not available: {algorithm.name} has no compiled twin."
        raise ConfigError(Problem(what, "algo.engine", "Set `engine: stock`."))
    # Turn the values of the config into what the constructor takes.
    keywords = build_keywords(algorithm, checked, env.action_space.shape or ())
    agent_class = algorithm.load_fast_class() if engine == "fast" else algorithm.load_class()
    if engine == "fast" and keywords.get("device") == "auto":
        keywords["device"] = "cpu"
    # Build it. What no check has foreseen, the constructor refuses.
    try:
        return cast("Agent", agent_class(env=env, seed=seed, **keywords))
    except MemoryError as error:
        what = f"{algorithm.name} refuses this configuration: not enough memory: {error}"
        cure = "Lower `buffer_size`, `n_steps` or the network's sizes."
        raise ConfigError(Problem(what, "algo", cure)) from error
    except Exception as error:  # SB3 asserts, raises ValueError, or trips over what it missed
        what = f"{algorithm.name} refuses this configuration: {type(error).__name__}: {error}"
        place = users_place_of(error)
        cure = f"Correct {place}." if place else f"See `rl algos {algorithm.name}`."
        raise ConfigError(Problem(what, "algo", cure)) from error
