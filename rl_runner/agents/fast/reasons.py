"""What the compiled twins do not support, found in an agent of the stock class.

Each function names the first thing about the agent that its twin does not support. The engine's
message puts it behind "does not support". Nothing is compiled here, and numba is not loaded.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit
from sb3_contrib.qrdqn.policies import QRDQNPolicy
from stable_baselines3.common.buffers import ReplayBuffer, RolloutBuffer
from stable_baselines3.common.distributions import (
    CategoricalDistribution,
    DiagGaussianDistribution,
)
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.dqn.policies import DQNPolicy
from torch import nn

from rl_runner.agents.fast.memory import KINDS
from rl_runner.agents.fast.prediction import features_of
from rl_runner.envs.contract import ContractGuard
from rl_runner.envs.episode_layers import EpisodeSeeds
from rl_runner.envs.failures import NamedFailures
from rl_runner.envs.monitor import ExactMonitor

# Wrappers that change neither observations nor rewards nor transitions, except for the time limit.
HARMLESS_WRAPPERS = {
    ContractGuard,
    EpisodeSeeds,
    ExactMonitor,
    NamedFailures,
    OrderEnforcing,
    PassiveEnvChecker,
    TimeLimit,
}

N_TEST_STEPS = 500  # steps that are compared with an environment's transition table

# Settings of torch's optimisers that change the formula of a step, at the only supported values.
SUPPORTED_SETTINGS = {
    "weight_decay": 0,
    "momentum": 0,
    "centered": False,
    "amsgrad": False,
    "maximize": False,
    "capturable": False,
    "decoupled_weight_decay": False,
}


def reason_against_on_policy(agent: Any) -> str | None:
    """Return what about a PPO or A2C its twin does not support; None if it supports everything."""
    policy: Any = agent.policy
    # The networks and the distribution of actions.
    if type(policy) is not ActorCriticPolicy or type(policy.features_extractor) is not (
        FlattenExtractor
    ):
        return "policies other than `MlpPolicy` with its own features extractor"
    if type(policy.action_dist) not in {CategoricalDistribution, DiagGaussianDistribution}:
        how = " with gSDE" if agent.use_sde else ""
        return f"{type(agent.action_space).__name__} actions{how}"
    if reason := _reason_against_spaces(agent):
        return reason
    # Where experience is kept, and where it is computed.
    if type(agent.rollout_buffer) is not RolloutBuffer:
        return "a rollout buffer of another class"
    if agent.device != torch.device("cpu"):
        return f"the device {agent.device}"
    return reason_against_layers(
        [*policy.mlp_extractor.policy_net, *policy.mlp_extractor.value_net]
    ) or reason_against_optimizer(policy.optimizer)


def _reason_against_spaces(agent: Any) -> str | None:
    actions = agent.action_space
    # For integer actions stock SB3 stores other numbers in its buffer than it gives to the
    # environment.
    if isinstance(actions, gym.spaces.Box) and not np.issubdtype(actions.dtype, np.floating):
        return f"Box actions of {actions.dtype}"
    if features_of(agent.observation_space) is None:
        return f"{type(agent.observation_space).__name__} observations of this kind"
    return None


def reason_against_optimizer(optimizer: torch.optim.Optimizer) -> str | None:
    """Return what about an optimiser is not supported; None if its steps are implemented."""
    if type(optimizer) not in KINDS or len(optimizer.param_groups) != 1:
        return f"the optimiser {type(optimizer).__name__}"
    (group,) = optimizer.param_groups
    changed = [
        name for name, value in SUPPORTED_SETTINGS.items() if group.get(name, value) != value
    ]
    return f"the optimiser's {', '.join(changed)}" if changed else None


def reason_against_layers(modules: Iterable[nn.Module]) -> str | None:
    """Return what in a network is not a ``Linear`` with biases, ``Tanh`` or ``ReLU``, or None."""
    kinds = set()
    for module in modules:
        if isinstance(module, nn.Linear) and module.bias is not None:
            continue
        if type(module) not in {nn.Tanh, nn.ReLU}:
            return f"the layer {type(module).__name__}"
        kinds.add(type(module))
    return "two kinds of activations" if len(kinds) > 1 else None


def reason_against_value_learning(agent: Any) -> str | None:
    """Return what about a DQN or QR-DQN its twin does not support; None if everything."""
    policy: Any = agent.policy
    # The networks.
    names = {DQNPolicy: "q_net", QRDQNPolicy: "quantile_net"}
    name = next((name for known, name in names.items() if type(policy) is known), "")
    network: Any = getattr(policy, name, None)
    if type(getattr(network, "features_extractor", None)) is not FlattenExtractor:
        return "policies other than `MlpPolicy` with its own features extractor"
    # Observations, and where experience is kept and computed.
    if features_of(agent.observation_space) is None:
        return f"{type(agent.observation_space).__name__} observations of this kind"
    if type(agent.replay_buffer) is not ReplayBuffer or agent.optimize_memory_usage:
        return "replay buffers other than the plain one"
    if agent.get_vec_normalize_env() is not None:
        return "normalised environments"
    if agent.device != torch.device("cpu"):
        return f"the device {agent.device}"
    optimizer = reason_against_optimizer(policy.optimizer)
    return reason_against_layers(getattr(network, name)) or optimizer


def reason_against_q_learning(agent: Any) -> str | None:
    """Return why tabular Q-learning needs the environment itself; None if its table suffices."""
    if not isinstance(agent.env, DummyVecEnv):
        return "environments whose copies are not stepped one by one"
    # Nothing between the agent and the table may change what happens.
    env: Any = agent.env.envs[0]
    while isinstance(env, gym.Wrapper):
        if type(env) not in HARMLESS_WRAPPERS:
            return f"the wrapper {type(env).__name__}"
        env = env.env
    # There must be a table, and the environment must follow it.
    table, initial = getattr(env, "P", None), getattr(env, "initial_state_distrib", None)
    if not isinstance(table, Mapping) or initial is None:
        return "environments without a transition table"
    if getattr(env, "fickle_passenger", False):  # Taxi's, which its table ignores
        return "Taxi's fickle passengers"
    space = env.observation_space
    if not isinstance(space, gym.spaces.Discrete) or space.start != 0 or space.n != len(table):
        return "observations other than the table's states"
    departs = _departs_from_table(env, table)
    return "environments whose steps are not those of their transition table" if departs else None


def _departs_from_table(env: Any, table: Mapping[int, Any]) -> bool:
    """Play some steps, and return whether the outcome of one of them is not in the table.

    A subclass with other rewards or transitions inherits its parent's table unchanged.
    """
    rng = np.random.default_rng(0)
    state, _ = env.reset(seed=0)
    for _ in range(N_TEST_STEPS):
        action = int(rng.integers(env.action_space.n))
        next_state, reward, terminated, truncated, _ = env.step(action)
        outcomes = {tuple(outcome[1:]) for outcome in table[int(state)][action]}
        if (int(next_state), float(reward), bool(terminated)) not in outcomes:
            return True
        state = env.reset()[0] if terminated or truncated else next_state
    return False


def reason_against_reinforce(agent: Any) -> str | None:
    """Return what about a REINFORCE agent its twin does not support; None if everything."""
    if features_of(agent.observation_space) is None:
        return f"{type(agent.observation_space).__name__} observations of this kind"
    if agent.device != torch.device("cpu"):
        return f"the device {agent.device}"
    return reason_against_layers(agent.policy.body) or reason_against_optimizer(agent.optimizer)


# The function for each algorithm that has a twin.
REASONS: dict[str, Callable[[Any], str | None]] = {
    "a2c": reason_against_on_policy,
    "dqn": reason_against_value_learning,
    "geometric_dqn": reason_against_value_learning,
    "ppo": reason_against_on_policy,
    "q_learning": reason_against_q_learning,
    "qrdqn": reason_against_value_learning,
    "reinforce": reason_against_reinforce,
}
