"""Environments that raise in one of their methods."""

from typing import Any

import gymnasium as gym
import numpy as np


class Raises(gym.Env[Any, Any]):
    observation_space = gym.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, where: str = "step", render_mode: str | None = None) -> None:
        self.where, self.render_mode, self.n_steps, self.n_resets = where, render_mode, 0, 0

    def _break_at(self, method: str) -> None:
        if method == self.where:
            message = f"{method} broke"
            raise RuntimeError(message)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.n_resets += 1
        if self.n_resets > 3:
            self._break_at("reset")
        self.n_steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        del action
        self.n_steps += 1
        if self.n_steps > 5:
            self._break_at("step")
        if self.where == "exit" and self.n_steps > 5:
            raise SystemExit(0)
        return np.zeros(1, np.float32), 1.0, self.n_steps > 10, False, {}

    def close(self) -> None:
        self._break_at("close")


gym.register("CasesRaises-v0", entry_point=Raises)
