"""A wrapper that keeps the pictures of an episode while it is played."""

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np


@dataclass(frozen=True)
class Frame:
    """The picture of an episode after some of its steps."""

    pixels: np.ndarray  # (height, width, 3) uint8
    step: int
    episode_return: float  # so far
    ending: str = ""  # "ended": terminated; "time limit": truncated; empty: it goes on


class EpisodeFilm(gym.Wrapper[Any, Any, Any, Any]):
    """Renders every n-th step, and always the first and the last picture of an episode.

    :param env: built with ``render_mode="rgb_array"``
    :param every: n
    :param width: in pixels; wider pictures are scaled down at once to save memory
    """

    def __init__(self, env: gym.Env[Any, Any], every: int = 1, width: int = 600) -> None:
        super().__init__(env)
        self.every = every
        self.width = width
        self.finished: list[Frame] = []  # of the last complete episode
        self._frames: list[Frame] = []
        self._step = 0
        self._return = 0.0

    def film(self) -> list[Frame]:
        """Return the frames of the last complete episode."""
        return self.finished

    def reset(self, **keywords: Any) -> tuple[Any, dict[str, Any]]:
        """Reset and keep the first picture of a new film."""
        result = self.env.reset(**keywords)
        self._step, self._return, self._frames = 0, 0.0, []
        self._keep()
        return result

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step; keep a picture after every n-th step and after the last one."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        self._step += 1
        self._return += float(reward)
        ending = "ended" if terminated else "time limit" if truncated else ""
        if ending or self._step % self.every == 0:
            self._keep(ending)
        if ending:
            self.finished = self._frames
        return obs, reward, terminated, truncated, info

    def _keep(self, ending: str = "") -> None:
        from PIL import Image

        picture = Image.fromarray(np.asarray(self.env.render(), dtype=np.uint8))
        picture.thumbnail((self.width, 4 * self.width))
        self._frames.append(Frame(np.asarray(picture), self._step, self._return, ending))
