"""Action masks: valid random actions, and a wrapper that offers masks to ``MaskablePPO``.

A mask is a row of flags, as sb3_contrib defines it: one for each action of a Discrete space; of a
MultiDiscrete or MultiBinary space one for each choice of the first component, then of the second
and so on.
"""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces


def n_choices(space: spaces.Space[Any]) -> list[int] | None:
    """Return the number of choices of each component; None for spaces without masks."""
    if isinstance(space, spaces.Discrete):
        return [int(space.n)]
    if isinstance(space, spaces.MultiDiscrete):
        return [int(n) for n in space.nvec.flat]
    if isinstance(space, spaces.MultiBinary):
        return [2] * int(np.prod(space.shape))
    return None


def draw_valid_actions(
    space: spaces.Space[Any], masks: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Draw actions uniformly from those that masks allow.

    :param space: one with :func:`n_choices`
    :param masks: (n, n_flags); where a component has no valid choice, all are taken for valid
    :return: (n, …) actions
    """
    choices = n_choices(space)
    assert choices is not None  # noqa: S101 - see ``space``
    flags = np.asarray(masks, dtype=bool).reshape(len(masks), sum(choices))
    keys = generator.random(flags.shape)
    # Of each component, the valid choice with the largest key.
    components = []
    for part, part_keys in zip(
        np.split(flags, np.cumsum(choices)[:-1], axis=1),
        np.split(keys, np.cumsum(choices)[:-1], axis=1),
        strict=True,
    ):
        valid = part | ~part.any(axis=1, keepdims=True)
        components.append(np.where(valid, part_keys, -1.0).argmax(axis=1))
    actions = np.stack(components, axis=1).reshape(len(masks), *(space.shape or ()))
    shifted: np.ndarray = actions + np.asarray(getattr(space, "start", 0))
    return shifted.astype(space.dtype)


def draw_action(env: gym.Env[Any, Any]) -> Any:
    """Draw an action of one environment, a valid one if it says which are valid now."""
    space = env.action_space
    if n_choices(space) is None or not env.has_wrapper_attr("action_masks"):
        return space.sample()
    mask = np.asarray(env.get_wrapper_attr("action_masks")())
    return draw_valid_actions(space, mask[np.newaxis], space.np_random)[0]


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
