"""What one number per run says about the algorithm: mean, median, interquartile mean.

With known :class:`.Bounds` the mean has an interval from two runs on; the others, and the mean of
unbounded numbers, from five. Fewer runs have no interval: the runs themselves say as much.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from rl_runner.evaluation.statistics import Interval
from rl_runner.evaluation.statistics.bounds import Bounds
from rl_runner.evaluation.statistics.dirichlet_means import bounded_mean_interval
from rl_runner.evaluation.statistics.means import mean_interval
from rl_runner.evaluation.statistics.ranks import (
    FEWEST_FOR_RANKS,
    interquartile_mean,
    interquartile_mean_interval,
    median_interval,
)


@dataclass(frozen=True)
class Summary:
    """The mean over runs and its 95 % confidence interval (None with too few runs for one)."""

    mean: float
    ci95: Interval | None
    n: int


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % confidence interval; None where there are too few runs for one."""

    value: float
    ci95: Interval | None


@dataclass(frozen=True)
class Aggregates:
    """Statistics over n runs."""

    n: int
    mean: Estimate
    median: Estimate
    interquartile_mean: Estimate
    standard_deviation: float | None


def summarize(run_means: Sequence[float], bounds: Bounds | None = None) -> Summary:
    """Return the mean of one number per run, with its interval.

    :param bounds: of the numbers, if they are known
    :raises ValueError: if there are no runs or a number is not finite
    :raises OutOfBoundsError: if a number lies outside the bounds
    """
    values = _checked(run_means, bounds)
    estimate = _mean(values, bounds)
    return Summary(estimate.value, estimate.ci95, len(values))


def aggregate(run_means: Sequence[float], bounds: Bounds | None = None) -> Aggregates:
    """Return mean, median and interquartile mean (Agarwal et al. 2021) of one number per run.

    :param bounds: of the numbers, if they are known
    :raises ValueError: if there are no runs or a number is not finite
    :raises OutOfBoundsError: if a number lies outside the bounds
    """
    values = _checked(run_means, bounds)
    of_middle = _floats(interquartile_mean_interval(values, bounds))
    return Aggregates(
        len(values),
        _mean(values, bounds),
        Estimate(float(np.median(values)), median_interval(values)),
        Estimate(float(interquartile_mean(values)), of_middle),
        float(values.std(ddof=1)) if len(values) > 1 else None,
    )


def _checked(run_means: Sequence[float], bounds: Bounds | None) -> np.ndarray:
    values = np.asarray(run_means, dtype=float)
    if len(values) == 0 or not np.isfinite(values).all():
        message = f"a mean needs at least one run and finite numbers, not {run_means}"
        raise ValueError(message)
    return values if bounds is None else bounds.checked(values)


def _mean(values: np.ndarray, bounds: Bounds | None) -> Estimate:
    mean = float(values.mean())
    # Values that are all equal do not show how much further ones may differ.
    has_spread = np.ptp(values) > 0
    if bounds is not None and len(values) > 1:
        low, high = _floats(bounded_mean_interval(values, bounds))
        # The observed mean is part of its interval; rounding must not put it outside.
        return Estimate(mean, (min(low, mean), max(high, mean)))
    if len(values) < FEWEST_FOR_RANKS or not has_spread:
        return Estimate(mean, None)
    return Estimate(mean, _floats(mean_interval(values)))


@overload
def _floats(interval: None) -> None: ...
@overload
def _floats(interval: tuple[np.ndarray, np.ndarray]) -> Interval: ...
@overload
def _floats(interval: tuple[np.ndarray, np.ndarray] | None) -> Interval | None: ...
def _floats(interval: tuple[np.ndarray, np.ndarray] | None) -> Interval | None:
    return None if interval is None else (float(interval[0]), float(interval[1]))
