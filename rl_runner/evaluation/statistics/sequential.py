"""A test of two experiments that may be repeated after every batch of seeds.

A test at 5 % that is repeated as seeds come in, until it is significant, claims a difference far
too often. This one may be repeated. Its e-value is the capital of a bet against "the means are
equal" that is fair at every look. The chance that it ever grows to 1/error rate is therefore at
most the error rate, however often one looks and for whatever reason one stops (Ville's inequality).

The unit is a pair of runs with the same seed, which share their held-out episodes. For normal
differences the e-value is the Bayes factor of Student's t under a standard normal effect size and
the right Haar prior on the spread, an e-process (Pérez-Ortiz et al., "E-statistics, group
invariance and anytime-valid testing", Annals of Statistics 52, 2024), in closed form::

    e = (1 + n)^(−1/2) · ((1 + f) / (1 + f/(1 + n)))^(n/2),    f = t²/(n − 1)

Returns are not normal, so t is corrected for skewness as in :mod:`.means`, and the first look is at
five pairs. How well that keeps the error rate is simulated in the tests and in docs/comparing.md.
"""

from dataclasses import dataclass

import numpy as np

from rl_runner.evaluation.statistics.confidence import Interval
from rl_runner.evaluation.statistics.means import interval_at, moments_of_mean, transform

FEWEST_PAIRS = 5


@dataclass(frozen=True)
class Look:
    """The result of one look at n pairs of runs; differences are first minus second."""

    n: int
    difference: float
    interval: Interval | None  # of the true difference, at all looks together; None if not yet
    e_value: float | None  # None below five pairs
    is_decided: bool


def look_at(differences: np.ndarray, error_rate: float) -> Look:
    """Test the differences seen so far.

    :param differences: (n,) of runs with the same seed
    :param error_rate: how often, at most, equal means may be called different over all looks
    """
    # Too few pairs have no e-value, since the skewness is then hardly known.
    n = len(differences)
    mean = float(differences.mean()) if n else 0.0
    if n < FEWEST_PAIRS:
        return Look(n, mean, None, None, is_decided=False)
    # The interval holds the differences that the e-value does not reject.
    e = float(e_value(differences))
    critical = critical_quantile(n, error_rate)
    has_spread = moments_of_mean(differences)[1] != 0.0
    if critical is None or not has_spread:
        return Look(n, mean, None, e, is_decided=False)
    low, high = (float(end) for end in interval_at(differences, critical))
    return Look(n, mean, (low, high), e, is_decided=not low <= 0.0 <= high)


def critical_quantile(n: int, error_rate: float) -> float | None:
    """Return the t at which the e-value of n pairs is 1/error rate; None if no t reaches it."""
    ratio = (np.sqrt(1 + n) / error_rate) ** (2 / n)
    if ratio >= 1 + n:
        return None
    return float(np.sqrt((n - 1) * (ratio - 1) / (1 - ratio / (1 + n))))


def e_value(differences: np.ndarray) -> np.ndarray:
    """Return the e-value: 1 at the start, large where equal means are hard to believe.

    Differences without any spread do not show how much the next one may differ. Their e-value is
    1, just as Welch's test has no result for them.

    :param differences: (n, …) of n pairs, n ≥ 2
    :return: (…)
    """
    n = len(differences)
    # Student's t, corrected for skewness (without any spread it is not defined, and not used)
    mean, error, skewness = moments_of_mean(differences)
    t = transform(mean / np.where(error > 0, error, 1.0), skewness)
    # The Bayes factor of the module's docstring
    f = t**2 / (n - 1)
    e = (1 + n) ** -0.5 * ((1 + f) / (1 + f / (1 + n))) ** (n / 2)
    return np.asarray(np.where(error > 0, e, 1.0))
