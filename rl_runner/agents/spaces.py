"""Which observation and action spaces an algorithm supports, found out by trying.

The algorithm is built, with a tiny replay buffer, on an environment that has nothing but the spaces
in question, and asked for one action. If that raises an exception, the spaces are not supported. No
table of spaces is kept by hand; what SB3 notices only later, or never, is tested first.
"""

import copy
import functools
import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rl_runner.agents.protocol import takes_action_masks
from rl_runner.agents.registry import ALGORITHMS, Algorithm
from rl_runner.envs.images import is_image, parts_of

Space = spaces.Space[Any]

ACTION_SPACES: dict[str, Space] = {
    "Box": spaces.Box(-1.0, 1.0, (2,), np.float32),
    "Discrete": spaces.Discrete(3),
    "MultiDiscrete": spaces.MultiDiscrete([2, 3]),
    "MultiBinary": spaces.MultiBinary(3),
}
OBSERVATION_SPACES: dict[str, Space] = {
    "Box": spaces.Box(-1.0, 1.0, (3,), np.float32),
    "Discrete": spaces.Discrete(4),
    "MultiDiscrete": spaces.MultiDiscrete([2, 3]),
    "MultiBinary": spaces.MultiBinary(3),
    "Dict": spaces.Dict({"a": spaces.Box(-1.0, 1.0, (3,), np.float32), "b": spaces.Discrete(2)}),
    "Tuple": spaces.Tuple((spaces.Discrete(2), spaces.Discrete(3))),
}
USUAL_IMAGE = spaces.Box(0, 255, (3, 64, 64), np.uint8)


class _OnlySpaces(gym.Env[Any, Any]):
    """An environment that has spaces and nothing else; it draws the same observation every time."""

    def __init__(self, observation_space: Space, action_space: Space) -> None:
        # Copies, whose generators are not those of the environment in question.
        self.observation_space = copy.deepcopy(observation_space)
        self.action_space = copy.deepcopy(action_space)
        self.observation_space.seed(0)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:  # noqa: ARG002
        return self.observation_space.sample(), 0.0, False, False, {}


def refusal(algorithm: Algorithm, observation_space: Space, action_space: Space) -> str | None:
    """Return why the algorithm does not support these spaces; None if it does.

    The answer depends on the spaces alone. The size of images is not part of the question: a
    network of the user's own may take images that SB3's does not.
    """
    from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
    from stable_baselines3.common.vec_env import DummyVecEnv

    from rl_runner.agents.handwritten import HandwrittenAgent

    # What SB3's classes would accept, or refuse in words that do not help.
    cls = algorithm.load_class()
    is_stock = not issubclass(cls, HandwrittenAgent)
    if is_stock and (reason := _against_stock(observation_space, action_space)) is not None:
        return reason
    if is_stock and (flat := flat_actions(action_space)) is not None:
        shapes = f"of shape (n,), here {flat.shape}, not {action_space.shape}"
        reason = f"SB3 takes MultiDiscrete actions of one dimension: {shapes}"
        return refusal(algorithm, observation_space, flat) or reason
    if issubclass(cls, OffPolicyAlgorithm) and _has_fixed_component(action_space):
        return "a component of the actions has a single value, by whose range SB3 divides"
    # Everything else the class decides itself: build a small agent, and ask it for an action.
    shown = str(observation_space)
    if is_stock:
        observation_space = _with_usual_images(observation_space)
    taken = inspect.signature(cls).parameters
    keywords: dict[str, Any] = {"buffer_size": 1, "device": "cpu"}  # small and quick to build
    keywords = {name: value for name, value in keywords.items() if name in taken}
    if "policy" in taken:
        keywords["policy"] = policy_for(algorithm, observation_space)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            env = DummyVecEnv([lambda: _OnlySpaces(observation_space, action_space)])
            cls(env=env, **keywords).predict(env.reset())
    except Exception as error:  # noqa: BLE001 - any exception is a refusal, and is reported as one
        reason = str(error).replace(str(observation_space), shown).partition("\n")[0]
        return reason or type(error).__name__
    return None


def _against_stock(observation_space: Space, action_space: Space) -> str | None:
    """Return what SB3 would notice late, or in words that do not help; None if nothing.

    SB3 counts labels from 0, and notices one that this makes too large only when it occurs.
    """
    elsewhere = "from 0; those of this environment start elsewhere"
    if not _starts_at_zero(action_space):
        return f"SB3 numbers discrete actions {elsewhere}"
    if not _starts_at_zero(observation_space):
        return f"SB3 numbers discrete observations {elsewhere}"
    for _, part in parts_of(observation_space):
        if isinstance(part, spaces.MultiDiscrete) and part.nvec.ndim > 1:
            return "SB3 takes MultiDiscrete observations of one dimension"
        if isinstance(part, spaces.Box) and part.shape == ():
            return "SB3 takes arrays of at least one dimension"
    return None


def flat_actions(space: Space) -> spaces.MultiDiscrete | None:
    """Return MultiDiscrete actions of several dimensions in one; None if that changes nothing."""
    if not isinstance(space, spaces.MultiDiscrete) or space.nvec.ndim == 1:
        return None
    return spaces.MultiDiscrete(space.nvec.ravel(), start=space.start.ravel())


def _has_fixed_component(space: Space) -> bool:
    """Whether a component of a Box may have one value only."""
    return isinstance(space, spaces.Box) and bool(np.any(space.low == space.high))


def _starts_at_zero(space: Space) -> bool:
    """Whether the numbers of every discrete part of a space begin at 0."""
    return all(not np.any(getattr(part, "start", 0)) for _, part in parts_of(space))


def _with_usual_images(space: Space) -> Space:
    """Return the space with images that every convolutional network takes."""
    if isinstance(space, spaces.Dict):
        parts = {key: _with_usual_images(part) for key, part in space.spaces.items()}
        return spaces.Dict(list(parts.items()))
    return USUAL_IMAGE if is_image(space) else space


def action_notes(algorithm: Algorithm, action_space: Space) -> Iterator[str]:
    """Yield a sentence if an algorithm's actions are not elements of their space."""
    if isinstance(action_space, spaces.Box) and not np.issubdtype(action_space.dtype, np.floating):
        yield (
            f"The actions are a Box of {action_space.dtype}, but {algorithm.name} chooses numbers "
            "with fractions. For whole numbers give the environment a MultiDiscrete space."
        )


def policy_for(algorithm: Algorithm, observation_space: Space) -> str:
    """Choose the algorithm's policy for an observation space: by dictionary, image or vector."""
    aliases = list(algorithm.load_class().policy_aliases)
    if isinstance(observation_space, spaces.Dict):
        wanted = "MultiInput"
    elif is_image(observation_space):
        wanted = "Cnn"
    else:
        wanted = "Mlp"
    return next((str(alias) for alias in aliases if alias.startswith(wanted)), str(aliases[0]))


@functools.cache
def supported_spaces(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the kinds of observation spaces and of action spaces that an algorithm supports."""
    algorithm = ALGORITHMS[name]
    actions = tuple(
        kind
        for kind, action_space in ACTION_SPACES.items()
        if any(
            refusal(algorithm, OBSERVATION_SPACES[obs], action_space) is None
            for obs in ("Box", "Discrete")
        )
    )
    observations = tuple(
        kind
        for kind, observation_space in OBSERVATION_SPACES.items()
        if refusal(algorithm, observation_space, ACTION_SPACES[actions[0]]) is None
    )
    return observations, actions


def fitting_algorithms(
    observation_space: Space, action_space: Space, *, has_action_masks: bool = False
) -> list[str]:
    """Return the algorithms that support both spaces; without masks, those that need none."""
    return [
        name
        for name, algorithm in ALGORITHMS.items()
        if (has_action_masks or not takes_action_masks(algorithm.load_class()))
        and refusal(algorithm, observation_space, action_space) is None
    ]
