"""Fully connected networks in compiled code: forward and backward over flat parameter memory.

A network is a table of layers, one row (inputs, outputs, offset of the weights, offset of the
biases) each, into one float32 array of parameters. Weights lie as torch's ``Linear`` has them,
(outputs, inputs). Hidden layers are followed by tanh or ReLU, the last by nothing.

A workspace is one float32 array that takes every layer's outputs, one after another.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from rl_runner.agents.fast.kernels.structures import BIASES, INPUTS, OUTPUTS, WEIGHTS, Array
from rl_runner.compiled import compiled as compiled_exactly

Function = TypeVar("Function", bound=Callable[..., Any])

# Sums and products may be reordered for vector instructions; NaN and infinity keep their meaning.
REARRANGED = {"contract", "reassoc", "arcp", "nsz"}


def compiled(function: Function) -> Function:
    """Compile a function whose sums may be rearranged."""
    return compiled_exactly(function, fastmath=REARRANGED)


# tanh x ≈ x P(x²) / Q(x²) on |x| ≤ 9.02, where float32 is 1 beyond. A minimax fit; its relative
# error, 2e-8, is below float32's rounding. Unlike the library's tanh it is vectorised.
P0, P1, P2, P3, P4 = map(
    np.float32, (9.99999979e-01, 1.33796986e-01, 3.49401233e-03, 2.05831421e-05, 1.33186503e-08)
)
Q1, Q2, Q3, Q4 = map(np.float32, (4.67130138e-01, 2.58709868e-02, 3.28305765e-04, 7.76183676e-07))
SATURATED = np.float32(9.02)
NARROW = 4  # up to this many columns, plain loops are faster than the BLAS library
ONE, ZERO = np.float32(1.0), np.float32(0.0)


@compiled
def tanh(x: np.float32) -> np.float32:
    """Return tanh of a float32, to float32's precision; NaN stays NaN."""
    # Not min and max, which would turn NaN into a number.
    if x > SATURATED:  # noqa: PLR1730
        x = SATURATED
    if x < -SATURATED:  # noqa: PLR1730
        x = -SATURATED
    z = x * x
    numerator = x * ((((P4 * z + P3) * z + P2) * z + P1) * z + P0)
    return numerator / ((((Q4 * z + Q3) * z + Q2) * z + Q1) * z + ONE)


@compiled
def _activate(outputs: Array, bias: Array, is_tanh: bool) -> None:
    if is_tanh:
        for i in range(len(outputs)):
            for j in range(len(bias)):
                outputs[i, j] = tanh(outputs[i, j] + bias[j])
    else:
        for i in range(len(outputs)):
            for j in range(len(bias)):
                z = outputs[i, j] + bias[j]
                outputs[i, j] = ZERO if z < ZERO else z  # noqa: FURB136 - NaN stays NaN


@compiled
def _times_slope(delta: Array, outputs: Array, is_tanh: bool) -> None:
    """Multiply by the activation's slope, which follows from its outputs."""
    for i in range(len(outputs)):
        for j in range(outputs.shape[1]):
            if is_tanh:
                delta[i, j] *= ONE - outputs[i, j] * outputs[i, j]
            elif outputs[i, j] <= ZERO:
                delta[i, j] = ZERO


@compiled
def forward(
    parameters: Array, layers: Array, is_tanh: bool, inputs: Array, workspace: Array
) -> Array:
    """Return the last layer's outputs (batch, outputs), which lie in the workspace.

    :param inputs: (batch, inputs) float32
    """
    batch, end = len(inputs), 0
    below = inputs  # what the present layer sees: the outputs of the layer below
    for layer in range(len(layers)):
        n_in, n_out = layers[layer, INPUTS], layers[layer, OUTPUTS]
        w, b = layers[layer, WEIGHTS], layers[layer, BIASES]
        weights = parameters[w : w + n_in * n_out].reshape(n_out, n_in)
        outputs = workspace[end : end + batch * n_out].reshape(batch, n_out)
        np.dot(below, weights.T, outputs)
        bias = parameters[b : b + n_out]
        # Hidden layers have an activation, the last layer has none.
        if layer < len(layers) - 1:
            _activate(outputs, bias, is_tanh)
        else:
            outputs += bias
        below = outputs
        end += batch * n_out
    return below


@compiled
def weights_gradient(delta: Array, below: Array, gradient: Array) -> None:
    """Write deltaᵀ · below, (outputs, inputs); BLAS is slow for narrow matrices."""
    n_out, n_in = gradient.shape
    if min(n_out, n_in) > NARROW:
        np.dot(delta.T, below, gradient)
        return
    wide, narrow = (below, delta) if n_in >= n_out else (delta, below)
    sums = np.zeros((narrow.shape[1], wide.shape[1]), np.float32)
    for i in range(len(wide)):
        for j in range(narrow.shape[1]):
            factor = narrow[i, j]
            for k in range(wide.shape[1]):
                sums[j, k] += factor * wide[i, k]
    if n_in >= n_out:
        gradient[:] = sums
    else:
        gradient[:] = sums.T


@compiled
def backward(
    parameters: Array,
    gradient: Array,
    layers: Array,
    is_tanh: bool,
    inputs: Array,
    workspace: Array,
    delta: Array,
    scratch: Array,
) -> None:
    """Write the loss's gradient by this network's parameters.

    :param gradient: like the parameters; the network's part of it is overwritten
    :param workspace: as :func:`forward` left it
    :param delta: (batch, outputs) the loss's gradient by the last layer's outputs
    :param scratch: (2 × batch × widest layer,) float32
    """
    batch, n_layers = len(inputs), len(layers)
    # The hidden layers' outputs lie in the workspace in order; start behind the last of them.
    end = 0
    for layer in range(n_layers - 1):
        end += batch * layers[layer, OUTPUTS]
    for layer in range(n_layers - 1, -1, -1):
        n_in, n_out = layers[layer, INPUTS], layers[layer, OUTPUTS]
        w, b = layers[layer, WEIGHTS], layers[layer, BIASES]
        # Find what this layer saw.
        if layer > 0:
            end -= batch * n_in
            below = workspace[end : end + batch * n_in].reshape(batch, n_in)
        else:
            below = inputs
        # The gradient by its weights and biases.
        weights_gradient(delta, below, gradient[w : w + n_in * n_out].reshape(n_out, n_in))
        bias_gradient = gradient[b : b + n_out]
        bias_gradient[:] = ZERO
        for i in range(batch):
            for j in range(n_out):
                bias_gradient[j] += delta[i, j]
        # The gradient by the outputs of the layer below, in the half of the scratch that is free.
        if layer > 0:
            half = layer % 2 * (len(scratch) // 2)
            next_delta = scratch[half : half + batch * n_in].reshape(batch, n_in)
            np.dot(delta, parameters[w : w + n_in * n_out].reshape(n_out, n_in), next_delta)
            _times_slope(next_delta, below, is_tanh)
            delta = next_delta
