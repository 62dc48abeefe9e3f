"""Learning curves and performance profiles with confidence bands, as numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rl_runner.evaluation.comparison.experiments import Curve
from rl_runner.evaluation.statistics.bounds import Bounds
from rl_runner.evaluation.statistics.probabilities import share_interval
from rl_runner.evaluation.statistics.ranks import interquartile_mean, interquartile_mean_interval

MOST_POINTS = 200


@dataclass(frozen=True)
class Band:
    """A curve with an interval at each of its n points."""

    x: np.ndarray  # (n,)
    value: np.ndarray  # (n,)
    low: np.ndarray  # (n,), NaN where there are too few runs for an interval
    high: np.ndarray  # (n,)


def learning_band(curves: Sequence[Curve], bounds: Bounds | None = None) -> Band | None:
    """Return the interquartile mean over runs at each timestep, and its pointwise interval.

    With fewer than four runs it is their mean; fewer than five have no interval. The mean's own
    interval is not used: it would reach far beyond the possible returns wherever a single run lags
    behind.

    Runs evaluate at slightly different timesteps, so each curve is interpolated linearly between
    its evaluations, over the range of timesteps that all runs have.

    :param bounds: of the returns, if they are known
    :return: None without curves, or if the runs have no timestep in common
    """
    if not curves:
        return None
    # The timesteps of the band: all evaluations within the common range, or an even grid
    first = max(int(curve.timesteps[0]) for curve in curves)
    last = min(int(curve.timesteps[-1]) for curve in curves)
    every = np.unique(np.concatenate([curve.timesteps for curve in curves]))
    grid = every[(every >= first) & (every <= last)].astype(float)
    if len(grid) > MOST_POINTS:
        grid = np.linspace(first, last, MOST_POINTS)
    if len(grid) == 0:
        return None
    # Interpolate and aggregate.
    returns = np.array([np.interp(grid, curve.timesteps, curve.returns) for curve in curves])
    nothing = np.full(len(grid), np.nan)
    if bounds is not None:  # sampled returns may exceed the bounds of exact ones
        low_end, high_end = min(bounds.low, returns.min()), max(bounds.high, returns.max())
        bounds = replace(bounds, low=float(low_end), high=float(high_end))
    low, high = interquartile_mean_interval(returns, bounds) or (nothing, nothing)
    return Band(grid, interquartile_mean(returns), low, high)


def performance_profile(scores: np.ndarray, levels: np.ndarray) -> Band:
    """Return the share of runs that reached at least each level, and its interval (Wilson's).

    If one profile lies above another everywhere, its algorithm is stochastically better. If they
    cross, neither is (Agarwal et al. 2021).

    :param scores: (n,) one per run
    :param levels: (m,) ascending
    """
    share = (scores[:, None] >= levels).mean(axis=0)
    return Band(levels, share, *share_interval(share, len(scores)))
