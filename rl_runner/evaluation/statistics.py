"""From the runs' numbers to what can be said about the algorithm. The unit is the seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Summary:
    """The mean over runs and its 95 % confidence interval (None with fewer than two runs)."""

    mean: float
    ci95: tuple[float, float] | None
    n: int


def summarize(run_means: Sequence[float]) -> Summary:
    """Summarise one number per run by Student's t interval, whose unit is the run.

    :raises ValueError: if there are no runs or a number is not finite
    """
    values = np.asarray(run_means, dtype=float)
    if len(values) == 0 or not np.isfinite(values).all():
        message = f"a mean needs at least one run and finite numbers, not {run_means}"
        raise ValueError(message)
    mean = float(values.mean())
    if len(values) == 1:
        return Summary(mean, None, 1)
    from scipy.stats import t as student

    half = float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return Summary(mean, (mean - half, mean + half), len(values))
