"""Environments so small that every return and every value is known by hand."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

Step = tuple[Any, float, bool, bool, dict[str, Any]]


class Corridor(gym.Env[int, int]):
    """Each episode lasts ``length`` steps of reward 1; what is observed is the step number."""

    N_STATES = 16

    def __init__(self, length: int = 3, *, truncate: bool = False) -> None:
        self.observation_space = spaces.Discrete(self.N_STATES)
        self.action_space = spaces.Discrete(2)
        self.length = length
        self.truncate = truncate
        self.position = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.position = 0
        return 0, {}

    def step(self, action: int) -> Step:
        assert self.action_space.contains(action)
        self.position += 1
        over = self.position == self.length
        return self.position, 1.0, over and not self.truncate, over and self.truncate, {}


class Chain(gym.Env[int, int]):
    """States 0 … n − 1; action 1 goes right, action 0 left; reaching the right end pays 1."""

    def __init__(self, n_states: int = 5) -> None:
        self.observation_space = spaces.Discrete(n_states)
        self.action_space = spaces.Discrete(2)
        self.state = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.state = 0
        return 0, {}

    def step(self, action: int) -> Step:
        self.state = max(0, self.state + (1 if action == 1 else -1))
        arrived = self.state == int(self.observation_space.n) - 1
        return self.state, float(arrived), arrived, False, {}


class Match(gym.Env[int, int]):
    """One step; reward 1 for naming the observation, 0 otherwise."""

    def __init__(self, n: int = 3, first_action: int = 0) -> None:
        self.observation_space = spaces.Discrete(n)
        self.action_space = spaces.Discrete(n, start=first_action)
        self.first_action = first_action
        self.target = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.target = int(self.np_random.integers(self.observation_space.n))
        return self.target, {}

    def step(self, action: int) -> Step:
        assert self.action_space.contains(action), f"{action} is no action"
        return self.target, float(action - self.first_action == self.target), True, False, {}


class Aim(gym.Env[np.ndarray, np.ndarray]):
    """One step; the reward is minus the squared distance of the action from the observation."""

    def __init__(self, low: float = -1.0, high: float = 1.0) -> None:
        self.observation_space = spaces.Box(-0.5, 0.5, (1,), np.float32)
        self.action_space = spaces.Box(low, high, (1,), np.float32)
        self.actions: list[np.ndarray] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.target = self.np_random.uniform(-0.5, 0.5, 1).astype(np.float32)
        return self.target, {}

    def step(self, action: np.ndarray) -> Step:
        self.actions.append(action)
        return self.target, -float(np.sum((action - self.target) ** 2)), True, False, {}


class Masked(gym.Env[np.ndarray, int]):
    """Three actions, of which one (drawn again in each step) is forbidden and ends the episode."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(0.0, 1.0, (4,), np.float32)
        self.action_space = spaces.Discrete(3)
        self.forbidden = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        return self._observe(), {}

    def step(self, action: int) -> Step:
        if action == self.forbidden:
            message = "a forbidden action was chosen"
            raise ValueError(message)
        return self._observe(), float(action == (self.forbidden + 1) % 3), False, False, {}

    def action_masks(self) -> np.ndarray:
        return np.arange(3) != self.forbidden

    def _observe(self) -> np.ndarray:
        self.forbidden = int(self.np_random.integers(3))
        shown = np.eye(3, dtype=np.float32)[self.forbidden]
        return np.append(shown, self.np_random.random(dtype=np.float32))


gym.register("Masked-v0", entry_point="tiny_envs:Masked", max_episode_steps=10)
