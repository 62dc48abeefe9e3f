"""Rows of a table: the observations of a finite space, numbered."""

import math
from typing import Any

import numpy as np
from gymnasium import spaces

LARGEST = int(np.iinfo(np.int64).max)


class StateIndex:
    """Numbers the observations of a finite space: 0 … n_states − 1.

    :raises ValueError: if the space is not Discrete, MultiDiscrete, MultiBinary or a Tuple of
        Discrete
    """

    def __init__(self, space: spaces.Space[Any]) -> None:
        self.is_tuple = isinstance(space, spaces.Tuple)
        match space:
            case spaces.Discrete():
                sizes, starts = [int(space.n)], [int(space.start)]
            case spaces.MultiDiscrete():
                sizes, starts = list(map(int, space.nvec.flat)), list(map(int, space.start.flat))
            case spaces.MultiBinary():
                sizes, starts = [2] * math.prod(space.shape), [0] * math.prod(space.shape)
            case spaces.Tuple() if all(isinstance(part, spaces.Discrete) for part in space):
                sizes, starts = [int(p.n) for p in space], [int(p.start) for p in space]
            case _:
                message = (
                    f"a table needs finitely many observations (Discrete, MultiDiscrete, "
                    f"MultiBinary or a Tuple of Discrete), not {space}"
                )
                raise ValueError(message)
        self.n_states = math.prod(sizes)
        self.starts = np.array(starts)
        # Mixed radix: the last component changes fastest. (Numbers above int64 only occur in spaces
        # whose table is refused for its size anyway.)
        strides = [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]
        self.strides = np.array([min(stride, LARGEST) for stride in strides], dtype=np.int64)

    def of_batch(self, observations: Any) -> np.ndarray:
        """Return (n,) row numbers for a vectorised environment's n observations."""
        if self.is_tuple:
            parts = np.stack([np.asarray(part).reshape(-1) for part in observations], axis=-1)
        else:
            parts = np.asarray(observations).reshape(-1, len(self.starts))
        rows: np.ndarray = (parts.astype(np.int64) - self.starts) @ self.strides
        return rows

    def of_single(self, observation: Any) -> int:
        """Return the row number of one observation as the environment returned it."""
        parts = np.asarray(observation, dtype=np.int64).reshape(-1)
        return int((parts - self.starts) @ self.strides)
