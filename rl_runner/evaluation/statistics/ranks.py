"""Intervals from the order of the runs: median, interquartile mean (IQM), who beats whom."""

import functools

import numpy as np
from scipy.special import bdtr, stdtrit

from rl_runner.evaluation.statistics import LEVEL, Interval
from rl_runner.evaluation.statistics.bounds import Bounds

FEWEST_FOR_RANKS = 5  # four runs span the median with a probability of only .875
N_LEVELS = 4000  # placements of the runs that the bounded interquartile mean's interval weighs
NORMAL_QUANTILE = 1.959963984540054  # of the level .95, two-sided


def median_interval(values: np.ndarray) -> Interval | None:
    """Return the interval of the median between two order statistics, for any distribution.

    The chance that the d-th smallest is at most the median and the d-th largest at least the median
    is bounded by a binomial sum, whatever the distribution. The largest d that holds the level is
    taken. Five values span the median with a probability of .9375; fewer give None.

    :param values: (n,)
    """
    n = len(values)
    if n < FEWEST_FOR_RANKS:
        return None
    ordered = np.sort(values)
    chances = 1.0 - 2.0 * bdtr(np.arange(n // 2), n, 0.5)  # of d = 1, 2, …
    d = max(1, int((chances >= LEVEL).sum()))
    return float(ordered[d - 1]), float(ordered[n - d])


def interquartile_mean(values: np.ndarray) -> np.ndarray:
    """Return the mean of the middle half: n // 4 values are cut off at either end.

    :param values: (n, …)
    :return: (…)
    """
    cut = len(values) // 4
    return np.asarray(np.sort(values, axis=0)[cut : len(values) - cut].mean(axis=0))


def interquartile_mean_interval(
    values: np.ndarray, bounds: Bounds | None = None
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the interval of the interquartile mean; fewer than five values give None.

    With bounds it is the model of :mod:`.dirichlet_means`: the values are placed at random levels
    of the quantile function, and below the lowest and above the highest of them it may be at the
    bound. The levels are the same for every sample of n values, so nothing here varies.

    Without bounds it lies between the means of two shifted middle halves, as the median's interval
    lies between two order statistics. The shift is Student's quantile times the standard error, in
    ranks, of the interquartile mean of uniform values, √(1/6n). It never leaves the range of the
    values, and so assumes that they show both sides of it.

    :param values: (n, …)
    :return: lower and upper ends, each (…)
    """
    n = len(values)
    if n < FEWEST_FOR_RANKS:
        return None
    ordered = np.sort(values, axis=0)
    # Without bounds: between the means of two shifted middle halves.
    if bounds is None:
        shift = float(stdtrit(n - 1, 0.5 + LEVEL / 2)) / np.sqrt(6 * n)
        low, high = (
            np.tensordot(_rank_weights(n, 0.25 + by, 0.75 + by), ordered, axes=1)
            for by in (-shift, shift)
        )
        return low, high
    # With bounds: random levels, with the bounds as further values at both ends.
    pseudo = np.ones((1, *values.shape[1:]))
    weights, tail = _level_weights(n), (1 - LEVEL) / 2
    lowest = np.concatenate([bounds.low * pseudo, ordered])
    highest = np.concatenate([ordered, bounds.high * pseudo])
    low = np.quantile(np.tensordot(weights, lowest, axes=1), tail, axis=0)
    high = np.quantile(np.tensordot(weights, highest, axes=1), 1 - tail, axis=0)
    return np.maximum(low, bounds.low), np.minimum(high, bounds.high)


@functools.lru_cache(maxsize=8)
def _level_weights(n: int) -> np.ndarray:
    """Return (N_LEVELS, n + 1) each gap's weight in the middle half, for random levels of n values.

    The levels of n ordered values are ordered uniform numbers. They come from a fixed stream.
    """
    levels = np.sort(np.random.default_rng(0).random((N_LEVELS, n)), axis=1)
    edges = np.clip(np.pad(levels, ((0, 0), (1, 1)), constant_values=((0, 0), (0, 1))), 0.25, 0.75)
    return np.asarray(2 * np.diff(edges, axis=1))


def _rank_weights(n: int, begin: float, end: float) -> np.ndarray:
    """Return each order statistic's weight in the mean of the quantile function, (n,).

    Beyond the levels 0 and 1 the quantile function stays at the smallest and the largest value.
    """
    edges = np.arange(n + 1) / n
    edges[0], edges[-1] = -np.inf, np.inf
    inside = np.minimum(edges[1:], end) - np.maximum(edges[:-1], begin)
    return np.asarray(np.clip(inside, 0.0, None) / (end - begin))


def share_interval(share: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's interval for a share of n runs (Wilson 1927).

    :param share: (…) between 0 and 1
    :return: lower and upper ends, each (…)
    """
    square = NORMAL_QUANTILE**2 / n
    centre = (share + square / 2) / (1 + square)
    half = np.sqrt(share * (1 - share) * square + square**2 / 4) / (1 + square)
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)


def probability_of_improvement(a: np.ndarray, b: np.ndarray) -> tuple[float, Interval]:
    """Return the probability that a run of A beats a run of B, and its interval.

    The estimate is Mann and Whitney's U over nm, with ties counting half. Its variance is at most
    θ(1 − θ)/min(n, m), whatever the two distributions (Birnbaum and Klose 1957). The interval is
    the score interval with that variance, so it is Wilson's for a share of min(n, m) runs. It keeps
    its level where returns have atoms (runs at a ceiling), and when every run of A beats every run
    of B: five against five still leave .57 possible.

    :param a: (n,) of one experiment's runs
    :param b: (m,) of the other's
    """
    # The share of the nm pairs of runs in which A wins
    wins = (a[:, None] > b).mean() + (a[:, None] == b).mean() / 2
    low, high = share_interval(wins, min(len(a), len(b)))
    return float(wins), (float(low), float(high))
