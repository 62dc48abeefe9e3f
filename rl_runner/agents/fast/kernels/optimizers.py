"""Optimiser steps on flat parameters: torch's Adam and RMSprop, and SB3's RMSpropTFLike."""

import math

import numpy as np

from rl_runner.agents.fast.kernels.multilayer_perceptron import compiled
from rl_runner.agents.fast.kernels.structures import (
    ADAM,
    RMSPROP_TF_LIKE,
    Array,
    FlatParameters,
    OptimizerState,
)


@compiled
def clip_norm(gradient: Array, max_norm: float) -> float:
    """Scale the gradient down to a norm, as ``clip_grad_norm_`` does; return its norm before."""
    total = 0.0
    for k in range(len(gradient)):
        total += gradient[k] * gradient[k]
    norm = math.sqrt(total)
    scale = max_norm / (norm + 1e-6)
    if not scale >= 1.0:  # not >=: a gradient with a NaN in it becomes all NaN
        factor = np.float32(scale)
        for k in range(len(gradient)):
            gradient[k] *= factor
    return norm


@compiled
def take_optimizer_step(flat: FlatParameters, optimizer: OptimizerState, step: int) -> None:
    """Change the parameters and the moments by the gradient.

    :param step: the number of this step, from 1; ``optimizer.n_steps`` is not read
    """
    # Scalars are float32 as in torch: with float64 the last digits of the results would differ.
    values, gradient = flat.values, flat.gradient
    first, second = flat.first_moment, flat.second_moment
    decay = np.float32(optimizer.beta2)
    rest = np.float32(1.0 - optimizer.beta2)
    if optimizer.kind == ADAM:  # Kingma & Ba 2015, algorithm 1
        # Correct the moments' bias towards their initial zero by the step size and the root.
        first_rest = np.float32(1.0 - optimizer.beta1)
        step_size = np.float32(optimizer.learning_rate / (1.0 - optimizer.beta1**step))
        root = np.float32(math.sqrt(1.0 - optimizer.beta2**step))
        eps = np.float32(optimizer.eps)
        # Update both moments, then the parameter.
        for k in range(len(values)):
            g = gradient[k]
            m = first[k] + first_rest * (g - first[k])
            v = decay * second[k] + rest * g * g
            first[k] = m
            second[k] = v
            values[k] -= step_size * m / (math.sqrt(v) / root + eps)
    else:  # TensorFlow's RMSprop adds ε inside the root, torch's outside
        is_tf_like = optimizer.kind == RMSPROP_TF_LIKE
        inside = np.float32(optimizer.eps if is_tf_like else 0.0)
        outside = np.float32(0.0 if is_tf_like else optimizer.eps)
        step_size = np.float32(optimizer.learning_rate)
        for k in range(len(values)):
            g = gradient[k]
            v = decay * second[k] + rest * g * g
            second[k] = v
            values[k] -= step_size * g / (math.sqrt(v + inside) + outside)
