"""Layers around each copy of an environment: chosen seeds, and what the environment itself paid."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium as gym

RAW_RETURN = "raw_return"  # info keys, at the end of an episode
RAW_EPISODE_ENDED = "raw_episode_ended"


class EpisodeSeeds(gym.Wrapper[Any, Any, Any, Any]):
    """Resets on the next of the given seeds; after the last one, the generator continues.

    SB3 seeds copy ``i`` of an environment with ``seed + i``. Seed 0 and seed 1 of an experiment
    would then share environments, and chosen episodes could not be replayed. This wrapper ignores
    SB3's seeds: training gives it one seed per copy, an evaluation gives it one per episode.
    """

    def __init__(self, env: gym.Env[Any, Any], seeds: Sequence[int]) -> None:
        super().__init__(env)
        self._seeds: Iterator[int] = iter(seeds)

    def begin_episodes(self, seeds: Sequence[int]) -> None:
        """Use these seeds for the next resets, one each."""
        self._seeds = iter(seeds)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset on the next chosen seed; ``seed`` is ignored."""
        del seed
        return self.env.reset(seed=next(self._seeds, None), options=options)


class RewardRecorder(gym.Wrapper[Any, Any, Any, Any]):
    """Innermost layer below the config's wrappers: remembers what the environment itself paid.

    A wrapper may change rewards (NormalizeReward, TransformReward) or end an episode earlier than
    the environment does (AtariWrapper: with each life). Returns are then not the environment's.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.rewards: list[float] = []
        self.ended = False
        self.stepped_into: Any = None  # the observation that the last step returned

    def reset(self, **keywords: Any) -> tuple[Any, dict[str, Any]]:
        """Reset the environment's own episode."""
        self.ended = False
        return self.env.reset(**keywords)

    def step(self, action: Any) -> Any:
        """Step, and remember the reward if it is a number; the guard judges it later."""
        result = self.env.step(action)
        if isinstance(result, tuple) and len(result) == 5:
            self.stepped_into = result[0]
            try:
                self.rewards.append(float(result[1]))
                self.ended = bool(result[2]) or bool(result[3])
            except (TypeError, ValueError, OverflowError):
                self.rewards.append(math.nan)
        return result
