"""A wrapper that keeps the pictures of an episode while it is played."""

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from rl_runner.envs.contract.breaches import described
from rl_runner.errors import EnvError, Problem


@dataclass(frozen=True)
class Frame:
    """The picture of an episode after some of its steps."""

    pixels: np.ndarray  # (height, width, 3) uint8
    step: int
    episode_return: float  # so far
    ending: str = ""  # "ended": terminated; "time limit": truncated; empty: it continues


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

        picture = Image.fromarray(plain_picture(self.env.render()))
        if self._frames:  # all frames of a video have one size
            height, width = self._frames[0].pixels.shape[:2]
            picture = (
                picture if picture.size == (width, height) else picture.resize((width, height))
            )
        else:
            picture.thumbnail((self.width, 4 * self.width))
        self._frames.append(Frame(np.asarray(picture), self._step, self._return, ending))


def plain_picture(rendered: Any) -> np.ndarray:
    """Return what ``render`` returned as (height, width, 3) uint8.

    A list of pictures (``rgb_array_list``) counts as its last one. Grey pictures, pictures with
    transparency, with the channels first, or with fractions from 0 to 1 are converted.

    :raises EnvError: if it is not a picture
    """
    if isinstance(rendered, list | tuple) and rendered and np.ndim(rendered[0]) in {2, 3}:
        rendered = rendered[-1]
    try:
        pixels = np.asarray(rendered)
    except Exception:  # noqa: BLE001 - converting a foreign object may raise anything
        raise _no_picture(rendered) from None
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim == 3 and pixels.shape[2] not in {1, 3, 4} and pixels.shape[0] in {1, 3}:
        pixels = np.moveaxis(pixels, 0, 2)
    is_picture = pixels.ndim == 3 and pixels.shape[2] in {1, 3, 4} and pixels.size > 0
    if not is_picture or pixels.dtype.kind not in "fiub":
        raise _no_picture(rendered)
    # Fractions and flags from 0 to 1 become bytes.
    if pixels.dtype.kind in "fb":
        numbers = np.nan_to_num(pixels.astype(np.float64))
        pixels = numbers * 255 if numbers.max() <= 1 else numbers
    colours = np.clip(pixels, 0, 255).astype(np.uint8)[..., :3]
    return np.ascontiguousarray(np.broadcast_to(colours, (*colours.shape[:2], 3)))


def _no_picture(rendered: Any) -> EnvError:
    what = f"`render()` returned {described(rendered)} in the mode `rgb_array`, not a picture."
    return EnvError(Problem(what, "", "Return an array (height, width, 3) of uint8."))
