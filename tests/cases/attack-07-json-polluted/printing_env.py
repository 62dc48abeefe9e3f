"""An environment that prints from Python, from compiled code and from a child process."""

import os
from typing import Any

import gymnasium as gym
import numpy as np


class Hello(gym.Env[Any, Any]):
    observation_space = gym.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode, self.n_steps = render_mode, 0
        print("Hello from the simulator")
        os.write(1, b"hello from compiled code\n")
        os.system("echo hello from a child process")

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.n_steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        del action
        self.n_steps += 1
        print("stepped")
        return np.zeros(1, np.float32), 1.0, self.n_steps > 10, False, {}


gym.register("CasesHello-v0", entry_point=Hello)
