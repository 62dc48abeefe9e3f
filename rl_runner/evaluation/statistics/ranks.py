"""Intervals from the order of the runs: of the median, and of the interquartile mean (IQM)."""

import numpy as np
from scipy.special import bdtr, stdtrit

from rl_runner.evaluation.statistics.confidence import LEVEL, Interval

FEWEST_FOR_RANKS = 5  # four runs span the median with a probability of only .875


def median_interval(values: np.ndarray) -> Interval | None:
    """Return the interval of the median between two order statistics, for any distribution.

    The chance that the d-th smallest lies below the median and the d-th largest above it is a
    binomial sum. The ends are interpolated between the two d whose chances enclose the level
    (Hettmansperger and Sheather 1986). Five values span the median with a probability of .9375;
    fewer give None.

    :param values: (n,)
    """
    n = len(values)
    if n < FEWEST_FOR_RANKS:
        return None
    ordered = np.sort(values)

    def coverage(d: int) -> float:
        return 1.0 - 2.0 * float(bdtr(d - 1, n, 0.5))

    if coverage(1) < LEVEL:
        return float(ordered[0]), float(ordered[-1])
    # The narrowest pair of order statistics that still holds the level, and the next narrower one.
    d = max(d for d in range(1, n // 2 + 1) if coverage(d) >= LEVEL)
    share = (coverage(d) - LEVEL) / (coverage(d) - coverage(d + 1))
    weight = (n - d) * share / (d + (n - 2 * d) * share)
    low = (1 - weight) * ordered[d - 1] + weight * ordered[d]
    high = (1 - weight) * ordered[n - d] + weight * ordered[n - d - 1]
    return float(low), float(high)


def interquartile_mean(values: np.ndarray) -> np.ndarray:
    """Return the mean of the middle half: n // 4 values are cut off at either end.

    :param values: (n, …)
    :return: (…)
    """
    cut = len(values) // 4
    return np.asarray(np.sort(values, axis=0)[cut : len(values) - cut].mean(axis=0))


def interquartile_mean_interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the interval of the interquartile mean: the mean over a shifted half of the ranks.

    As the median's interval lies between two order statistics, this one lies between the means of
    two shifted middle halves. The shift is Student's quantile times the standard error, in ranks,
    of the interquartile mean of uniform values, √(1/6n). Unlike the trimmed t interval it holds its
    level where most runs reach a ceiling, and it never leaves the range of the runs. Fewer than
    five values give None.

    :param values: (n, …)
    :return: lower and upper ends, each (…)
    """
    n = len(values)
    if n < FEWEST_FOR_RANKS:
        return None
    shift = float(stdtrit(n - 1, 0.5 + LEVEL / 2)) / np.sqrt(6 * n)
    ordered = np.sort(values, axis=0)
    low, high = (
        np.tensordot(_rank_weights(n, 0.25 + by, 0.75 + by), ordered, axes=1)
        for by in (-shift, shift)
    )
    return low, high


def _rank_weights(n: int, begin: float, end: float) -> np.ndarray:
    """Return each order statistic's weight in the mean of the quantile function, (n,).

    Beyond the levels 0 and 1 the quantile function stays at the smallest and the largest value.
    """
    edges = np.arange(n + 1) / n
    edges[0], edges[-1] = -np.inf, np.inf
    inside = np.minimum(edges[1:], end) - np.maximum(edges[:-1], begin)
    return np.asarray(np.clip(inside, 0.0, None) / (end - begin))
