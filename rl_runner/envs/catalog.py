"""The environments that rl_runner adds to Gymnasium's registry, and all that are installed."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from rl_runner.envs.failures import close_quietly


def register_environments() -> None:
    """Register our environments; a second call changes nothing.

    ``BitFlipping-v0`` is the goal-conditioned task of Andrychowicz et al. (2017), section 3.1, as
    stable-baselines3 ships it: flip 10 bits one at a time until they equal the desired goal. It is
    the smallest environment on which hindsight experience replay can be seen to work.

    ``Tutor-v0`` is :class:`rl_runner.envs.tutor.env.TutorEnv`. It truncates its episodes itself,
    because their length is one of its options.

    ``Recommender-v0`` simulates sessions with people, see :mod:`rl_runner.envs.recommender`.
    """
    if "BitFlipping-v0" in gym.registry:
        return
    gym.register(
        id="Recommender-v0",
        entry_point="rl_runner.envs.recommender.env:RecommenderEnv",
        vector_entry_point="rl_runner.envs.recommender.env:RecommenderVectorEnv",
        max_episode_steps=200,
    )
    gym.register(
        id="BitFlipping-v0",
        entry_point="stable_baselines3.common.envs:BitFlippingEnv",
        kwargs={"n_bits": 10, "continuous": False, "max_steps": 10},
        max_episode_steps=10,
        reward_threshold=-5.0,
    )
    gym.register(
        id="Tutor-v0",
        entry_point="rl_runner.envs.tutor.env:TutorEnv",
        vector_entry_point="rl_runner.envs.tutor.vector:TutorVectorEnv",
    )


@dataclass(frozen=True)
class EnvEntry:
    """One installed environment."""

    id: str
    observation_space: str
    action_space: str
    time_limit: int | None
    reward_threshold: float | None


def installed_environments(pattern: str = "") -> Iterator[EnvEntry]:
    """Yield every registered environment that can be built here, each in its newest version.

    :param pattern: yield only ids that contain this text, ignoring case
    """
    newest: dict[str, gym.envs.registration.EnvSpec] = {}
    for spec in gym.registry.values():
        base = spec.id.rpartition("-v")[0] or spec.id
        if base not in newest or (spec.version or 0) > (newest[base].version or 0):
            newest[base] = spec
    for spec in sorted(newest.values(), key=lambda spec: spec.id.lower()):
        if pattern.lower() in spec.id.lower() and (entry := _entry(spec)):
            yield entry


def _entry(spec: gym.envs.registration.EnvSpec) -> EnvEntry | None:
    """Build the environment once to read its spaces; None if a package it needs is missing."""
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            env = gym.make(spec)
    except Exception:  # noqa: BLE001 - an environment may raise anything
        return None
    spaces = describe_space(env.observation_space), describe_space(env.action_space)
    close_quietly(env, spec.id)
    return EnvEntry(spec.id, *spaces, spec.max_episode_steps, spec.reward_threshold)


def describe_space(space: gym.Space[Any]) -> str:
    """Return a short description of a space, e.g. ``Box(4,)`` or ``Discrete(16)``."""
    match space:
        case gym.spaces.Tuple():
            inside: object = ", ".join(describe_space(part) for part in space)
        case gym.spaces.Dict():
            inside = ", ".join(f"{key}: {describe_space(part)}" for key, part in space.items())
        case gym.spaces.MultiDiscrete():
            inside = list(map(int, space.nvec.flat))
        case gym.spaces.Discrete() if space.start:
            inside = f"{space.n}, start={space.start}"
        case gym.spaces.Discrete() | gym.spaces.MultiBinary():
            inside = space.n
        case _:
            inside = str(space.shape).strip("()")
    return f"{type(space).__name__}({inside})"
