"""A line whose ends are far. What happens there is set in the environment variable CLIFF."""

import os
from typing import Any

import gymnasium as gym
import numpy as np


class Cliff(gym.Env[Any, Any]):
    observation_space = gym.spaces.Box(-20, 20, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode, self.x, self.n_steps = render_mode, 0.0, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.x, self.n_steps = float(self.np_random.uniform(-1, 1)), 0
        return np.array([self.x], np.float32), {}

    def step(self, action: Any) -> Any:
        self.x += 0.5 if action == 1 else -0.5
        self.n_steps += 1
        reward, mode = 1 - abs(self.x) / 10, os.environ.get("CLIFF", "safe")
        is_over = self.n_steps >= 20
        if abs(self.x) > 2 and mode == "raise":
            message = "simulator lost connection"
            raise RuntimeError(message)
        if abs(self.x) > 2 and mode != "safe":
            reward, is_over = float(mode), True
        return np.array([self.x], np.float32), reward, is_over, False, {}


gym.register("CasesCliff-v0", entry_point=Cliff)
