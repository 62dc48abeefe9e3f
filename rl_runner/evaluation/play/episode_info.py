"""What environments tell beside the reward: numbers in ``info``, and the terms of the reward."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

REWARD_TERMS = "reward_terms"  # info key: this step's reward, split by name
NOT_EXTRA = {"is_success", "terminal_observation"}  # has a column of its own; SB3's, no measure
RENAMED = {"TimeLimit.truncated": "truncated"}  # SB3's name for it
NUMBERS = (bool, int, float, np.bool_, np.integer, np.floating)


class EpisodeInfo:
    """Collects one number per episode and name, while several copies play.

    A number in the last step's ``info`` is taken as it is; a dictionary ``reward_terms`` is summed
    over the episode's steps and becomes ``reward_terms/<name>``.
    """

    def __init__(self, n_envs: int, n_episodes: int) -> None:
        self.values: dict[str, np.ndarray] = {}  # (n_episodes,) float64, NaN where nothing was told
        self._n_episodes = n_episodes
        self._sums: list[dict[str, float]] = [{} for _ in range(n_envs)]

    def step(self, infos: Sequence[Mapping[str, Any]]) -> None:
        """Take the ``info`` of one step of every copy."""
        for sums, info in zip(self._sums, infos, strict=True):
            terms = info.get(REWARD_TERMS)
            if terms is not None and isinstance(terms, Mapping):
                for name, value in terms.items():
                    sums[name] = sums.get(name, 0.0) + float(value)

    def end(self, copy: int, episode: int, info: Mapping[str, Any]) -> None:
        """Take the ``info`` of an episode's last step, after :meth:`step` had it."""
        for name, value in info.items():
            if isinstance(value, NUMBERS) and name not in NOT_EXTRA:
                self._set(RENAMED.get(name, name), episode, float(value))
        for name, total in self._sums[copy].items():
            self._set(f"{REWARD_TERMS}/{name}", episode, total)
        self._sums[copy] = {}

    def _set(self, name: str, episode: int, value: float) -> None:
        if name not in self.values:
            self.values[name] = np.full(self._n_episodes, np.nan)
        self.values[name][episode] = value
