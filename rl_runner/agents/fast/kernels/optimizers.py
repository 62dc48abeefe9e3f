"""A step over flat memory, as torch's Adam and RMSprop and SB3's RMSpropTFLike take it."""

import math

import numpy as np

from rl_runner.agents.fast.kernels.multilayer_perceptron import Array, compiled
from rl_runner.agents.fast.memory import ADAM, RMSPROP_TF_LIKE


@compiled
def clip_norm(gradient: Array, max_norm: float) -> float:
    """Scale the gradient down to a norm, as ``clip_grad_norm_`` does; return what its norm was."""
    total = 0.0
    for k in range(len(gradient)):
        total += gradient[k] * gradient[k]
    norm = math.sqrt(total)
    scale = max_norm / (norm + 1e-6)
    if not scale >= 1.0:  # a gradient with a NaN in it becomes all NaN
        factor = np.float32(scale)
        for k in range(len(gradient)):
            gradient[k] *= factor
    return norm


@compiled
def optimize(
    kind: int,
    parameters: Array,
    gradient: Array,
    first: Array,
    second: Array,
    step: int,
    learning_rate: float,
    settings: tuple[float, ...],
) -> None:
    """Take one step.

    :param first: Adam's running mean of the gradient; unused by RMSprop
    :param second: the running mean of the squared gradient
    :param step: how many steps this one makes, from 1
    :param settings: (β₁, β₂, ε) of Adam, (unused, α, ε) of RMSprop
    """
    beta1, beta2, eps = settings
    decay = np.float32(beta2)
    rest = np.float32(1.0 - beta2)
    if kind == ADAM:
        first_rest = np.float32(1.0 - beta1)
        step_size = np.float32(learning_rate / (1.0 - beta1**step))
        root = np.float32(math.sqrt(1.0 - beta2**step))
        small = np.float32(eps)
        for k in range(len(parameters)):
            g = gradient[k]
            m = first[k] + first_rest * (g - first[k])
            v = decay * second[k] + rest * g * g
            first[k] = m
            second[k] = v
            parameters[k] -= step_size * m / (math.sqrt(v) / root + small)
    else:
        inside = np.float32(eps if kind == RMSPROP_TF_LIKE else 0.0)
        outside = np.float32(0.0 if kind == RMSPROP_TF_LIKE else eps)
        step_size = np.float32(learning_rate)
        for k in range(len(parameters)):
            g = gradient[k]
            v = decay * second[k] + rest * g * g
            second[k] = v
            parameters[k] -= step_size * g / (math.sqrt(v + inside) + outside)
