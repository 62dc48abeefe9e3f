from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces

ACCIDENTS: dict[str, type[BaseException]] = {"error": RuntimeError, "ctrl-c": KeyboardInterrupt}


class Accident(gym.Wrapper[Any, Any, Any, Any]):
    """Goes wrong some steps after being reset with one chosen seed, and never otherwise."""

    def __init__(
        self, env: gym.Env[Any, Any], seed: int, kind: str = "error", after: int = 20
    ) -> None:
        super().__init__(env)
        self.bad_seed, self.kind, self.after = seed, kind, after
        self.steps_left: int | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        if seed is not None:
            self.steps_left = self.after if seed == self.bad_seed else None
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        if self.steps_left is not None:
            self.steps_left -= 1
            if self.steps_left == 0:
                message = "the motor burned out"
                raise ACCIDENTS[self.kind](message)
        return self.env.step(action)


class TwoDoors(gym.Env[int, int]):
    """One of two doors is open, and the environment tells which."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}
    observation_space = spaces.Discrete(2)
    action_space = spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.open_door = 0

    def action_masks(self) -> np.ndarray:
        return np.arange(2) == self.open_door

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.open_door = int(self.np_random.integers(2))
        return self.open_door, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        return self.open_door, float(action == self.open_door), True, False, {}


gym.register("TwoDoors-v0", entry_point=TwoDoors, max_episode_steps=5)
