"""DQN's and QR-DQN's gradient steps in compiled code."""

from typing import Any

import numpy as np

from rl_runner.agents.fast.kernels.multilayer_perceptron import (
    ONE,
    ZERO,
    Array,
    backward,
    compiled,
    forward,
)
from rl_runner.agents.fast.kernels.optimizers import clip_norm, optimize


@compiled
def _huber_slope(difference: np.float32) -> np.float32:
    """Return the derivative of Huber's loss: the difference, bounded by −1 and 1."""
    return min(max(difference, -ONE), ONE)


@compiled
def _huber(difference: np.float32) -> float:
    size = abs(difference)
    return float(size - 0.5 if size > 1.0 else 0.5 * difference * difference)


@compiled
def q_learning_delta(
    outputs: Array,
    next_outputs: Array,
    actions: Array,
    rewards: Array,
    dones: Array,
    gamma: np.float32,
    delta: Array,
) -> float:
    """Write the gradient of DQN's loss (Mnih et al. 2015) by the Q-values; return the loss.

    :param outputs: (batch, actions) of the observations
    :param next_outputs: (batch, actions) of the next observations, by the target network
    """
    n, loss = len(outputs), 0.0
    delta[:] = ZERO
    for i in range(n):
        target = rewards[i] + (ONE - dones[i]) * gamma * next_outputs[i].max()
        difference = outputs[i, actions[i]] - target
        loss += _huber(difference)
        delta[i, actions[i]] = _huber_slope(difference) / np.float32(n)
    return loss / n


@compiled
def quantile_delta(
    outputs: Array,
    next_outputs: Array,
    actions: Array,
    rewards: Array,
    dones: Array,
    gamma: np.float32,
    n_quantiles: int,
    delta: Array,
) -> float:
    """Write the gradient of QR-DQN's loss (Dabney et al. 2018, eq. 10); return the loss.

    :param outputs: (batch, quantiles × actions), the actions changing fastest
    """
    n, loss = len(outputs), 0.0
    n_actions = outputs.shape[1] // n_quantiles
    scale = np.float32(1.0 / (n * n_quantiles))
    targets = np.empty(n_quantiles, np.float32)
    delta[:] = ZERO
    for i in range(n):
        best, highest = 0, ZERO
        for action in range(n_actions):
            total = ZERO
            for k in range(n_quantiles):
                total += next_outputs[i, k * n_actions + action]
            if action == 0 or total > highest:
                best, highest = action, total
        for k in range(n_quantiles):
            following = next_outputs[i, k * n_actions + best]
            targets[k] = rewards[i] + (ONE - dones[i]) * gamma * following
        for k in range(n_quantiles):
            place = k * n_actions + actions[i]
            middle = np.float32((k + 0.5) / n_quantiles)
            slope = ZERO
            for target in targets:
                difference = target - outputs[i, place]
                weight = abs(middle - (ONE if difference < ZERO else ZERO))
                loss += float(weight) * _huber(difference)
                slope -= weight * _huber_slope(difference)
            delta[i, place] = slope * scale
    return loss / (n * n_quantiles)


@compiled
def take_gradient_steps(
    network: tuple[Any, ...],
    target_parameters: Array,
    memory: tuple[Array, ...],
    optimizer: tuple[Any, ...],
    batch: tuple[Array, ...],
    gamma: np.float32,
    max_norm: float,
    spaces: tuple[Array, ...],
    losses: Array,
) -> None:
    """Take one optimiser step for each entry of ``losses``, which is written.

    :param network: layer table, whether tanh, quantiles (0: Q-values)
    :param memory: parameters, gradient, first and second moments: flat float32 arrays alike
    :param optimizer: its kind, steps so far, learning rate, settings
    :param batch: observations, next observations, actions, rewards, dones of all the steps'
        minibatches, one after another
    :param max_norm: of the gradient; below 0: unbounded
    :param spaces: three float32 workspaces: network, target network, scratch
    """
    layers, is_tanh, n_quantiles = network
    parameters, gradient, first, second = memory
    kind, steps, learning_rate, settings = optimizer
    obs, next_obs, actions, rewards, dones = batch
    n = len(obs) // len(losses)
    delta = np.empty((n, layers[len(layers) - 1, 1]), np.float32)
    for k in range(len(losses)):
        rows = slice(k * n, (k + 1) * n)
        x, chosen, paid, ends = obs[rows], actions[rows], rewards[rows], dones[rows]
        next_outputs = forward(target_parameters, layers, is_tanh, next_obs[rows], spaces[1])
        outputs = forward(parameters, layers, is_tanh, x, spaces[0])
        if n_quantiles > 0:
            losses[k] = quantile_delta(
                outputs, next_outputs, chosen, paid, ends, gamma, n_quantiles, delta
            )
        else:
            losses[k] = q_learning_delta(outputs, next_outputs, chosen, paid, ends, gamma, delta)
        backward(parameters, gradient, layers, is_tanh, x, spaces[0], delta, spaces[2])
        if max_norm >= 0.0:
            clip_norm(gradient, max_norm)
        optimize(kind, parameters, gradient, first, second, steps + k + 1, learning_rate, settings)
