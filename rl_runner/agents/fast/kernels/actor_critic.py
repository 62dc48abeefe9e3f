"""The losses of PPO, A2C and REINFORCE and their gradients by hand, in compiled code.

They work on an actor and a critic that share nothing but the observation. The actor's last layer
gives the logits of a categorical distribution, or the means of a Gaussian whose log standard
deviations are parameters of their own.
"""

import math
from typing import Any

import numpy as np

from rl_runner.agents.fast.kernels.acting import LOG_ROOT_2PI, log_softmax
from rl_runner.agents.fast.kernels.multilayer_perceptron import Array, backward, compiled, forward
from rl_runner.agents.fast.kernels.optimizers import clip_norm, optimize

POLICY_LOSS, VALUE_LOSS, ENTROPY_LOSS, APPROX_KL, CLIP_FRACTION, LOSS, NORM = range(7)
N_STATISTICS = 7


@compiled
def explained_variance(values: Array, returns: Array) -> float:
    """Return 1 − Var(returns − values) / Var(returns); NaN if the returns are all alike."""
    n = len(values)
    mean, mean_error = 0.0, 0.0
    for i in range(n):
        mean += returns[i] / n
        mean_error += (returns[i] - values[i]) / n
    variance, variance_of_error = 0.0, 0.0
    for i in range(n):
        variance += (returns[i] - mean) ** 2
        variance_of_error += (returns[i] - values[i] - mean_error) ** 2
    return 1.0 - variance_of_error / variance if variance > 0.0 else math.nan


@compiled
def _normalize(advantages: Array) -> None:
    n = len(advantages)
    mean = 0.0
    for i in range(n):
        mean += advantages[i]
    mean /= n
    squares = 0.0
    for i in range(n):
        squares += (advantages[i] - mean) ** 2
    scale = 1.0 / (math.sqrt(squares / (n - 1)) + 1e-8)
    for i in range(n):
        advantages[i] = (advantages[i] - mean) * scale


@compiled
def _value_loss(
    values: Array,
    old_values: Array,
    returns: Array,
    clip_range_vf: float,
    vf_coef: float,
    delta: Array,
) -> float:
    """Write vf_coef times the value loss's gradient; return the value loss."""
    n, loss = len(values), 0.0
    for i in range(n):
        value, passes = values[i, 0], 1.0
        if clip_range_vf >= 0.0:
            change = value - old_values[i]
            if change > clip_range_vf or change < -clip_range_vf:
                passes = 0.0
            value = old_values[i] + min(max(change, -clip_range_vf), clip_range_vf)
        error = value - returns[i]
        loss += error * error
        delta[i, 0] = passes * vf_coef * 2.0 * error / n
    return loss / n


@compiled
def _policy_loss(
    log_prob: Array,
    old_log_prob: Array,
    advantages: Array,
    clip_range: float,
    slope: Array,
    statistics: Array,
) -> None:
    """Write the gradient of the policy loss by log π(a | s); note loss, KL and clip fraction.

    :param clip_range: ε of PPO's clipped objective; below 0: the plain policy gradient
    """
    n = len(log_prob)
    loss, kl, clipped = 0.0, 0.0, 0
    for i in range(n):
        advantage = advantages[i]
        if clip_range < 0.0:
            loss -= advantage * log_prob[i]
            slope[i] = -advantage / n
            continue
        log_ratio = log_prob[i] - old_log_prob[i]
        ratio = math.exp(log_ratio)
        bounded = min(max(ratio, 1.0 - clip_range), 1.0 + clip_range)
        loss -= min(advantage * ratio, advantage * bounded)
        # Where the clipped objective is the smaller one it is constant: no gradient.
        passes = bounded == ratio or advantage * ratio < advantage * bounded
        slope[i] = -advantage * ratio / n if passes else 0.0
        kl += ratio - 1.0 - log_ratio
        clipped += abs(ratio - 1.0) > clip_range
    statistics[POLICY_LOSS] = loss / n
    statistics[APPROX_KL] = kl / n
    statistics[CLIP_FRACTION] = clipped / n


@compiled
def _discrete_log_prob(log_probs: Array, actions: Array, log_prob: Array) -> float:
    """Write log π(a | s); return the mean entropy."""
    entropy = 0.0
    for i in range(len(log_probs)):
        log_prob[i] = log_probs[i, int(actions[i, 0])]
        for j in range(log_probs.shape[1]):
            entropy -= math.exp(log_probs[i, j]) * log_probs[i, j]
    return entropy / len(log_probs)


@compiled
def _discrete_delta(
    log_probs: Array, actions: Array, slope: Array, ent_coef: float, delta: Array
) -> None:
    """Write the gradient by the logits: of log π(a | s) times ``slope``, and of the entropy."""
    n, n_actions = log_probs.shape
    for i in range(n):
        entropy = 0.0
        for j in range(n_actions):
            entropy -= math.exp(log_probs[i, j]) * log_probs[i, j]
        for j in range(n_actions):
            p = math.exp(log_probs[i, j])
            hit = 1.0 if j == int(actions[i, 0]) else 0.0
            bonus = ent_coef / n * p * (log_probs[i, j] + entropy)
            delta[i, j] = slope[i] * (hit - p) + bonus


@compiled
def _gaussian_log_prob(means: Array, log_std: Array, actions: Array, log_prob: Array) -> float:
    """Write log π(a | s); return the entropy, which is the same in every state."""
    for i in range(len(means)):
        total = 0.0
        for j in range(len(log_std)):
            z = (actions[i, j] - means[i, j]) * math.exp(-log_std[j])
            total -= 0.5 * z * z + log_std[j] + LOG_ROOT_2PI
        log_prob[i] = total
    entropy = 0.0
    for j in range(len(log_std)):
        entropy += 0.5 + LOG_ROOT_2PI + log_std[j]
    return entropy


@compiled
def _gaussian_delta(
    means: Array,
    log_std: Array,
    actions: Array,
    slope: Array,
    ent_coef: float,
    delta: Array,
    log_std_gradient: Array,
) -> None:
    """Write the gradient by the means and by the log standard deviations."""
    for j in range(len(log_std)):
        inverse = math.exp(-log_std[j])
        total = 0.0
        for i in range(len(means)):
            z = (actions[i, j] - means[i, j]) * inverse
            delta[i, j] = slope[i] * z * inverse
            total += slope[i] * (z * z - 1.0)
        log_std_gradient[j] = total - ent_coef


@compiled
def take_minibatches(
    nets: tuple[Any, ...],
    memory: tuple[Array, ...],
    optimizer: tuple[Any, ...],
    batch: tuple[Array, ...],
    indices: Array,
    batch_size: int,
    coefficients: tuple[Any, ...],
    spaces: tuple[Array, ...],
    statistics: Array,
) -> tuple[int, int]:
    """Take one optimiser step per minibatch of one epoch.

    :param nets: actor and critic layer tables, whether tanh, where the log standard deviations
        begin (−1 for discrete actions) and how many they are
    :param memory: parameters, gradient, first and second moments: flat float32 arrays alike
    :param optimizer: its kind, steps so far, learning rate, settings
    :param batch: observations, actions, old values, old log-probabilities, advantages, returns
    :param indices: a permutation of the batch's rows
    :param coefficients: clip_range, clip_range_vf (both below 0: none), vf_coef, ent_coef,
        max_grad_norm, normalize_advantage, the KL divergence at which to stop (below 0: none)
    :param spaces: three float32 workspaces: actor, critic, scratch (2, …)
    :param statistics: (minibatches, N_STATISTICS) written
    :return: how many steps were taken, and how many minibatches were looked at
    """
    actor, critic, is_tanh, log_std_at, n_std = nets
    parameters, gradient, first, second = memory
    kind, steps, learning_rate, settings = optimizer
    clip_range, clip_range_vf, vf_coef, ent_coef, max_norm, normalize, stop_at_kl = coefficients
    obs, actions, old_values, old_log_probs, advantages, returns = batch
    log_std = parameters[max(log_std_at, 0) : max(log_std_at, 0) + n_std]
    log_std_gradient = gradient[max(log_std_at, 0) : max(log_std_at, 0) + n_std]
    n_outputs = actor[len(actor) - 1, 1]
    seen = 0
    for start in range(0, len(indices), batch_size):
        rows = indices[start : start + batch_size]
        n = len(rows)
        x, chosen = obs[rows], actions[rows]
        advantage = advantages[rows]
        log_prob = np.empty(n, np.float32)
        slope = np.empty(n, np.float32)
        delta = np.empty((n, n_outputs), np.float32)
        value_delta = np.empty((n, 1), np.float32)
        noted = statistics[seen]
        seen += 1

        outputs = forward(parameters, actor, is_tanh, x, spaces[0])
        values = forward(parameters, critic, is_tanh, x, spaces[1])
        if normalize and n > 1:
            _normalize(advantage)
        if log_std_at < 0:
            log_softmax(outputs)
            entropy = _discrete_log_prob(outputs, chosen, log_prob)
        else:
            entropy = _gaussian_log_prob(outputs, log_std, chosen, log_prob)
        _policy_loss(log_prob, old_log_probs[rows], advantage, clip_range, slope, noted)
        noted[VALUE_LOSS] = _value_loss(
            values, old_values[rows], returns[rows], clip_range_vf, vf_coef, value_delta
        )
        noted[ENTROPY_LOSS] = -entropy
        noted[LOSS] = noted[POLICY_LOSS] - ent_coef * entropy + vf_coef * noted[VALUE_LOSS]
        if 0.0 <= stop_at_kl < noted[APPROX_KL]:
            return steps, seen

        if log_std_at < 0:
            _discrete_delta(outputs, chosen, slope, ent_coef, delta)
        else:
            _gaussian_delta(outputs, log_std, chosen, slope, ent_coef, delta, log_std_gradient)
        backward(parameters, gradient, actor, is_tanh, x, spaces[0], delta, spaces[2])
        backward(parameters, gradient, critic, is_tanh, x, spaces[1], value_delta, spaces[2])
        noted[NORM] = clip_norm(gradient, max_norm)
        steps += 1
        optimize(kind, parameters, gradient, first, second, steps, learning_rate, settings)
    return steps, seen
