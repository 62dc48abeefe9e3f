"""The only reward comes at the end of the last step; the environment ends episodes itself."""

from typing import Any

import gymnasium as gym
import numpy as np


class Patience(gym.Env[Any, Any]):
    observation_space = gym.spaces.Box(0, 1, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, last: int = 1500, render_mode: str | None = None) -> None:
        self.last, self.render_mode, self.n_steps = last, render_mode, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.n_steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        del action
        self.n_steps += 1
        done = self.n_steps >= self.last
        shown = min(1.0, self.n_steps / self.last)
        return np.array([shown], np.float32), 100.0 * done, False, done, {}


gym.register("CasesPatience-v0", entry_point=Patience)
