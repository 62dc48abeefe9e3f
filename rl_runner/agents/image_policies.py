"""Observations with height and width: which policy suits them, and what cannot work.

SB3 recognises images by their space: three dimensions of bytes from 0 to 255. Everything else of
any shape is a row of numbers to it, which ``MlpPolicy`` sees without their neighbours.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from gymnasium import spaces

from rl_runner.agents.registry import Algorithm
from rl_runner.config import EnvConfig, ExperimentConfig
from rl_runner.envs.images import (
    SMALLEST_IMAGE,
    has_channels_first,
    image_size,
    is_grey_image,
    is_image,
    is_image_stack,
    parts_of,
)
from rl_runner.errors import Problem

Checked = Mapping[str, Any]
Space = spaces.Space[Any]

LARGER = "{name: gymnasium.wrappers.ResizeObservation, kwargs: {shape: [84, 84]}}"


def image_problems(
    config: ExperimentConfig, algorithm: Algorithm, checked: Checked, observations: Space
) -> Iterator[Problem]:
    """Yield a problem for each image that the network cannot take or would not see as one.

    :param checked: the hyperparameters, in which the policy may still be ``auto``
    :param observations: the space with all layers, as the agent sees it
    """
    yield from _unscaled(config, checked, observations)
    images = {key: part for key, part in parts_of(observations) if is_image(part)}
    if len({has_channels_first(image) for image in images.values()}) > 1:
        what = f"Of the images {', '.join(f'`{key}`' for key in images)}, some have their channels "
        what += "first and some last, which SB3 does not take."
        cure = "Return all of them with the channels last."
        yield Problem(what, config.source.locate(("env",)), cure)
    if _has_own_extractor(checked):
        return
    policy = str(checked.get("policy", ""))
    has_network = _has_policy(algorithm, "Cnn")
    for key, part in parts_of(observations):
        convolves = policy == "auto" or policy.startswith(("Cnn", "MultiInput"))
        if is_image(part) and has_network and convolves and min(image_size(part)) < SMALLEST_IMAGE:
            yield _too_small(config, key, part)
        # A policy that the user has named is the user's own choice, unless it cannot work.
        unnoticed = policy == "auto" or policy.startswith("Cnn")
        if is_grey_image(part) and has_network and unnoticed:
            yield _without_channels(config, key, part)
        elif is_image_stack(part) and has_network and unnoticed:
            yield _of_several_images(config, key, part)
        elif policy.startswith("Cnn") and not is_image(part):
            yield from _not_bytes(config, checked, policy, part)


def _not_bytes(
    config: ExperimentConfig, checked: Checked, policy: str, space: Space
) -> Iterator[Problem]:
    """Yield what keeps a convolutional policy, which the user named, from taking these numbers."""
    shape = space.shape or ()
    where = config.source.locate(("algo", "policy"))
    if not isinstance(space, spaces.Box) or len(shape) != 3:
        what = f"{policy} takes images. The observations of {config.env.id} are {space}."
        yield Problem(what, where, "Set `policy: auto`, which chooses the policy by the space.")
    elif (checked.get("policy_kwargs") or {}).get("normalize_images", True):
        what = f"{policy} takes images of bytes from 0 to 255. The observations of {config.env.id} "
        what += f"are {space}."
        cure = "Return such bytes (uint8), or keep the numbers as they are: `policy_kwargs: "
        cure += "{normalize_images: false}`, with the channels first."
        yield Problem(what, where, cure)
    elif config.env.frame_stack > 1:
        what = "Only images of bytes are stacked by their channels: `env.frame_stack` would join "
        what += f"the frames of {config.env.id} sideways, here to {space}."
        cure = "Return bytes (uint8), or stack the frames in a wrapper of your own."
        yield Problem(what, config.source.locate(("env", "frame_stack")), cure)
    elif min(shape[1:]) < SMALLEST_IMAGE:
        size = " × ".join(map(str, shape))
        what = f"Only images of bytes are transposed: {policy} takes {size} for channels × height "
        what += f"× width, and needs at least {SMALLEST_IMAGE} × {SMALLEST_IMAGE} pixels."
        yield Problem(what, where, "Return the channels first, or `policy: MlpPolicy`.")


def _unscaled(config: ExperimentConfig, checked: Checked, observations: Space) -> Iterator[Problem]:
    """Yield a problem if images are neither normalised nor divided by 255."""
    has_images = any(is_image(part) for _, part in parts_of(observations))
    divides = (checked.get("policy_kwargs") or {}).get("normalize_images", True)
    if has_images and config.env.normalize.observations and not divides:
        what = "`env.normalize` leaves images as they are, and with `normalize_images: false` "
        what += "nothing else scales their bytes."
        where = config.source.locate(("algo", "policy_kwargs"))
        yield Problem(what, where, "Leave `normalize_images` out: bytes are divided by 255.")


def _too_small(config: ExperimentConfig, key: str, image: Space) -> Problem:
    height, width = image_size(image)
    smallest = f"{SMALLEST_IMAGE} × {SMALLEST_IMAGE}"
    what = (
        f"{_subject(config, key)} are images of {height} × {width} pixels, too small for SB3's "
        f"convolutional network (NatureCNN), which needs at least {smallest}."
    )
    other = (
        "flatten them (`env.wrappers: [gymnasium.wrappers.FlattenObservation]`)"
        if key
        else f"set `policy: MlpPolicy`, enlarge them (`env.wrappers: [{LARGER}]`)"
    )
    own = "name a network of your own (`policy_kwargs: {features_extractor_class: module.Class}`)"
    cure = f"{other[0].upper()}{other[1:]}, or {own}."
    return Problem(what, config.source.locate(("algo", "policy")), cure)


def _without_channels(config: ExperimentConfig, key: str, image: Space) -> Problem:
    height, width = image.shape or (0, 0)
    width //= config.env.frame_stack  # stacked sideways
    what = (
        f"{_subject(config, key)} are grey images of {height} × {width} bytes without a channel "
        f"axis: to SB3 they are {math.prod(image.shape or ()):,} separate numbers, not an image."
    )
    if any(wrapper.name.endswith("AtariPreprocessing") for wrapper in config.env.wrappers):
        axis = "`grayscale_newaxis: true` in the `kwargs` of AtariPreprocessing"
    elif key:
        axis = "a wrapper of your own in `env.wrappers`"
    else:
        shape = f"{{shape: [{height}, {width}, 1]}}"
        axis = f"`env.wrappers: [{{name: gymnasium.wrappers.ReshapeObservation, kwargs: {shape}}}]`"
    vector = "MultiInputPolicy" if key else "MlpPolicy"
    cure = f"Add the axis by {axis}, or set `policy: {vector}` if a vector is meant."
    return Problem(what, config.source.locate(("env",)), cure)


def _of_several_images(config: ExperimentConfig, key: str, images: Space) -> Problem:
    size = " × ".join(map(str, images.shape or ()))
    what = (
        f"{_subject(config, key)} are several images at once, {size} bytes: to SB3 they are "
        f"{math.prod(images.shape or ()):,} separate numbers, not an image."
    )
    cure = "Write a wrapper that returns height × width × channels."
    if any(wrapper.name.endswith("FrameStackObservation") for wrapper in config.env.wrappers):
        cure = "Let `env.frame_stack` stack the frames by their channels, in place of the wrapper."
    vector = "MultiInputPolicy" if key else "MlpPolicy"
    cure += f" Or set `policy: {vector}` if a vector is meant."
    return Problem(what, config.source.locate(("env",)), cure)


def image_notes(
    env: EnvConfig, algorithm: Algorithm, checked: Checked, chosen: Checked, observations: Space
) -> Iterator[str]:
    """Yield a sentence for each choice about images that the user may not expect.

    :param checked: the hyperparameters as they were written, ``chosen`` with the policy chosen
    :param observations: the space with all layers, as the agent sees it
    """
    policy = str(chosen.get("policy", algorithm.name))
    is_auto = checked.get("policy", "auto") == "auto" and not _has_own_extractor(checked)
    for key, part in parts_of(observations):
        before = f"`{key}`: " if key else ""
        # What was asked for, and is not done.
        if is_image(part) and env.normalize.observations:
            yield (
                f"{before}Images are left as they are by `env.normalize`, because {policy} divides "
                "their bytes by 255."
            )
        # What was chosen, and may not be what was meant.
        size = " × ".join(map(str, part.shape or ()))
        if is_auto and is_image(part) and not _has_policy(algorithm, "Cnn"):
            yield (
                f"{before}{algorithm.name} has no network for images; it sees {size} separate "
                "numbers."
            )
        elif is_auto and _may_be_an_image(part) and _has_policy(algorithm, "Cnn"):
            yield (
                f"{before}{policy} sees {size} separate numbers of {part.dtype}. If they are "
                "images, return height × width × channels as bytes from 0 to 255 (uint8), for "
                "which a convolutional network is chosen."
            )


def _may_be_an_image(space: Space) -> bool:
    """Whether a space has a height and a width, but is not what SB3 takes for an image."""
    if not isinstance(space, spaces.Box) or is_image(space):
        return False
    return len(space.shape) > 1 and sorted(space.shape)[-2] >= SMALLEST_IMAGE


def _has_own_extractor(checked: Checked) -> bool:
    return bool((checked.get("policy_kwargs") or {}).get("features_extractor_class"))


def _has_policy(algorithm: Algorithm, kind: str) -> bool:
    aliases = getattr(algorithm.load_class(), "policy_aliases", {})
    return any(str(alias).startswith(kind) for alias in aliases)


def _subject(config: ExperimentConfig, key: str) -> str:
    return f"The observations of {config.env.id}" + (f" under `{key}`" if key else "")
