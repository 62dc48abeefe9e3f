"""What an actor-critic's rollout computes: actions, values and advantages.

Actions are drawn at every step of a rollout, so these functions take arrays one by one: to unpack
a named tuple would cost more than the arithmetic.
"""

import math

import numpy as np

from rl_runner.agents.fast.kernels.multilayer_perceptron import ZERO, compiled, forward
from rl_runner.agents.fast.kernels.structures import Array

LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)


@compiled
def log_softmax(logits: Array) -> None:
    """Turn each row of logits into log-probabilities, in place."""
    for i in range(len(logits)):
        row = logits[i]
        highest = row[0]
        for j in range(1, len(row)):
            highest = max(highest, row[j])
        total = 0.0
        for j in range(len(row)):
            total += math.exp(row[j] - highest)
        shift = np.float32(highest + math.log(total))
        for j in range(len(row)):
            row[j] -= shift


@compiled
def act_discrete(
    parameters: Array,
    actor: Array,
    critic: Array,
    is_tanh: bool,
    obs: Array,
    uniform: Array,
    spaces: Array,
    actions: Array,
    values: Array,
    logs: Array,
) -> None:
    """Draw actions, each by one uniform number in [0, 1); write actions, values and log π(a | s).

    :param actor: layer table of the actor; ``critic`` likewise
    :param obs: (n, n_features) float32
    :param uniform: (n,)
    :param spaces: (2, …) float32 workspaces of actor and critic
    :param actions: (n, 1) written; ``values`` and ``logs`` (n,) too
    """
    log_probs = forward(parameters, actor, is_tanh, obs, spaces[0])
    log_softmax(log_probs)
    # Invert the cumulated probabilities; rounding may leave a rest, which the last action takes.
    for i in range(len(obs)):
        left, chosen = uniform[i], log_probs.shape[1] - 1
        for j in range(log_probs.shape[1]):
            left -= math.exp(log_probs[i, j])
            if left < 0.0:
                chosen = j
                break
        actions[i, 0] = chosen
        logs[i] = log_probs[i, chosen]
    values[:] = forward(parameters, critic, is_tanh, obs, spaces[1])[:, 0]


@compiled
def act_gaussian(
    parameters: Array,
    actor: Array,
    critic: Array,
    is_tanh: bool,
    log_std: Array,
    obs: Array,
    normal: Array,
    spaces: Array,
    actions: Array,
    values: Array,
    logs: Array,
) -> None:
    """Draw actions as :func:`act_discrete` does, each component by one standard normal number.

    :param normal: (n, n_action_dims)
    :param actions: (n, n_action_dims) written
    """
    means = forward(parameters, actor, is_tanh, obs, spaces[0])
    for i in range(len(obs)):
        total = 0.0
        for j in range(len(log_std)):
            actions[i, j] = means[i, j] + math.exp(log_std[j]) * normal[i, j]
            total -= 0.5 * normal[i, j] ** 2 + log_std[j] + LOG_ROOT_2PI
        logs[i] = total
    values[:] = forward(parameters, critic, is_tanh, obs, spaces[1])[:, 0]


@compiled
def generalized_advantages(
    rewards: Array,
    values: Array,
    episode_starts: Array,
    last_values: Array,
    last_dones: Array,
    gamma: np.float32,
    gamma_lambda: np.float32,
    advantages: Array,
) -> None:
    """Write the advantages (T, n_envs) of GAE (Schulman et al. 2016, eq. 16), backwards in time.

    :param rewards: (T, n_envs), where the value after a truncation has been added
    :param last_values: (n_envs,) V(s) of the observation after the last step
    """
    n_steps, n_envs = rewards.shape
    for i in range(n_envs):
        following = ZERO
        for t in range(n_steps - 1, -1, -1):
            ends = last_dones[i] if t == n_steps - 1 else episode_starts[t + 1, i]
            next_value = last_values[i] if t == n_steps - 1 else values[t + 1, i]
            continues = np.float32(1.0) - np.float32(ends)
            delta = rewards[t, i] + gamma * next_value * continues - values[t, i]
            following = delta + gamma_lambda * continues * following
            advantages[t, i] = following


@compiled
def state_values(
    parameters: Array, critic: Array, is_tanh: bool, obs: Array, workspace: Array
) -> Array:
    """Return V(s) (n,)."""
    return forward(parameters, critic, is_tanh, obs, workspace)[:, 0].copy()
