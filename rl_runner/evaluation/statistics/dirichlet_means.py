"""Means of bounded values: Gaffke's interval, and the same model for a difference of two means.

The model is the Bayesian bootstrap with one pseudo-observation at a bound. The n + 1 values get
random weights from the flat Dirichlet distribution. The lower end of the interval is a quantile of
the weighted mean of the values and the lower bound, the upper end one of the values and the upper
bound. Gaffke (2005) proposed it; Learned-Miller and Thomas, "A new confidence interval for the mean
of a bounded random variable" (2020), measure it and compare it with others. That it holds its level
for every distribution is conjectured and not proved; no counterexample is known.

For a difference of two means, both pseudo-observations are at their worst for one end, and both at
their best for the other. That is more cautious than necessary with few values, so each end then
uses a tail of up to α, see :func:`_both_tails`.

The distribution of the weighted mean is computed, not drawn. It is the B-spline recursion of de
Boor applied to the step function, which is exact and numerically stable. It takes the square of the
number of values in operations.
"""

import numpy as np

from rl_runner.evaluation.statistics import LEVEL, Interval
from rl_runner.evaluation.statistics.bounds import Bounds

BISECTIONS = 50
FEW = 20
GRID = 160  # points over the range of each of two means, for their difference


def bounded_mean_interval(
    values: np.ndarray, bounds: Bounds, level: float = LEVEL
) -> tuple[np.ndarray, np.ndarray]:
    """Return Gaffke's interval of the mean of values that cannot leave their bounds.

    :param values: (n, …) within the bounds, n ≥ 1
    :return: lower and upper ends, each (…)
    """
    tail = (1 - level) / 2
    low = _quantile(_with(values, bounds.low), tail)
    high = _quantile(_with(values, bounds.high), 1 - tail)
    return low, high


def bounded_difference_interval(
    a: np.ndarray, b: np.ndarray, bounds: Bounds, level: float = LEVEL
) -> Interval:
    """Return the interval of the difference of two means, in the same model.

    :param a: (n,) within the bounds
    :param b: (m,) within the bounds
    """
    from scipy.optimize import brentq  # takes 0.25 s, for which `rl train` need not wait

    tail = (1 - level) / _both_tails(a, b)
    reach = bounds.width
    tolerance = 1e-7 * reach

    def end(share: float, pessimistic: bool) -> float:
        def excess(t: float) -> float:
            below, above = difference_tails(a, b, bounds, t)
            return below - share if pessimistic else share - above

        # The observed difference lies between the ends, so each end is sought on its own side.
        if pessimistic:
            return (
                -reach
                if excess(-reach) >= 0
                else float(brentq(excess, -reach, reach, xtol=tolerance))
            )
        return reach if excess(reach) <= 0 else float(brentq(excess, -reach, reach, xtol=tolerance))

    return end(tail, pessimistic=True), end(tail, pessimistic=False)


def difference_tails(a: np.ndarray, b: np.ndarray, bounds: Bounds, t: float) -> tuple[float, float]:
    """Return how plausible a true difference of ``t`` is from below and from above.

    :return: the probability that the difference is at most ``t`` if the missing mass of the first
        is at its worst and that of the second at its best, and that it is at least ``t`` in the
        opposite case. ``t`` is outside the interval if either is below the interval's tail
    """
    worst, best = _with(a, bounds.low), _with(b, bounds.high)
    below = 1 - _difference_exceeds(worst, best, t)
    above = 1 - _difference_exceeds(_with(b, bounds.low), _with(a, bounds.high), -t)
    return below, above


def bounded_difference_p_value(a: np.ndarray, b: np.ndarray, bounds: Bounds) -> float:
    """Return the p value of equal means: the α at which the interval begins to exclude zero."""
    smaller = max(0.0, min(difference_tails(a, b, bounds, 0.0)))
    return min(1.0, _both_tails(a, b) * smaller)


def _both_tails(a: np.ndarray, b: np.ndarray) -> float:
    """Return by which number α is divided for the tail at each end of a difference's interval.

    With up to :data:`FEW` values of each it is 1, with many it approaches 2. With 1, the coverage
    of 95 % intervals, enumerated over all pairs of probabilities of two-valued results at the
    bounds, is at least .950 for 5 and 5, 5 and 10, 5 and 20, and 10 and 10 values.
    """
    return 2 / (1 + min(1.0, FEW / min(len(a), len(b))))


def exceedance(values: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return the probability that the Dirichlet-weighted mean of the values is above ``t``.

    :param values: (n, …) ascending along the first axis
    :param t: (…), any shape that broadcasts with one of the values
    :return: (…)
    """
    chance = (values > t).astype(float)
    smallest = np.maximum(1e-14 * (values[-1] - values[0]), 1e-250)  # differences below are ties
    for k in range(1, len(values)):
        # Combine neighbours: the share of their distance that lies above t weighs the upper one.
        low, high = values[:-k], values[k:]
        width = high - low
        has_width = width > smallest
        share = np.where(has_width, (high - t) / np.where(has_width, width, 1.0), high > t)
        share = np.clip(share, 0.0, 1.0)
        chance = share * chance[1:] + (1 - share) * chance[:-1]
    return np.asarray(chance[0])


def _with(values: np.ndarray, bound: float) -> np.ndarray:
    """Return the values and one pseudo-observation, ascending."""
    pseudo = np.full((1, *values.shape[1:]), bound)
    return np.sort(np.concatenate([pseudo, values]), axis=0)


def _quantile(values: np.ndarray, probability: float) -> np.ndarray:
    """Return the quantile of the weighted mean of ascending values, by bisection."""
    low, high = values[0].copy(), values[-1].copy()
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        is_below = exceedance(values, middle) > 1 - probability
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    return np.asarray((low + high) / 2)


def _difference_exceeds(a: np.ndarray, b: np.ndarray, t: float) -> float:
    """Return P(A − B > t) for the weighted means of two ascending sets of values.

    It is ∫ P(A > x + t) dP(B ≤ x), by the trapezoidal rule on points that are dense where either
    distribution changes.
    """
    points = np.concatenate(
        [np.linspace(b[0], b[-1], GRID), np.linspace(a[0] - t, a[-1] - t, GRID)]
    )
    x = np.unique(np.clip(points, b[0], b[-1]))
    of_a = exceedance(a[:, None], x + t)
    if len(x) == 1:  # B cannot vary
        return float(of_a[0])
    of_b = exceedance(b[:, None], x)
    of_b[0], of_b[-1] = 1.0, 0.0
    return float(((of_a[:-1] + of_a[1:]) / 2 * (of_b[:-1] - of_b[1:])).sum())
