"""The difference between two means: interval, p value, and how many seeds would show it.

The bounds of the values are used if they are known (:mod:`.dirichlet_means`), and Welch's test
otherwise.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from rl_runner.evaluation.statistics import LEVEL, Interval
from rl_runner.evaluation.statistics.bounds import Bounds
from rl_runner.evaluation.statistics.dirichlet_means import (
    bounded_difference_interval,
    bounded_difference_p_value,
)
from rl_runner.evaluation.statistics.means import moments_of_mean

FEWEST_TO_COMPARE = 5  # runs of each; fewer support no claim
POWER = 0.8  # of the test for which seeds_needed counts seeds
MOST_SEEDS = 10_000  # seeds_needed does not look further


class Welch(NamedTuple):
    """Welch's statistic for two means."""

    difference: float
    error: float  # the standard error of the difference
    freedom: float  # degrees of freedom, by Welch and Satterthwaite

    @property
    def p_value(self) -> float:
        """The two-sided p value of equal means."""
        return 2 * float(stdtr(self.freedom, -abs(self.difference) / self.error))

    def interval(self, level: float) -> Interval:
        """Return the interval of the difference of the means."""
        half = float(stdtrit(self.freedom, 0.5 + level / 2)) * self.error
        return self.difference - half, self.difference + half


def welch(a: np.ndarray, b: np.ndarray) -> Welch | None:
    """Compare two means whose spreads may differ (Welch 1947).

    :param a: (n,) of one experiment's runs
    :param b: (m,) of the other's
    :return: None if either has fewer than two values, or neither has any spread: a difference then
        cannot be told from chance
    """
    if min(len(a), len(b)) < 2:
        return None
    (mean_a, error_a, _), (mean_b, error_b, _) = moments_of_mean(a), moments_of_mean(b)
    squares = np.array([error_a**2, error_b**2])
    error = float(np.sqrt(squares.sum()))
    if error == 0.0:
        return None
    freedom = float(squares.sum() ** 2 / (squares**2 / [len(a) - 1, len(b) - 1]).sum())
    return Welch(float(mean_a - mean_b), error, freedom)


def p_value_of_equal_means(a: np.ndarray, b: np.ndarray, bounds: Bounds | None) -> float | None:
    """Return the two-sided p value of equal means; None where nothing can be tested.

    That is with fewer than five runs of either, and for unbounded values without any spread.

    :param a: (n,) within the bounds, if there are any
    :param b: (m,) likewise
    """
    if min(len(a), len(b)) < FEWEST_TO_COMPARE:
        return None
    if bounds is not None:
        return bounded_difference_p_value(a, b, bounds)
    test = welch(a, b)
    return None if test is None else test.p_value


def difference_interval(
    a: np.ndarray, b: np.ndarray, bounds: Bounds | None, level: float = LEVEL
) -> Interval | None:
    """Return the interval of the difference of the means; None where nothing can be tested.

    It excludes zero exactly where :func:`p_value_of_equal_means` is below 1 − level.
    """
    if min(len(a), len(b)) < FEWEST_TO_COMPARE:
        return None
    if bounds is not None:
        return bounded_difference_interval(a, b, bounds, level)
    test = welch(a, b)
    return None if test is None else test.interval(level)


def levels_of_tests(p_values: Sequence[float | None], error_rate: float) -> list[float]:
    """Return the level at which Holm's method tests each p value.

    The k-th smallest of m is tested at ``error_rate / (m − k + 1)``; after the first that is not
    rejected, all others stay at its level. An interval at 1 − that level excludes the null value
    exactly where the adjusted p value is below the error rate.
    """
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    levels = [error_rate / max(1, len(known))] * len(p_values)
    level = error_rate / max(1, len(known))
    for rank, (p, i) in enumerate(known):
        levels[i] = level
        if p < level and rank + 1 < len(known):
            level = error_rate / (len(known) - rank - 1)
        elif p >= level:
            for _, j in known[rank:]:
                levels[j] = level
            break
    return levels


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust the p values of several tests, so that the error rate holds for all of them together.

    Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979).

    :param p_values: None where nothing could be tested; these do not count as tests
    :return: the adjusted p values, in the same order
    """
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, i) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        adjusted[i] = largest
    return adjusted


def seeds_needed(
    a: np.ndarray, b: np.ndarray, bounds: Bounds | None, *, error_rate: float
) -> int | None:
    """Return how many runs of each would probably show the observed difference, if it is real.

    The runs are repeated until their p value is so small that, with a normal statistic, the test at
    ``error_rate`` has a power of 80 %. The observed difference is itself uncertain, and so is this
    number.

    :return: None if there is no difference, or if :data:`MOST_SEEDS` would not show it
    """
    if a.mean() == b.mean():
        return None
    wanted = 2 * float(ndtr(ndtri(error_rate / 2) - ndtri(POWER)))

    def is_enough(n: int) -> bool:
        p_value = p_value_of_equal_means(_stretched(a, n), _stretched(b, n), bounds)
        return p_value is not None and p_value < wanted

    # Double the number until it is enough, then bisect.
    enough = FEWEST_TO_COMPARE
    while not is_enough(enough):
        enough *= 2
        if enough > MOST_SEEDS:
            return None
    too_few = max(FEWEST_TO_COMPARE - 1, enough // 2)
    while enough - too_few > max(1, enough // 50):
        middle = (enough + too_few) // 2
        too_few, enough = (too_few, middle) if is_enough(middle) else (middle, enough)
    return enough


def _stretched(values: np.ndarray, n: int) -> np.ndarray:
    """Return n values at evenly spaced ranks of the given ones."""
    ranks = (np.arange(n) + 0.5) / n * len(values)
    return np.asarray(np.sort(values)[ranks.astype(int)])
