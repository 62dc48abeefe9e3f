"""A test of two experiments that may be repeated after every batch of seeds.

A test at 5 % that is repeated as seeds come in, until it is significant, claims a difference far
too often. This one may be repeated. Its e-value is the capital of a bet against "the means are
equal" that is fair at every look. The chance that it ever grows to 1/error rate is therefore at
most the error rate, however often one looks and for whatever reason one stops (Ville's inequality).

The unit is a pair of runs with the same seed, which share their held-out episodes.

*With known bounds* the bets are on the differences themselves (Waudby-Smith and Ramdas, "Estimating
means of bounded random variables by betting", J. R. Statist. Soc. B 86, 2024). For differences d
between −r and r, and a supposed mean m, each bet multiplies its capital by

    1 + s (d − m)/(r + m)    or    1 − s (d − m)/(r − m),

where s between 0 and 1 is what it stakes. If m is the true mean, the expected factor is 1, whatever
the distribution. Half of the capital bets on a higher mean and half on a lower one, and each half
is spread evenly over the stakes s. No other assumption is made, and equal differences are evidence.

*Without bounds* the differences are assumed to be normal. The e-value is the Bayes factor of
Student's t under a standard normal effect size and the right Haar prior on the spread, an e-process
(Pérez-Ortiz et al., "E-statistics, group invariance and anytime-valid testing", Annals of
Statistics 52, 2024), in closed form::

    e = (1 + n)^(−1/2) · ((1 + f) / (1 + f/(1 + n)))^(n/2),    f = t²/(n − 1)

Where returns are not normal, t is corrected for skewness as in :mod:`.means`, and the first look is
at five pairs. That does not protect against failures too rare to have occurred yet. Simulated error
rates of both are in docs/comparing.md.
"""

from dataclasses import dataclass

import numpy as np

from rl_runner.evaluation.statistics import Interval
from rl_runner.evaluation.statistics.bounds import Bounds
from rl_runner.evaluation.statistics.means import interval_at, moments_of_mean, transform

FEWEST_PAIRS = 5
STAKES = (np.arange(64) + 0.5) / 64  # shares of the largest possible stake


@dataclass(frozen=True)
class Look:
    """The result of one look at n pairs of runs; differences are first minus second."""

    n: int
    difference: float
    interval: Interval | None  # of the true difference, at all looks together; None if not yet
    e_value: float | None  # None below five pairs
    is_decided: bool


def look_at(differences: np.ndarray, error_rate: float, bounds: Bounds | None = None) -> Look:
    """Test the differences seen so far.

    :param differences: (n,) of runs with the same seed
    :param error_rate: how often, at most, equal means may be called different over all looks
    :param bounds: of the returns (not of their differences), if they are known
    """
    n = len(differences)
    mean = float(differences.mean()) if n else 0.0
    if n < FEWEST_PAIRS:
        return Look(n, mean, None, None, is_decided=False)
    # The interval holds the differences that the e-value does not reject.
    if bounds is not None:
        e = float(betting_e_value(differences, bounds.width))
        interval: Interval | None = betting_interval(differences, bounds.width, error_rate)
    else:
        e = float(e_value(differences))
        interval = _normal_interval(differences, error_rate)
    return Look(n, mean, interval, e, is_decided=e > 1 / error_rate)


def betting_e_value(differences: np.ndarray, reach: float) -> np.ndarray:
    """Return the e-value of equal means for differences between −reach and reach.

    :param differences: (n, …) of n pairs
    :return: (…)
    """
    scaled = differences / reach
    return np.asarray(np.maximum(_capital(scaled, 0.0), _capital(-scaled, 0.0)) / 2)


def betting_interval(differences: np.ndarray, reach: float, error_rate: float) -> Interval:
    """Return the mean differences that the bets do not reject, by bisection.

    :param differences: (n,) of n pairs, between −reach and reach
    """
    scaled = differences / reach

    def lower_end(values: np.ndarray) -> float:
        """Return the largest supposed mean below which betting on a higher one wins enough."""
        low, high = -1.0, float(values.mean())
        for _ in range(50):
            middle = (low + high) / 2
            is_rejected = _capital(values, middle) / 2 > 1 / error_rate
            low, high = (middle, high) if is_rejected else (low, middle)
        return low

    return reach * lower_end(scaled), -reach * lower_end(-scaled)


def _capital(values: np.ndarray, supposed: float) -> np.ndarray:
    """Return what bets on a mean above ``supposed`` have made of a capital of 1.

    :param values: (n, …) between −1 and 1
    :return: (…)
    """
    gains = (values - supposed) / max(1 + supposed, 1e-12)
    factors = (1 + stake * gains for stake in STAKES)
    return np.asarray(sum(each.prod(axis=0) for each in factors) / len(STAKES))


def _normal_interval(differences: np.ndarray, error_rate: float) -> Interval | None:
    """Return the mean differences that :func:`e_value` does not reject; None if it rejects none."""
    critical = critical_quantile(len(differences), error_rate)
    if critical is None or moments_of_mean(differences)[1] == 0.0:
        return None
    low, high = interval_at(differences, critical)
    return float(low), float(high)


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
