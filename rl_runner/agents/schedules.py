"""Schedules as SB3 calls them: from the *remaining* progress (1 → 0) to a value.

Saved SB3 agents refer to :class:`CurvedSchedule` by this module's name, and to its config by the
name of :mod:`rl_runner.config.schedules`, so neither class can move.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from rl_runner.config.schedules import ScheduleConfig

Schedule = Callable[[float], float]


@dataclass(frozen=True)
class CurvedSchedule:
    """An exponential or cosine curve from ``initial`` to ``final``."""

    config: ScheduleConfig

    def __call__(self, progress_remaining: float) -> float:
        """Return the value at this remaining progress."""
        initial, final = self.config.initial, self.config.final
        progress = min(1.0, (1.0 - progress_remaining) / self.config.fraction)
        if self.config.schedule == "exponential":
            return float(initial * (final / initial) ** progress)
        return final + (initial - final) * (1.0 + math.cos(math.pi * progress)) / 2.0


def build_schedule(config: ScheduleConfig) -> Schedule:
    """Build a schedule; a linear one is SB3's own class, so that stock SB3 can load the model."""
    from stable_baselines3.common.utils import LinearSchedule

    if config.schedule == "linear":
        linear: Schedule = LinearSchedule(config.initial, config.final, config.fraction)
        return linear
    return CurvedSchedule(config)
