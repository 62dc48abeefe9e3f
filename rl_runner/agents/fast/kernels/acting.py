"""Acting and advantages in compiled code: what an actor-critic's rollout computes."""

import math

import numpy as np

from rl_runner.agents.fast.kernels.multilayer_perceptron import ZERO, Array, compiled, forward

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

    :param spaces: (2, n) float32 workspaces of actor and critic
    """
    log_probs = forward(parameters, actor, is_tanh, obs, spaces[0])
    log_softmax(log_probs)
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
    """Draw actions, each component by one standard normal number."""
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
    """Write the advantages (T, n_envs) of GAE (Schulman et al. 2016)."""
    n_steps, n_envs = rewards.shape
    for i in range(n_envs):
        following = ZERO
        for t in range(n_steps - 1, -1, -1):
            ends = last_dones[i] if t == n_steps - 1 else episode_starts[t + 1, i]
            next_value = last_values[i] if t == n_steps - 1 else values[t + 1, i]
            goes_on = np.float32(1.0) - np.float32(ends)
            delta = rewards[t, i] + gamma * next_value * goes_on - values[t, i]
            following = delta + gamma_lambda * goes_on * following
            advantages[t, i] = following


@compiled
def state_values(
    parameters: Array, critic: Array, is_tanh: bool, obs: Array, workspace: Array
) -> Array:
    """Return V(s) (n,)."""
    return forward(parameters, critic, is_tanh, obs, workspace)[:, 0].copy()
