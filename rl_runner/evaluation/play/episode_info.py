"""What environments report besides the reward: numbers in ``info``, and the terms of the reward."""

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np

from rl_runner.envs.episode_layers import RAW_EPISODE_ENDED, RAW_RETURN
from rl_runner.envs.info_values import NOT_AVERAGED, InfoValue, InfoValues

REWARD_TERMS = "reward_terms"  # info key: this step's reward, split by name
IGNORED = {"is_success", "terminal_observation"}  # has its own column; SB3's, not a measurement
RENAMED = {"TimeLimit.truncated": "truncated"}  # from SB3's name to the plain one
NUMBERS = (bool, int, float, np.bool_, np.integer, np.floating)
ALWAYS = {RAW_RETURN, RAW_EPISODE_ENDED}  # our own measurements, averaged even if constant
MOST_NAMES = 200  # of an environment that names every episode differently; and these:
OURS = {*RENAMED.values(), *ALWAYS}
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
        self.flags: set[str] = set()  # the names whose values were all True or False
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
                name = RENAMED.get(name, name)
                is_flag = isinstance(value, bool | np.bool_)
                if is_flag and name not in self.values:
                    self.flags.add(name)
                elif not is_flag:
                    self.flags.discard(name)
                self._set(name, episode, number)
        for name, total in self._sums[copy].items():
            self._set(f"{REWARD_TERMS}/{name}", episode, total)
        self._sums[copy] = {}

    def _set(self, name: str, episode: int, value: float) -> None:
        if name not in self.values:
            if len(self.values) >= MOST_NAMES and name not in OURS:
                return
            self.values[name] = np.full(self._n_episodes, np.nan)
        self.values[name][episode] = value


def classify(
    values: Mapping[str, np.ndarray], flags: AbstractSet[str], declared: InfoValues
) -> dict[str, InfoValue]:
    """Say what each number is: as declared, or else by the rule of :mod:`.envs.info_values`.

    :param values: (n_episodes,) by name, NaN where an episode did not report it
    :param flags: the names whose values are True or False
    """
    return {name: declared.get(name) or _kind(name, of, flags) for name, of in values.items()}


def _kind(name: str, values: np.ndarray, flags: AbstractSet[str]) -> InfoValue:
    if name.startswith(f"{REWARD_TERMS}/"):
        return InfoValue("sum", f"{name.removeprefix(f'{REWARD_TERMS}/')} (sum of rewards)")
    if name in flags:
        return InfoValue("rate")
    reported = values[np.isfinite(values)]
    is_constant = len(reported) > 1 and np.ptp(reported) <= 1e-9 * np.abs(reported).max()
    return NOT_AVERAGED if is_constant and name not in ALWAYS else InfoValue("mean")


def _finite(value: Any) -> float | None:
    """Return a number as a float; None for anything else, and for what is not finite."""
    if not isinstance(value, NUMBERS):
        return None
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):
        return None  # an int of hundreds of digits; a time, which NumPy counts among the integers
    return number if math.isfinite(number) else None


def _plain_name(key: Any) -> str:
    """Return the name of an info as text that any file can hold."""
    text = key if isinstance(key, str) else repr(key)
    return text[:LONGEST_NAME].encode("utf-8", "backslashreplace").decode("utf-8")
