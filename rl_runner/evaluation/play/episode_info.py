"""What environments report besides the reward: numbers in ``info``, and the terms of the reward."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

REWARD_TERMS = "reward_terms"  # info key: this step's reward, split by name
IGNORED = {"is_success", "terminal_observation"}  # has its own column; SB3's, not a measurement
RENAMED = {"TimeLimit.truncated": "truncated"}  # from SB3's name to the plain one
NUMBERS = (bool, int, float, np.bool_, np.integer, np.floating)
MOST_NAMES = 200  # of an environment that names every episode differently
LONGEST_NAME = 100  # characters


class EpisodeInfo:
    """Collects one number per episode and name, while several copies of an environment play.

    A number in the last step's ``info`` is taken as it is. A dictionary ``reward_terms`` is summed
    over the episode's steps and becomes ``reward_terms/<name>``.

    Whatever else an environment puts into its infos is left alone: text, arrays, numbers that are
    not finite or too large for a float, and names beyond the first two hundred. Infos never end a
    run.
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
                    if (number := _finite(value)) is not None:
                        key = _plain_name(name)
                        sums[key] = sums.get(key, 0.0) + number

    def end(self, copy: int, episode: int, info: Mapping[str, Any]) -> None:
        """Record an episode from the ``info`` of its last step; call :meth:`step` with it first."""
        for key, value in info.items():
            name = _plain_name(key)
            if name not in IGNORED and (number := _finite(value)) is not None:
                self._set(RENAMED.get(name, name), episode, number)
        for name, total in self._sums[copy].items():
            self._set(f"{REWARD_TERMS}/{name}", episode, total)
        self._sums[copy] = {}

    def _set(self, name: str, episode: int, value: float) -> None:
        if name not in self.values:
            if len(self.values) >= MOST_NAMES:
                return
            self.values[name] = np.full(self._n_episodes, np.nan)
        self.values[name][episode] = value


def _finite(value: Any) -> float | None:
    """Return a number as a float; None for anything else, and for what is not finite."""
    if not isinstance(value, NUMBERS):
        return None
    try:
        number = float(value)
    except OverflowError:  # an int of hundreds of digits
        return None
    return number if math.isfinite(number) else None


def _plain_name(key: Any) -> str:
    """Return the name of an info as text that any file can hold."""
    text = key if isinstance(key, str) else repr(key)
    return text[:LONGEST_NAME].encode("utf-8", "backslashreplace").decode("utf-8")
