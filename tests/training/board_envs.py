"""An environment whose actions have two dimensions."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

IN_ONE_ROW = spaces.MultiDiscrete([4] * 6)


class Board(gym.Env[np.ndarray, np.ndarray]):
    """An action is a choice for each of two rows and three columns."""

    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.MultiDiscrete(np.full((2, 3), 4))

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed, options=options)
        return np.zeros(2, np.float32), {}

    def step(self, action: np.ndarray) -> Any:
        assert action in self.action_space
        return np.zeros(2, np.float32), float(action.sum()), False, False, {}


def to_board(action: np.ndarray) -> np.ndarray:
    return action.reshape(2, 3)


gym.register("Board-v0", entry_point="board_envs:Board", max_episode_steps=50)
