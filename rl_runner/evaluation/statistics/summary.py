"""From the runs' numbers to what can be said about the algorithm. The unit is the seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rl_runner.evaluation.statistics.intervals import (
    Interval,
    interquartile_mean,
    interquartile_mean_interval,
    mean_interval,
    median_interval,
)


@dataclass(frozen=True)
class Summary:
    """The mean over runs and its 95 % confidence interval (None with fewer than two runs)."""

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
    """What n runs amount to."""

    n: int
    mean: Estimate
    median: Estimate
    interquartile_mean: Estimate
    standard_deviation: float | None


def summarize(run_means: Sequence[float]) -> Summary:
    """Summarise one number per run by the interval of :func:`.intervals.mean_interval`.

    :raises ValueError: if there are no runs or a number is not finite
    """
    values = _checked(run_means)
    estimate = _mean(values)
    return Summary(estimate.value, estimate.ci95, len(values))


def aggregate(run_means: Sequence[float]) -> Aggregates:
    """Return mean, median and interquartile mean (Agarwal et al. 2021) of one number per run.

    :raises ValueError: if there are no runs or a number is not finite
    """
    values = _checked(run_means)
    return Aggregates(
        len(values),
        _mean(values),
        Estimate(float(np.median(values)), median_interval(values)),
        Estimate(float(interquartile_mean(values)), _floats(interquartile_mean_interval(values))),
        float(values.std(ddof=1)) if len(values) > 1 else None,
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p values for their number, so that any wrong claim at all is as rare as one was.

    Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979).

    :param p_values: None where there was nothing to test, which does not count
    """
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, i) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        adjusted[i] = largest
    return adjusted


def _checked(run_means: Sequence[float]) -> np.ndarray:
    values = np.asarray(run_means, dtype=float)
    if len(values) == 0 or not np.isfinite(values).all():
        message = f"a mean needs at least one run and finite numbers, not {run_means}"
        raise ValueError(message)
    return values


def _mean(values: np.ndarray) -> Estimate:
    mean = float(values.mean())
    if len(values) == 1:
        return Estimate(mean, None)
    return Estimate(mean, _floats(mean_interval(values)))


def _floats(interval: tuple[np.ndarray, np.ndarray] | None) -> Interval | None:
    return None if interval is None else (float(interval[0]), float(interval[1]))
