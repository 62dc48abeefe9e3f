"""Environments as users write them: no rendering, no time limit, nothing but the five methods."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import WrapperSpec


class Noise(gym.Env[np.ndarray, int]):
    """Shows and pays what its generator draws, for ever; an action is worth its number."""

    def __init__(self, scale: float = 1.0) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = spaces.Discrete(2)
        self.scale = scale

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        return self._draw(), {"seed": seed}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        return self._draw(), float(self.np_random.normal() + action), False, False, {}

    def _draw(self) -> np.ndarray:
        return (self.scale * self.np_random.normal(3.0, 2.0, 2)).astype(np.float32)


class TwoParts(Noise):
    """The same noise as a dictionary of two parts on different scales."""

    def __init__(self) -> None:
        super().__init__()
        part = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.observation_space = spaces.Dict({"near": part, "far": part})

    def _draw(self) -> dict[str, np.ndarray]:  # type: ignore[override]
        near, far = self.np_random.normal((1.0, 100.0), (1.0, 10.0), (2, 2)).astype(np.float32).T
        return {"near": near, "far": far}


class NeedsPackage(gym.Env[int, int]):
    """Cannot be built here, as an environment whose simulator is not installed."""

    def __init__(self) -> None:
        message = "simulator is not installed, run `pip install simulator`"
        raise gym.error.DependencyNotInstalled(message)


class KeepsStatistics(gym.Wrapper[Any, Any, Any, Any]):
    """A wrapper of the user's own that normalises one layer deeper."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(gym.wrappers.NormalizeReward(env))


class KeepsInside(Noise):
    """Not a wrapper, but with another environment inside."""

    def __init__(self) -> None:
        super().__init__()
        self.env = gym.wrappers.NormalizeObservation(Noise())


def normalized_noise() -> gym.Env[Any, Any]:
    return gym.wrappers.NormalizeObservation(Noise())


gym.register("PlainNormalizedInside-v0", entry_point="plain_envs:KeepsInside")
gym.register("PlainNormalizedEntry-v0", entry_point="plain_envs:normalized_noise")
gym.register(
    "PlainNormalizedAdded-v0",
    entry_point="plain_envs:Noise",
    additional_wrappers=(
        WrapperSpec("NormalizeReward", "gymnasium.wrappers:NormalizeReward", {"gamma": 0.99}),
    ),
)
gym.register("PlainNoise-v0", entry_point="plain_envs:Noise")
gym.register("PlainTwoParts-v0", entry_point="plain_envs:TwoParts", max_episode_steps=50)
gym.register("PlainNeedsPackage-v0", entry_point="plain_envs:NeedsPackage")
gym.register("PlainMissingModule-v0", entry_point="no_such_simulator.envs:Env")
gym.register("PlainVersions-v1", entry_point="plain_envs:Noise")
gym.register("PlainVersions-v2", entry_point="plain_envs:Noise")
gym.register("PlainUnversionedA", entry_point="plain_envs:Noise")
gym.register("PlainUnversionedB", entry_point="plain_envs:Noise")
