"""A wrapper that offers action masks to :class:`sb3_contrib.MaskablePPO`."""

from typing import Any

import gymnasium as gym
import numpy as np


class ActionMaskFromInfo(gym.Wrapper[Any, Any, Any, Any]):
    """Adds ``action_masks()`` to environments that put an ``action_mask`` into ``info``.

    Gymnasium's Taxi does so; its mask is 0 for actions that would change nothing.
    """

    keeps_rewards = True  # for the bounds of returns

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self._mask: np.ndarray | None = None

    def action_masks(self) -> np.ndarray:
        """Return (n_actions,) bool: whether each action is valid in the current state.

        :raises RuntimeError: before the first reset
        """
        if self._mask is None:
            message = "reset the environment before asking which actions are valid"
            raise RuntimeError(message)
        return self._mask

    def reset(self, **keywords: Any) -> tuple[Any, dict[str, Any]]:
        """Reset and keep the first mask; raises KeyError if ``info`` has none."""
        obs, info = self.env.reset(**keywords)
        self._mask = np.asarray(info["action_mask"], dtype=bool)
        return obs, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step and keep the next state's mask; raises KeyError if ``info`` has none."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        self._mask = np.asarray(info["action_mask"], dtype=bool)
        return obs, reward, terminated, truncated, info
