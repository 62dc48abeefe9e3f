"""From a validated config to an agent, and from a saved file back into one."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import gymnasium as gym

from rl_runner.agents.hyperparameters import build_keywords
from rl_runner.agents.protocol import Agent
from rl_runner.agents.registry import Algorithm
from rl_runner.config.schema import Engine
from rl_runner.errors import CheckpointError, ConfigError, Problem

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


def load_parameters(agent: Agent, path: str) -> None:
    """Load what :meth:`Agent.save` wrote into an agent of the same configuration.

    Nothing is unpickled: of an SB3 zip only the tensors are read (``weights_only=True``); the rest
    of it, which stock SB3 would unpickle, is ignored because the config has built the agent.

    :raises CheckpointError: if the file is missing, damaged or of another architecture
    """
    from rl_runner.agents.handwritten import HandwrittenAgent

    try:
        if isinstance(agent, HandwrittenAgent):
            agent.load_parameters(path)
        else:
            _load_sb3_parameters(agent, path)
    except Exception as error:  # a damaged file can trip any of the readers
        what = f"The saved agent cannot be loaded: {error}"
        cure = "Is it damaged, or of another config? `rl train … --fresh` trains it anew."
        raise CheckpointError(Problem(what, path, cure)) from error


def _load_sb3_parameters(agent: Any, path: str) -> None:
    from stable_baselines3.common.save_util import (
        load_from_zip_file,
        recursive_setattr,
    )

    _, parameters, variables = load_from_zip_file(path, load_data=False, device=agent.device)
    agent.set_parameters(parameters, exact_match=True, device=agent.device)
    for name, tensor in (variables or {}).items():  # SAC's and TQC's learned log_ent_coef
        if tensor is not None:
            recursive_setattr(agent, f"{name}.data", tensor.data)
    if hasattr(agent, "weights"):  # ARS keeps a flat copy of its policy's weights
        from torch.nn.utils import parameters_to_vector

        agent.weights = parameters_to_vector(agent.policy.parameters()).detach()
