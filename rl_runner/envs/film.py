"""Keeps the pictures of an episode while it is played."""

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np


@dataclass(frozen=True)
class Frame:
    """What was to be seen after some steps of an episode."""

    pixels: np.ndarray  # (height, width, 3) uint8
    step: int
    episode_return: float  # so far
    ending: str = ""  # how the episode ended here: "ended" itself, or at the "time limit"


class EpisodeFilm(gym.Wrapper[Any, Any, Any, Any]):
    """Renders every n-th step, and the first and last of each episode always.

    :param env: made with ``render_mode="rgb_array"``
    :param every: keep every n-th step's picture
    :param width: wider pictures are made smaller at once, since a film of full ones fills memory
    """

    def __init__(self, env: gym.Env[Any, Any], every: int = 1, width: int = 600) -> None:
        super().__init__(env)
        self.every = every
        self.width = width
        self.finished: list[Frame] = []  # the last whole episode
        self._frames: list[Frame] = []
        self._step = 0
        self._return = 0.0

    def film(self) -> list[Frame]:
        """Return the frames of the last whole episode."""
        return self.finished

    def reset(self, **keywords: Any) -> tuple[Any, dict[str, Any]]:
        """Begin a film."""
        result = self.env.reset(**keywords)
        self._step, self._return, self._frames = 0, 0.0, []
        self._keep()
        return result

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step and take a picture if it is time for one, or if the episode is over."""
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
