"""What environments report besides the reward: numbers in ``info``, and the terms of the reward."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

REWARD_TERMS = "reward_terms"  # info key: this step's reward, split by name
IGNORED = {"is_success", "terminal_observation"}  # has its own column; SB3's, not a measurement
RENAMED = {"TimeLimit.truncated": "truncated"}  # from SB3's name to the plain one
NUMBERS = (bool, int, float, np.bool_, np.integer, np.floating)


class EpisodeInfo:
    """Collects one number per episode and name, while several copies of an environment play.

    A number in the last step's ``info`` is taken as it is. A dictionary ``reward_terms`` is summed
    over the episode's steps and becomes ``reward_terms/<name>``.
    """

    def __init__(self, n_envs: int, n_episodes: int) -> None:
        self.values: dict[str, np.ndarray] = {}  # (n_episodes,) float64, NaN if not reported
        self._n_episodes = n_episodes
        self._sums: list[dict[str, float]] = [{} for _ in range(n_envs)]

    def step(self, infos: Sequence[Mapping[str, Any]]) -> None:
        """Add the reward terms of one step of every copy, (n_envs,) ``info`` dictionaries."""
        for sums, info in zip(self._sums, infos, strict=True):
            terms = info.get(REWARD_TERMS)
            if terms is not None and isinstance(terms, Mapping):
                for name, value in terms.items():
                    sums[name] = sums.get(name, 0.0) + float(value)

    def end(self, copy: int, episode: int, info: Mapping[str, Any]) -> None:
        """Record an episode from the ``info`` of its last step; call :meth:`step` with it first."""
        for name, value in info.items():
            if isinstance(value, NUMBERS) and name not in IGNORED:
                self._set(RENAMED.get(name, name), episode, float(value))
        for name, total in self._sums[copy].items():
            self._set(f"{REWARD_TERMS}/{name}", episode, total)
        self._sums[copy] = {}

    def _set(self, name: str, episode: int, value: float) -> None:
        if name not in self.values:
            self.values[name] = np.full(self._n_episodes, np.nan)
        self.values[name][episode] = value
