"""A policy's actions by a forward pass in NumPy, for playing and evaluating.

For small networks it takes a tenth of the time of torch's. The weights are torch's own memory, so
what is learned or loaded later takes effect at once.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from gymnasium import spaces
from torch import nn

from rl_runner.agents.fast.features import features_of

Outputs = Callable[[Any], np.ndarray]
Act = Callable[[np.ndarray, bool], np.ndarray]


class MlpForward:
    """A stack of ``Linear`` layers with one kind of activation between them."""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        modules = list(modules)
        self._layers = [
            (layer.weight.detach().numpy().T, layer.bias.detach().numpy())
            for layer in modules
            if isinstance(layer, nn.Linear)
        ]
        self._is_tanh = any(isinstance(module, nn.Tanh) for module in modules)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return (n, n_outputs) float32 for (n, n_features)."""
        *hidden, (last_weights, last_bias) = self._layers
        for weights, bias in hidden:
            features = features @ weights
            features += bias
            if self._is_tanh:
                np.tanh(features, out=features)
            else:
                np.maximum(features, 0.0, out=features)
        outputs: np.ndarray = features @ last_weights + last_bias
        return outputs


class FastPrediction:
    """Replaces ``policy.predict``: one action for an observation, or one each for a batch.

    :param outputs: the network, from (n, n_features) to (n, n_outputs)
    :param act: from the network's outputs (n, n_outputs), and whether to take the most likely
        action, to (n, …) actions; what it draws comes from NumPy's global generator
    :raises ValueError: if :func:`features_of` does not support the observation space
    """

    def __init__(self, space: spaces.Space[Any], outputs: Outputs, act: Act) -> None:
        features = features_of(space)
        if features is None:
            message = f"the fast forward pass does not support observations of {space}"
            raise ValueError(message)
        self._space = space
        self._features = features
        self._outputs = outputs
        self._act = act

    def __call__(self, observation: Any, *, deterministic: bool) -> np.ndarray:
        """Return the action, or the batch of actions.

        :raises ValueError: if the observation's shape is not the space's
        """
        shape, expected = np.shape(observation), self._space.shape or ()
        if shape not in {expected, (*shape[:1], *expected)}:
            message = f"an observation has shape {shape}; expected {expected}"
            raise ValueError(message)
        actions = self._act(self._outputs(self._features(observation)), deterministic)
        one: np.ndarray = actions[0] if shape == expected else actions
        return one


def categorical_actions(logits: np.ndarray, deterministic: bool) -> np.ndarray:
    """Return the most likely action of each row, or one drawn by one uniform number per row."""
    if deterministic:
        return np.asarray(np.argmax(logits, axis=1))
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    cumulated = np.cumsum(probabilities, axis=1)
    drawn = np.random.random(len(logits)) * cumulated[:, -1]  # noqa: NPY002 - as SB3's policies
    return np.asarray((cumulated <= drawn[:, np.newaxis]).sum(axis=1))


def gaussian_actions(space: spaces.Box, log_std: np.ndarray) -> Act:
    """Return how to act on means (n, n_components), clipped to the space."""

    def act(means: np.ndarray, deterministic: bool) -> np.ndarray:
        if not deterministic:
            noise = np.random.standard_normal(means.shape).astype(np.float32)  # noqa: NPY002
            means = means + np.exp(log_std) * noise
        actions: np.ndarray = np.clip(means.reshape(-1, *space.shape), space.low, space.high)
        return actions

    return act
