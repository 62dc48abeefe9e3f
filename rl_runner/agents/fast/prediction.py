"""What the compiled twins share: observations as inputs, and actions by a forward pass in NumPy.

For small networks it takes a tenth of the time of torch's. The weights are torch's own memory, so
what is learned or loaded later takes effect at once.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.preprocessing import is_image_space
from torch import nn

Features = Callable[[Any], np.ndarray]
Outputs = Callable[[Any], np.ndarray]
Act = Callable[[np.ndarray, bool], np.ndarray]


def features_of(space: spaces.Space[Any]) -> Features | None:
    """Return the function from a batch of observations to (n, n_features) float32, as SB3 has it.

    Discrete ones become one-hot. None for spaces that compiled code does not support: images,
    dictionaries, MultiDiscrete, ….
    """
    if isinstance(space, spaces.Discrete):
        n, start = int(space.n), int(space.start)

        def one_hot(observations: Any) -> np.ndarray:
            rows = np.asarray(observations).reshape(-1) - start
            features = np.zeros((len(rows), n), np.float32)
            features[np.arange(len(rows)), rows] = 1.0
            return features

        return one_hot
    if isinstance(space, spaces.Box) and not is_image_space(space):
        shape = (-1, int(np.prod(space.shape)))

        def flat(observations: Any) -> np.ndarray:
            return np.ascontiguousarray(observations, dtype=np.float32).reshape(shape)

        return flat
    return None


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


class CompiledTwin(BaseAlgorithm):
    """Base of the twins; in their list of bases it comes before SB3's class."""

    _networks: Any  # ActorCriticNetworks or ValueNetworks
    _features: Features
    _prediction: FastPrediction

    def _setup_model(self) -> None:
        super()._setup_model()  # type: ignore[safe-super]  # SB3's class comes after this one
        features = features_of(self.observation_space)
        assert features is not None  # noqa: S101 - checked in reasons.py
        self._features = features

    def _excluded_save_params(self) -> list[str]:
        own = ["_networks", "_features", "_prediction"]
        return [*super()._excluded_save_params(), *own]

    def set_parameters(self, *arguments: Any, **keywords: Any) -> None:
        """Load parameters and optimiser state, as stock SB3 does."""
        super().set_parameters(*arguments, **keywords)
        self._networks.bind()

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,  # noqa: ARG002 - SB3's signature
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """Return actions for one or a batch of observations."""
        return self._prediction(observation, deterministic=deterministic), state
