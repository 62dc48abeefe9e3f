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

The distribution of the weighted mean is computed, not drawn. Up to :data:`MANY` values it is the
B-spline recursion of de Boor applied to the step function, which is exact and numerically stable,
and takes the square of the number of values in operations. With more it is the saddlepoint
approximation of Lugannani and Rice (1980), see :func:`tabulated`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from rl_runner.evaluation.statistics import LEVEL, Interval
from rl_runner.evaluation.statistics.bounds import Bounds

BISECTIONS = 50
FEW = 20
GRID = 160  # points over the range of each of two means, for their difference
MANY = 100  # values; above, the ends of intervals differ by less than .5 % of their width
SADDLEPOINTS = 600  # on either side of the mean
NEAR_MEAN = 0.01  # standard deviations from it, where the approximation is not stable
MOST_AT_ONCE = 2_000_000  # numbers in an array


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

    tails = _difference_tails(a, b, bounds)

    def end(share: float, pessimistic: bool) -> float:
        def excess(t: float) -> float:
            below, above = tails(t)
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


def _difference_tails(
    a: np.ndarray, b: np.ndarray, bounds: Bounds
) -> Callable[[float], tuple[float, float]]:
    """Return a function that says how plausible a true difference is from below and from above.

    :return: a function of the difference ``t``. Its values are the probability that the difference
        is at most ``t`` if the missing mass of the first is at its worst and that of the second at
        its best, and that it is at least ``t`` in the opposite case. ``t`` is outside the interval
        if either is below the interval's tail
    """
    worst_a, best_a = (_weighted_mean(_with(a, bound)) for bound in (bounds.low, bounds.high))
    worst_b, best_b = (_weighted_mean(_with(b, bound)) for bound in (bounds.low, bounds.high))

    def tails(t: float) -> tuple[float, float]:
        below = 1 - _difference_exceeds(worst_a, best_b, t)
        above = 1 - _difference_exceeds(worst_b, best_a, -t)
        return below, above

    return tails


def bounded_difference_p_value(a: np.ndarray, b: np.ndarray, bounds: Bounds) -> float:
    """Return the p value of equal means: the α at which the interval begins to exclude zero."""
    smaller = max(0.0, min(_difference_tails(a, b, bounds)(0.0)))
    return min(1.0, _both_tails(a, b) * smaller)


def _both_tails(a: np.ndarray, b: np.ndarray) -> float:
    """Return by which number α is divided for the tail at each end of a difference's interval.

    With up to :data:`FEW` values of each it is 1, with many of either it approaches 2. With 1, the
    coverage of 95 % intervals, enumerated over all pairs of probabilities of two-valued results at
    the bounds, is at least .950 for 5 and 5, 5 and 10, 5 and 20, and 10 and 10 values.
    """
    return 2 / (1 + min(1.0, FEW / max(len(a), len(b))))


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


@dataclass(frozen=True)
class _WeightedMean:
    """The distribution of a Dirichlet-weighted mean."""

    points: np.ndarray  # ascending, dense where it changes
    exceedance: Callable[[np.ndarray], np.ndarray]  # P(mean > t)


def _weighted_mean(values: np.ndarray) -> _WeightedMean:
    """Return the distribution of the weighted mean of (n,) ascending values."""
    if values[0] == values[-1]:
        return _WeightedMean(values[:1], lambda t: (t < values[0]).astype(float))
    if len(values) > MANY:
        points, chances = tabulated(values)
        return _WeightedMean(points, lambda t: np.interp(t, points, chances))
    points = np.linspace(values[0], values[-1], GRID)
    return _WeightedMean(points, lambda t: exceedance(values[:, None], t))


def tabulated(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return points and the probabilities that the weighted mean is above each, approximately.

    With weights g_i / Σ g_i of independent exponential g_i, the mean is above t if Σ g_i (v_i − t)
    is positive. The cumulant function of that sum is K(s) = −Σ log(1 − s (v_i − t)). At its
    saddlepoint, K'(s) = 0, let c = t + 1/s. Then t = c − n / Σ 1 / (c − v_i), so that the points
    follow from values of c on either side of all v_i, and no equation needs to be solved.

    Lugannani and Rice, "Saddle point approximation for the distribution of the sum of independent
    random variables", Adv. Appl. Prob. 12 (1980).

    :param values: (n,) ascending, not all equal
    :return: ascending points and descending probabilities, from 1 at the smallest value to 0
    """
    low, high = float(values[0]), float(values[-1])
    distances = (high - low) * np.geomspace(1e-10, 1e5, SADDLEPOINTS)
    every_c = np.concatenate([low - distances, high + distances])
    distinct, counts = np.unique(values, return_counts=True)
    rows = max(1, MOST_AT_ONCE // len(distinct))
    parts = [
        _saddlepoints(distinct, counts, every_c[first : first + rows])
        for first in range(0, len(every_c), rows)
    ]
    t, chance = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    # Leave out what is not stable, and let rounding make nothing ascend.
    is_stable = np.isfinite(chance)
    order = np.argsort(t[is_stable])
    points = np.clip(np.concatenate([[low], t[is_stable][order], [high]]), low, high)
    chances = np.clip(np.concatenate([[1.0], chance[is_stable][order], [0.0]]), 0.0, 1.0)
    return points, np.minimum.accumulate(chances)


def _saddlepoints(
    values: np.ndarray, counts: np.ndarray, c: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return t and P(mean > t) for each c; no number where the formula is not stable."""
    gaps = c[:, None] - values
    t = c - counts.sum() / (counts / gaps).sum(axis=1)
    s = 1 / (c - t)
    factors = gaps * s[:, None]  # 1 − s (v − t)
    cumulant = -(counts * np.log(factors)).sum(axis=1)
    curvature = (counts * ((values - t[:, None]) / factors) ** 2).sum(axis=1)
    w = np.sign(s) * np.sqrt(np.maximum(-2 * cumulant, 0.0))
    u = s * np.sqrt(curvature)
    is_stable = np.abs(w) > NEAR_MEAN
    w, u = np.where(is_stable, w, 1.0), np.where(is_stable, u, 1.0)
    density = np.exp(-(w**2) / 2) / np.sqrt(2 * np.pi)
    return t, np.where(is_stable, ndtr(-w) + density * (1 / u - 1 / w), np.nan)


def _with(values: np.ndarray, bound: float) -> np.ndarray:
    """Return the values and one pseudo-observation, ascending."""
    pseudo = np.full((1, *values.shape[1:]), bound)
    return np.sort(np.concatenate([pseudo, values]), axis=0)


def _quantile(values: np.ndarray, probability: float) -> np.ndarray:
    """Return the quantile of the weighted mean of values that ascend along the first axis."""
    if len(values) > MANY:
        columns = values.reshape(len(values), -1).T
        found = [_tabulated_quantile(column, probability) for column in columns]
        return np.reshape(found, values.shape[1:])
    low, high = values[0].copy(), values[-1].copy()
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        is_below = exceedance(values, middle) > 1 - probability
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    return np.asarray((low + high) / 2)


def _tabulated_quantile(values: np.ndarray, probability: float) -> float:
    if values[0] == values[-1]:
        return float(values[0])
    points, chances = tabulated(values)
    return float(np.interp(1 - probability, chances[::-1], points[::-1]))


def _difference_exceeds(a: _WeightedMean, b: _WeightedMean, t: float) -> float:
    """Return P(A − B > t) for two weighted means.

    It is ∫ P(A > x + t) dP(B ≤ x), by the trapezoidal rule on points that are dense where either
    distribution changes.
    """
    points = np.concatenate([b.points, a.points - t])
    x = np.unique(np.clip(points, b.points[0], b.points[-1]))
    of_a = a.exceedance(x + t)
    if len(x) == 1:  # B cannot vary
        return float(of_a[0])
    of_b = b.exceedance(x)
    of_b[0], of_b[-1] = 1.0, 0.0
    return float(((of_a[:-1] + of_a[1:]) / 2 * (of_b[:-1] - of_b[1:])).sum())
