"""Which observations are images, and where their channels are."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

SMALLEST_IMAGE = 36  # pixels: the least height and width that SB3's NatureCNN takes


def parts_of(space: gym.Space[Any]) -> Iterator[tuple[str, gym.Space[Any]]]:
    """Yield the parts of a Dict or Tuple, each with its key; of another space, itself with ""."""
    if isinstance(space, spaces.Dict):
        yield from space.spaces.items()
    elif isinstance(space, spaces.Tuple):
        yield from ((str(i), part) for i, part in enumerate(space.spaces))
    else:
        yield "", space


def is_image(space: gym.Space[Any]) -> bool:
    """Whether SB3 takes a space for images: three dimensions of bytes from 0 to 255."""
    from stable_baselines3.common.preprocessing import is_image_space

    return is_image_space(space)


def is_quantity(space: gym.Space[Any]) -> bool:
    """Whether a space holds quantities, which can be normalised: a Box, but not of images."""
    return isinstance(space, spaces.Box) and not is_image(space)


def is_grey_image(space: gym.Space[Any]) -> bool:
    """Whether a space holds images without a channel axis: height × width bytes from 0 to 255.

    Smaller ones than a convolutional network takes are matrices like any other.
    """
    return len(space.shape or ()) == 2 and _is_picture(space)


def is_image_stack(space: gym.Space[Any]) -> bool:
    """Whether a space holds several images, such as frames × height × width × channels bytes."""
    return len(space.shape or ()) > 3 and _is_picture(space)


def _is_picture(space: gym.Space[Any]) -> bool:
    """Whether a space holds bytes from 0 to 255 with a height and a width, of any dimensions."""
    return (
        isinstance(space, spaces.Box)
        and sorted(space.shape)[-2] >= SMALLEST_IMAGE
        and space.dtype == np.uint8
        and bool(np.all(space.low == 0) and np.all(space.high == 255))
    )


def has_channels_first(image: gym.Space[Any]) -> bool:
    """Whether the first of an image's three dimensions is the channels, as SB3 guesses."""
    from stable_baselines3.common.preprocessing import is_image_space_channels_first

    assert isinstance(image, spaces.Box)  # noqa: S101 - what an image is
    return is_image_space_channels_first(image)


def image_size(image: gym.Space[Any]) -> tuple[int, int]:
    """Return an image's height and width."""
    shape = image.shape or ()
    return shape[1:] if has_channels_first(image) else shape[:2]  # type: ignore[return-value]


def with_channels_first(venv: "VecEnv") -> "VecEnv":
    """Transpose images whose channels come last, as SB3's algorithms do around all other layers.

    SB3 leaves environments alone whose images are transposed already. A replay buffer asks
    ``VecNormalize`` for observations, so they have to be transposed below it.
    """
    from stable_baselines3.common.vec_env import VecTransposeImage

    images = [part for _, part in parts_of(venv.observation_space) if is_image(part)]
    # SB3 cannot transpose some images of a Dict only.
    if images and not any(map(has_channels_first, images)):
        return VecTransposeImage(venv)
    return venv
