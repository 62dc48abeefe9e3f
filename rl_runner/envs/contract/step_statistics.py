"""What a trial of an environment shows besides breaches: things that make learning hard, or slow.

None of them is wrong in itself, so each is a warning with what usually helps.
"""

import time
from multiprocessing.reduction import ForkingPickler
from typing import Any

import gymnasium as gym
import numpy as np

from rl_runner.config.environment import NormalizeConfig
from rl_runner.envs.contract.observations import bounds_breach
from rl_runner.envs.images import is_quantity, parts_of

LARGE_OBSERVATION = 1_000.0  # a network that sees it next to ordinary numbers sees little else
LARGE_REWARD = 1_000.0  # mean absolute value
SMALL_REWARD = 1e-4
MOST_KEYS = 3  # of an info that are named


class StepStatistics:
    """Collects what every step of a trial shows.

    :param space: the observation space
    :param normalize: what the config normalises, which may then be of any size
    """

    def __init__(self, space: gym.Space[Any], normalize: NormalizeConfig) -> None:
        self._space = space
        self._normalize = normalize
        self._breach = ""  # the first observation outside of its space
        self._largest = 0.0
        self._rewards: list[float] = []
        self._unpicklable: dict[str, str] = {}
        self._seconds: list[float] = []  # of each step
        self._started = time.perf_counter()

    @property
    def steps_per_second(self) -> float:
        """How fast the environment alone is; the median, because first steps may compile."""
        return 1.0 / max(float(np.median(self._seconds or [1.0])), 1e-9)

    def before_step(self, obs: Any) -> None:
        """Look at the observation that the next action answers; the step is timed from here on."""
        if not self._breach and (breach := bounds_breach(self._space, obs)) is not None:
            self._breach = breach
        for key, part in parts_of(self._space):
            value = obs[int(key) if isinstance(obs, tuple) else key] if key else obs
            if is_quantity(part) and np.size(value):
                self._largest = max(self._largest, float(np.abs(value).max()))
        self._started = time.perf_counter()

    def after_step(self, reward: float, info: dict[str, Any]) -> None:
        """Look at what a step returned."""
        self._seconds.append(time.perf_counter() - self._started)
        self._rewards.append(reward)
        for key, value in info.items():
            if key not in self._unpicklable and _is_unpicklable(value):
                self._unpicklable[str(key)] = type(value).__name__

    def warnings(self) -> list[str]:
        """Return what was noticed, a few sentences each."""
        found = []
        if self._breach:
            cure = "Widen the bounds of `observation_space`, or clip what is returned."
            found.append(f"An observation is not in its space: {self._breach}. {cure}")
        found += self._of_scale()
        if self._unpicklable:
            listed = ", ".join(
                f"`{k}` ({v})" for k, v in list(self._unpicklable.items())[:MOST_KEYS]
            )
            found.append(
                f"What is in `info` under {listed} cannot be sent between processes, so "
                "`env.vec: subproc` would fail. Leave it out, or give numbers and arrays."
            )
        return found

    def _of_scale(self) -> list[str]:
        """Say if observations or rewards are of a size that networks do not learn from well."""
        found = []
        if self._largest > LARGE_OBSERVATION and not self._normalize.observations:
            found.append(
                f"Observations are as large as {self._largest:.3g}. Networks learn best from "
                "numbers around 1: set `env.normalize: {observations: true}`, or scale them."
            )
        rewards = np.abs([reward for reward in self._rewards if reward and np.isfinite(reward)])
        mean = float(rewards.mean()) if len(rewards) else 1.0
        if not SMALL_REWARD <= mean <= LARGE_REWARD and not self._normalize.rewards:
            found.append(
                f"Rewards are of the size {mean:.3g}. Value functions learn best from numbers "
                "around 1: set `env.normalize: {rewards: true}`, or scale them. Reported returns "
                "are never normalised."
            )
        return found


def _is_unpicklable(value: Any) -> bool:
    if value is None or isinstance(value, bool | int | float | str | np.ndarray | np.generic):
        return False
    try:
        ForkingPickler.dumps(value)  # as a pipe between processes does
    except Exception:  # noqa: BLE001 - a value's own methods may raise anything
        return True
    return False
