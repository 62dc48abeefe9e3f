"""One environment, described for somebody who has never seen it."""

import inspect
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from rl_runner.config import EnvConfig
from rl_runner.envs import make_single_env, time_limit_of
from rl_runner.envs.catalog import describe_space
from rl_runner.envs.images import parts_of
from rl_runner.envs.specs import find_spec
from rl_runner.evaluation.play.baselines import RANDOM, evaluate_baseline, known_baselines

MOST_BOUNDS = 12  # numbers of a space whose bounds are listed
N_EPISODES = 20


@dataclass(frozen=True)
class EnvDescription:
    """What an environment looks like, and what acting at random earns in it."""

    id: str
    observations: tuple[str, ...]  # a line for each part
    actions: tuple[str, ...]
    time_limit: int | None  # None: it has none of its own
    reward_threshold: float | None
    render_modes: tuple[str, ...]
    baselines: tuple[str, ...]
    random_return: float  # mean over N_EPISODES
    random_return_std: float
    random_length: float
    text: str  # its docstring


def describe_environment(env_id: str) -> EnvDescription:
    """Build an environment, read its docstring, and play some random episodes.

    :raises EnvError: if there is no such environment, or it cannot be built or played
    """
    config = EnvConfig(id=env_id)
    spec = find_spec(config)
    _, limit_is_ours = time_limit_of(config)
    with closing(make_single_env(config)) as env:
        observations = tuple(_lines(env.observation_space))
        actions = tuple(_lines(env.action_space))
        modes = tuple(map(str, env.metadata.get("render_modes") or ()))
        text = inspect.cleandoc(type(env.unwrapped).__doc__ or "")
    played = evaluate_baseline(config, RANDOM, seed=0, n_episodes=N_EPISODES).episodes
    return EnvDescription(
        id=env_id,
        observations=observations,
        actions=actions,
        time_limit=None if limit_is_ours else spec.max_episode_steps,
        reward_threshold=spec.reward_threshold,
        render_modes=modes,
        baselines=known_baselines(config),
        random_return=float(played.returns.mean()),
        random_return_std=float(played.returns.std()),
        random_length=float(played.lengths.mean()),
        text=text,
    )


def _lines(space: gym.Space[Any]) -> Iterator[str]:
    """Yield a line for each part of a space, with the bounds of its numbers if they are few."""
    for key, part in parts_of(space):
        before = f"{key}: " if key else ""
        dtype = f" {part.dtype}" if part.dtype is not None else ""
        line = f"{before}{describe_space(part)}{dtype}"
        if isinstance(part, gym.spaces.Box):
            line += f", {_bounds(part)}"
        yield line


def _bounds(space: gym.spaces.Box) -> str:
    low, high = space.low.ravel(), space.high.ravel()
    if len(np.unique(low)) == 1 and len(np.unique(high)) == 1:
        return f"from {low[0]:.4g} to {high[0]:.4g}"
    if low.size > MOST_BOUNDS:
        return f"from {low.min():.4g} to {high.max():.4g}, with different bounds"
    return ", ".join(f"[{a:.4g}, {b:.4g}]" for a, b in zip(low, high, strict=True))
