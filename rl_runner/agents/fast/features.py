"""Observations as a network's inputs: flat float32 rows, discrete ones one-hot, as in SB3."""

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space

Features = Callable[[Any], np.ndarray]


def features_of(space: spaces.Space[Any]) -> Features | None:
    """Return the function from a batch of observations to (n, n_features) float32.

    None for spaces that compiled code does not support: images, dictionaries, MultiDiscrete, ….
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
