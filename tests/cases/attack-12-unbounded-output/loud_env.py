"""An environment that prints 30 megabytes without a line break, and fails with five more."""

import sys
from typing import Any

import gymnasium as gym
import numpy as np


class Loud(gym.Env[Any, Any]):
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
        sys.stdout.write("z" * 100_000)
        if self.total > 300:
            raise RuntimeError("q" * 5_000_000)
        return np.zeros(1, np.float32), 1.0, self.n_steps > 10, False, {}


gym.register("CasesLoud-v0", entry_point=Loud)
