"""A wrapper whose episodes begin on chosen seeds, whatever seed SB3 passes."""

from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium as gym


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
