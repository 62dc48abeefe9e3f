"""Small environments with images, dictionaries and actions of several components."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rl_runner.envs.masking import n_choices


class Endless(gym.Env[Any, Any]):
    """Observations and rewards at random; the episode is truncated after 20 steps."""

    def __init__(self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]):
        self.observation_space = observation_space
        self.action_space = action_space
        self.step_number = 0

    def action_masks(self) -> np.ndarray:
        return np.ones(sum(n_choices(self.action_space)), dtype=bool)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed, options=options)
        if seed is not None:
            self.observation_space.seed(seed)
        self.step_number = 0
        return self.observation_space.sample(), {}

    def step(self, action):  # noqa: ARG002 - actions change nothing
        self.step_number += 1
        reward = float(self.np_random.random())
        return self.observation_space.sample(), reward, False, self.step_number >= 20, {}


IMAGE = spaces.Box(0, 255, (36, 36, 3), np.uint8)
VECTOR = spaces.Box(-50.0, 50.0, (3,), np.float32)
SPACES: dict[str, tuple[spaces.Space[Any], spaces.Space[Any]]] = {
    "Image-v0": (IMAGE, spaces.Discrete(3)),
    "Dict-v0": (
        spaces.Dict({"picture": IMAGE, "place": VECTOR, "level": spaces.Discrete(4)}),
        spaces.Box(-2.0, 3.0, (2, 2), np.float32),
    ),
    "Components-v0": (spaces.MultiDiscrete([3, 4]), spaces.MultiDiscrete([2, 3])),
    "Flags-v0": (spaces.MultiBinary(5), spaces.MultiBinary(3)),
}
for _name, (_observations, _actions) in SPACES.items():
    gym.register(
        _name,
        entry_point="portable_envs:Endless",
        kwargs={"observation_space": _observations, "action_space": _actions},
        disable_env_checker=True,
    )
