"""An environment that hangs from its 200th step on."""

import time
from typing import Any

import gymnasium as gym
import numpy as np


class Hang(gym.Env[Any, Any]):
    observation_space = gym.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode, self.n_steps, self.total = render_mode, 0, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.n_steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        del action
        self.n_steps += 1
        self.total += 1
        if self.total > 200:
            time.sleep(100_000)
        return np.zeros(1, np.float32), 1.0, self.n_steps > 20, False, {}


gym.register("CasesHang-v0", entry_point=Hang)
