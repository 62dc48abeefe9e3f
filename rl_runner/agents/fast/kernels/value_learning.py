"""DQN's and QR-DQN's gradient steps."""

import math

import numpy as np

from rl_runner.agents.fast.kernels.multilayer_perceptron import (
    ONE,
    ZERO,
    backward,
    compiled,
    forward,
)
from rl_runner.agents.fast.kernels.optimizers import clip_norm, take_optimizer_step
from rl_runner.agents.fast.kernels.structures import (
    OUTPUTS,
    Array,
    FlatParameters,
    OptimizerState,
    Transitions,
    ValueLossSettings,
    ValueNetwork,
    ValueWorkspaces,
)


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
    terminated: Array,
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
        target = rewards[i] + (ONE - terminated[i]) * gamma * next_outputs[i].max()
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
    terminated: Array,
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
        # The next action is the one whose quantiles have the highest mean.
        best, highest = 0, ZERO
        for action in range(n_actions):
            total = ZERO
            for k in range(n_quantiles):
                total += next_outputs[i, k * n_actions + action]
            if action == 0 or total > highest:
                best, highest = action, total
        # Its quantiles give the targets.
        for k in range(n_quantiles):
            following = next_outputs[i, k * n_actions + best]
            targets[k] = rewards[i] + (ONE - terminated[i]) * gamma * following
        # Each quantile of the action taken is pulled towards all targets.
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
    network: ValueNetwork,
    target_values: Array,
    flat: FlatParameters,
    optimizer: OptimizerState,
    transitions: Transitions,
    settings: ValueLossSettings,
    workspaces: ValueWorkspaces,
    losses: Array,
) -> None:
    """Take one optimiser step for each entry of ``losses``, which is written.

    :param target_values: the target network's parameters, in the order of ``flat.values``
    :param transitions: the minibatches of all steps, of equal sizes
    """
    layers, is_tanh = network.layers, network.is_tanh
    n = len(transitions.observations) // len(losses)
    delta = np.empty((n, layers[len(layers) - 1, OUTPUTS]), np.float32)
    for k in range(len(losses)):
        # This step's minibatch.
        rows = slice(k * n, (k + 1) * n)
        obs, next_obs = transitions.observations[rows], transitions.next_observations[rows]
        actions, rewards = transitions.actions[rows], transitions.rewards[rows]
        terminated = transitions.terminated[rows]

        # The loss, and its gradient by the network's outputs.
        next_outputs = forward(target_values, layers, is_tanh, next_obs, workspaces.target)
        outputs = forward(flat.values, layers, is_tanh, obs, workspaces.network)
        if network.n_quantiles > 0:
            losses[k] = quantile_delta(
                outputs,
                next_outputs,
                actions,
                rewards,
                terminated,
                settings.gamma,
                network.n_quantiles,
                delta,
            )
        else:
            losses[k] = q_learning_delta(
                outputs, next_outputs, actions, rewards, terminated, settings.gamma, delta
            )

        # The gradient by the parameters, and a step against it.
        backward(
            flat.values,
            flat.gradient,
            layers,
            is_tanh,
            obs,
            workspaces.network,
            delta,
            workspaces.deltas,
        )
        if settings.max_grad_norm < math.inf:
            clip_norm(flat.gradient, settings.max_grad_norm)
        take_optimizer_step(flat, optimizer, optimizer.n_steps + k + 1)
