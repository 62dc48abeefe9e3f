"""An environment whose error holds a file name that is not UTF-8."""

import os
from typing import Any

import gymnasium as gym
import numpy as np


class Surrogate(gym.Env[Any, Any]):
    observation_space = gym.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        del action
        raise FileNotFoundError("no such map: " + os.fsdecode(b"\xff.map"))


gym.register("CasesSurrogate-v0", entry_point=Surrogate)
