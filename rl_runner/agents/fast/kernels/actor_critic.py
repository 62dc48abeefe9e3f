"""The losses of PPO, A2C and REINFORCE and their gradients, written out.

Actor and critic share nothing but the observation. The actor's last layer gives the logits of a
categorical distribution, or the means of a Gaussian whose log standard deviations are parameters of
their own.
"""

import math

import numpy as np

from rl_runner.agents.fast.kernels.acting import LOG_ROOT_2PI, log_softmax
from rl_runner.agents.fast.kernels.multilayer_perceptron import backward, compiled, forward
from rl_runner.agents.fast.kernels.optimizers import clip_norm, take_optimizer_step
from rl_runner.agents.fast.kernels.structures import (
    OUTPUTS,
    ActorCritic,
    ActorCriticWorkspaces,
    Array,
    FlatParameters,
    LossSettings,
    OptimizerState,
    Rollout,
)

# Columns of what is recorded of each minibatch.
POLICY_LOSS, VALUE_LOSS, ENTROPY_LOSS, APPROX_KL, CLIP_FRACTION, LOSS, NORM = range(7)
N_STATISTICS = 7


@compiled
def explained_variance(values: Array, returns: Array) -> float:
    """Return 1 − Var(returns − values) / Var(returns); NaN if all returns are equal."""
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
    """Scale the advantages to mean 0 and standard deviation 1, in place."""
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
    settings: LossSettings,
    delta: Array,
) -> float:
    """Write vf_coef times the value loss's gradient; return the value loss."""
    n, loss = len(values), 0.0
    clip_range_vf, vf_coef = settings.clip_range_vf, settings.vf_coef
    for i in range(n):
        value, passes = values[i, 0], 1.0  # passes: 0 where clipping leaves no gradient
        if settings.clips_value:
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
    settings: LossSettings,
    slope: Array,
    statistics: Array,
) -> None:
    """Write the gradient of the policy loss by log π(a | s); record loss, KL and clip fraction.

    PPO's clipped objective (Schulman et al. 2017, eq. 7), or the plain policy gradient.
    """
    n, clip_range = len(log_prob), settings.clip_range
    loss, kl, clipped = 0.0, 0.0, 0
    for i in range(n):
        advantage = advantages[i]
        if not settings.clips_ratio:
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
def _minibatch(rollout: Rollout, rows: Array) -> Rollout:
    """Return copies of some rows of the rollout."""
    return Rollout(
        rollout.observations[rows],
        rollout.actions[rows],
        rollout.values[rows],
        rollout.log_probs[rows],
        rollout.advantages[rows],
        rollout.returns[rows],
    )


@compiled
def _write_gradient(
    network: ActorCritic,
    flat: FlatParameters,
    minibatch: Rollout,
    settings: LossSettings,
    workspaces: ActorCriticWorkspaces,
    statistics: Array,
) -> bool:
    """Write the loss's gradient by all parameters; False if the KL divergence is too large.

    :param minibatch: its advantages are normalised in place, if the settings say so
    :param statistics: (N_STATISTICS,) written
    """
    parameters, gradient, is_tanh = flat.values, flat.gradient, network.is_tanh
    obs, actions = minibatch.observations, minibatch.actions
    log_std = parameters[network.log_std_start : network.log_std_start + network.n_std]
    log_std_gradient = gradient[network.log_std_start : network.log_std_start + network.n_std]
    n, n_outputs = len(obs), network.actor[len(network.actor) - 1, OUTPUTS]
    log_prob = np.empty(n, np.float32)
    slope = np.empty(n, np.float32)  # of the policy loss, by log π(a | s)
    delta = np.empty((n, n_outputs), np.float32)  # gradient by the actor's outputs
    value_delta = np.empty((n, 1), np.float32)  # gradient by the critic's output

    # What the present parameters say about the minibatch.
    outputs = forward(parameters, network.actor, is_tanh, obs, workspaces.actor)
    values = forward(parameters, network.critic, is_tanh, obs, workspaces.critic)
    if settings.normalizes_advantage and n > 1:
        _normalize(minibatch.advantages)
    if network.is_discrete:
        log_softmax(outputs)
        entropy = _discrete_log_prob(outputs, actions, log_prob)
    else:
        entropy = _gaussian_log_prob(outputs, log_std, actions, log_prob)

    # The losses.
    _policy_loss(log_prob, minibatch.log_probs, minibatch.advantages, settings, slope, statistics)
    statistics[VALUE_LOSS] = _value_loss(
        values, minibatch.values, minibatch.returns, settings, value_delta
    )
    statistics[ENTROPY_LOSS] = -entropy
    statistics[LOSS] = (
        statistics[POLICY_LOSS]
        - settings.ent_coef * entropy
        + settings.vf_coef * statistics[VALUE_LOSS]
    )
    if statistics[APPROX_KL] > settings.kl_limit:
        return False

    # Their gradient, by the networks' outputs and from there by the parameters.
    if network.is_discrete:
        _discrete_delta(outputs, actions, slope, settings.ent_coef, delta)
    else:
        _gaussian_delta(
            outputs, log_std, actions, slope, settings.ent_coef, delta, log_std_gradient
        )
    actor_space, critic_space, scratch = workspaces.actor, workspaces.critic, workspaces.deltas
    backward(parameters, gradient, network.actor, is_tanh, obs, actor_space, delta, scratch)
    backward(parameters, gradient, network.critic, is_tanh, obs, critic_space, value_delta, scratch)
    return True


@compiled
def take_minibatches(
    network: ActorCritic,
    flat: FlatParameters,
    optimizer: OptimizerState,
    rollout: Rollout,
    indices: Array,
    batch_size: int,
    settings: LossSettings,
    workspaces: ActorCriticWorkspaces,
    statistics: Array,
) -> tuple[int, int]:
    """Take one optimiser step per minibatch of one epoch.

    :param indices: a permutation of the rollout's rows
    :param statistics: (minibatches, N_STATISTICS) written
    :return: how many steps the optimiser has taken in all, and how many minibatches were evaluated
    """
    n_steps, n_evaluated = optimizer.n_steps, 0
    for start in range(0, len(indices), batch_size):
        minibatch = _minibatch(rollout, indices[start : start + batch_size])
        row = statistics[n_evaluated]
        n_evaluated += 1
        if not _write_gradient(network, flat, minibatch, settings, workspaces, row):
            break
        row[NORM] = clip_norm(flat.gradient, settings.max_grad_norm)
        n_steps += 1
        take_optimizer_step(flat, optimizer, n_steps)
    return n_steps, n_evaluated
