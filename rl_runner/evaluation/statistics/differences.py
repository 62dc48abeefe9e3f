"""The difference between two means: interval, p value, and how many seeds would show it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from rl_runner.evaluation.statistics.confidence import LEVEL
from rl_runner.evaluation.statistics.means import moments_of_mean

POWER = 0.8  # of the test for which seeds_needed counts seeds


class Welch(NamedTuple):
    """Welch's comparison of two means."""

    difference: float
    low: float
    high: float
    p_value: float


def welch(a: np.ndarray, b: np.ndarray, level: float = LEVEL) -> Welch | None:
    """Compare two means whose spreads may differ (Welch 1947).

    :param a: (n,) of one experiment's runs
    :param b: (m,) of the other's
    :param level: the confidence level of the interval
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
    # Welch and Satterthwaite's degrees of freedom
    freedom = float(squares.sum() ** 2 / (squares**2 / [len(a) - 1, len(b) - 1]).sum())
    difference = float(mean_a - mean_b)
    half = float(stdtrit(freedom, 0.5 + level / 2)) * error
    p_value = 2 * float(stdtr(freedom, -abs(difference) / error))
    return Welch(difference, difference - half, difference + half, p_value)


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


def seeds_needed(a: np.ndarray, b: np.ndarray, *, error_rate: float) -> int | None:
    """Return how many runs of each would probably show the observed difference, if it is real.

    That is the n at which Welch's two-sided test at ``error_rate`` has a power of 80 %, by
    Student's quantiles. The observed difference is itself uncertain, and so is this number.

    :return: None if there is no difference, or no spread to judge it by
    """
    difference = abs(float(a.mean() - b.mean()))
    variance = float(a.var(ddof=1) + b.var(ddof=1))
    if difference == 0.0 or variance == 0.0:
        return None
    n = 2.0
    for _ in range(50):  # the quantiles depend on n; this fixed-point iteration converges quickly
        freedom = 2 * (n - 1)
        quantiles = float(stdtrit(freedom, 1 - error_rate / 2) + stdtrit(freedom, POWER))
        n = max(2.0, (n + variance * (quantiles / difference) ** 2) / 2)
    return int(np.ceil(n - 1e-6))
