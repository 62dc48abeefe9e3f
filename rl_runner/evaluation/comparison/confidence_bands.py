"""What the pictures of a comparison show, as numbers: learning curves and performance profiles."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rl_runner.evaluation.comparison.experiments import Curve
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


def learning_band(curves: Sequence[Curve]) -> Band | None:
    """Return the interquartile mean over runs at each time step, and its pointwise interval.

    Of fewer than four runs it is their mean, and fewer than five have no interval. The mean's own
    interval would be drawn far beyond what is possible wherever a single run lags behind.

    Runs evaluate at slightly different time steps, so each is read between its evaluations as if
    it went straight from one to the next, over the time steps that all runs have.

    :return: None without curves, or if the runs have no time step in common
    """
    if not curves:
        return None
    first = max(int(curve.timesteps[0]) for curve in curves)
    last = min(int(curve.timesteps[-1]) for curve in curves)
    every = np.unique(np.concatenate([curve.timesteps for curve in curves]))
    grid = every[(every >= first) & (every <= last)].astype(float)
    if len(grid) > MOST_POINTS:
        grid = np.linspace(first, last, MOST_POINTS)
    if len(grid) == 0:
        return None
    returns = np.array([np.interp(grid, curve.timesteps, curve.returns) for curve in curves])
    nothing = np.full(len(grid), np.nan)
    low, high = interquartile_mean_interval(returns) or (nothing, nothing)
    return Band(grid, interquartile_mean(returns), low, high)


def performance_profile(scores: np.ndarray, levels: np.ndarray) -> Band:
    """Return the share of runs that reached at least each level, and its interval (Wilson's).

    A profile that lies above another's everywhere belongs to the stochastically better algorithm;
    profiles that cross say that it depends (Agarwal et al. 2021).

    :param scores: (n,) one per run
    :param levels: (m,) ascending
    """
    share = (scores[:, None] >= levels).mean(axis=0)
    return Band(levels, share, *share_interval(share, len(scores)))
