"""Episodes that begin on seeds of our choosing, whatever the vectorised environment passes."""

from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium as gym


class EpisodeSeeds(gym.Wrapper[Any, Any, Any, Any]):
    """Resets with the next of the given seeds; when they run out, the generator runs on.

    SB3 seeds copy ``i`` of an environment with ``seed + i``, so that seed 0 and seed 1 of an
    experiment share environments, and it cannot replay chosen episodes. This wrapper ignores the
    seed it is handed: training gives it one seed per copy, an evaluation gives it one per episode.
    """

    def __init__(self, env: gym.Env[Any, Any], seeds: Sequence[int]) -> None:
        super().__init__(env)
        self._seeds: Iterator[int] = iter(seeds)

    def begin_episodes(self, seeds: Sequence[int]) -> None:
        """Use these seeds, one for each of the coming resets."""
        self._seeds = iter(seeds)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the environment on the next seed of the list; ``seed`` is ignored."""
        del seed
        return self.env.reset(seed=next(self._seeds, None), options=options)
