"""Confidence intervals by resampling users, since the interactions of a user are dependent."""

from collections.abc import Callable, Mapping

import numpy as np

from rl_runner.runs.log_results import Interval

REPLICATES = 1000
LEVEL = 0.95
_DRAWS_AT_ONCE = 4_000_000  # held in memory


def sums_by_user(user: np.ndarray, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return (n_users,) sums of (n,) columns, and ``n``, the interactions per user."""
    _, number = np.unique(user, return_inverse=True)
    sums = {name: np.bincount(number, column) for name, column in columns.items()}
    return {"n": np.bincount(number).astype(float), **sums}


def resampled_totals(
    by_user: Mapping[str, np.ndarray], seed: int, replicates: int = REPLICATES
) -> dict[str, np.ndarray]:
    """Return (replicates,) totals of each column over users drawn with replacement."""
    # (n_users, n_columns); a replicate's totals are the users' multiplicities times this matrix.
    rng = np.random.default_rng(seed)
    names = list(by_user)
    matrix = np.stack([by_user[name] for name in names], axis=1)
    n_users = len(matrix)
    totals = np.empty((replicates, len(names)))
    # In batches, to bound memory.
    size = max(1, _DRAWS_AT_ONCE // n_users)
    for first in range(0, replicates, size):
        n = min(size, replicates - first)
        drawn = rng.integers(n_users, size=(n, n_users)) + np.arange(n)[:, None] * n_users
        times = np.bincount(drawn.ravel(), minlength=n * n_users).reshape(n, n_users)
        totals[first : first + n] = times @ matrix
    return {name: totals[:, i] for i, name in enumerate(names)}


def interval(
    totals: Mapping[str, np.ndarray],
    statistic: Callable[[Mapping[str, np.ndarray]], np.ndarray],
    level: float = LEVEL,
) -> Interval:
    """Return the percentile interval of a statistic of (replicates,) totals."""
    with np.errstate(divide="ignore", invalid="ignore"):
        values = statistic(totals)
    tail = (1.0 - level) / 2.0
    low, high = np.nanquantile(values, [tail, 1.0 - tail])
    return float(low), float(high)
