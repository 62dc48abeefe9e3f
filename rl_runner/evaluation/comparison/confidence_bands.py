"""Learning curves and performance profiles with confidence bands, as numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rl_runner.evaluation.comparison.experiments import Curve, Experiment
from rl_runner.evaluation.statistics.bounds import Bounds
from rl_runner.evaluation.statistics.ranks import (
    interquartile_mean,
    interquartile_mean_interval,
    share_interval,
)

MOST_POINTS = 200


@dataclass(frozen=True)
class Band:
    """A curve with an interval at each of its n points."""

    x: np.ndarray  # (n,)
    value: np.ndarray  # (n,)
    low: np.ndarray  # (n,), NaN where there are too few runs for an interval
    high: np.ndarray  # (n,)


def on_grid(curve: Curve, every: int, total: int) -> Curve:
    """Move evaluations to the timesteps at which they were due, the same ones for all runs.

    A run evaluates at the end of a step of all its environments, and once more at the end of its
    last rollout: at 50,176, say, soon after the evaluation that was due at 50,000. Of two
    evaluations that are due at the same timestep the later one counts.

    :param every: timesteps between two evaluations
    :param total: the budget, where the last evaluation is due
    """
    due = np.minimum(curve.timesteps // every * every, total)
    due[curve.timesteps > total - every / 2] = total
    due[curve.timesteps == 0] = 0
    is_last = np.append(due[1:] != due[:-1], True)
    return Curve(due[is_last], curve.returns[is_last], curve.seconds[is_last])


def curves_of(experiment: Experiment) -> list[Curve]:
    """Return the curves of an experiment's runs, with the evaluations where they were due."""
    total = experiment.config.train.total_timesteps
    every = experiment.config.eval.every or max(1, total // 10)
    curves = (run.curve for run in experiment.finished)
    return [on_grid(curve, every, total) for curve in curves if curve is not None]


def band_of(experiment: Experiment, bounds: Bounds | None = None) -> Band | None:
    """Return an experiment's learning curve; None if no run has readable evaluations.

    :param bounds: of the returns, if they are known
    """
    return learning_band(curves_of(experiment), bounds)


def learning_band(curves: Sequence[Curve], bounds: Bounds | None = None) -> Band | None:
    """Return the interquartile mean over runs at each timestep, and its pointwise interval.

    With fewer than four runs it is their mean; fewer than five have no interval. The mean's own
    interval is not used: it would reach far beyond the possible returns wherever a single run lags
    behind.

    Where runs have evaluations at different timesteps (see :func:`on_grid`), each curve is
    interpolated linearly between its own, over the range of timesteps that all runs have.

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
