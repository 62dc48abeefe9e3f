"""What one number per run says about the algorithm: mean, median, interquartile mean."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rl_runner.evaluation.statistics.confidence import Interval
from rl_runner.evaluation.statistics.means import mean_interval
from rl_runner.evaluation.statistics.ranks import (
    interquartile_mean,
    interquartile_mean_interval,
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
    """Statistics over n runs."""

    n: int
    mean: Estimate
    median: Estimate
    interquartile_mean: Estimate
    standard_deviation: float | None


def summarize(run_means: Sequence[float]) -> Summary:
    """Return the mean of one number per run, with the interval of :func:`.means.mean_interval`.

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
