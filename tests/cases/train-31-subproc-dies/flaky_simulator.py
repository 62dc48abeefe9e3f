"""A simulator that loses its connection now and then."""

import os
import signal
from typing import Any

import gymnasium as gym
import numpy as np


class Flaky(gym.Env[Any, Any]):
    observation_space = gym.spaces.Box(0, 1, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, dies: str = "raise", odds: float = 0.02) -> None:
        self.dies, self.odds = dies, odds

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        del action
        if self.np_random.random() < self.odds:
            if self.dies == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            message = "the simulator lost its connection"
            raise RuntimeError(message)
        return np.zeros(1, np.float32), 1.0, False, False, {}


gym.register("CasesFlaky-v0", entry_point=Flaky, max_episode_steps=10)
