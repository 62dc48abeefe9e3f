"""The confidence interval of the mean: Student's, corrected for skewness (Hall 1992)."""

import numpy as np
from scipy.special import stdtrit

from rl_runner.evaluation.statistics import LEVEL


def mean_interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of the mean: Student's, corrected for skewness (Hall 1992).

    The mean of skewed values is skewed itself, and Student's t with it. Hall's monotone cubic
    ``g(t) = t + κt²/3 + κ²t³/27 + κ/6`` removes that, where κ is the skewness of the mean. The
    interval holds the means whose transformed t lies within Student's 95 % quantiles.

    Peter Hall, "On the removal of skewness by transformation", J. R. Statist. Soc. B 54 (1992).

    :param values: (n, …) with n ≥ 2; two values have no skewness and get Student's interval
    :return: lower and upper ends, each (…)
    """
    return interval_at(values, float(stdtrit(len(values) - 1, 0.5 + LEVEL / 2)))


def interval_at(values: np.ndarray, quantile: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the means whose transformed t lies between ``-quantile`` and ``quantile``.

    :param values: (n, …) with n ≥ 2
    :return: lower and upper ends, each (…)
    """
    mean, error, skewness = moments_of_mean(values)
    return (
        mean - error * _inverse_transform(quantile, skewness),
        mean - error * _inverse_transform(-quantile, skewness),
    )


def moments_of_mean(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean, its standard error and its skewness, each (…).

    The skewness is the third cumulant's unbiased estimate over the cubed error, divided by √n. It
    is zero where all values are equal, and for two values.
    """
    n = len(values)
    mean = values.mean(axis=0)
    deviations = values - mean
    # Deviations within rounding error count as zero.
    largest = np.abs(deviations).max(axis=0)
    differs = largest > 1e-12 * np.abs(values).max(axis=0)
    # Scale the deviations to one, or the cubes of tiny ones would underflow to zero.
    scale = np.where(differs, largest, 1.0)
    deviations = deviations / scale
    spread = np.sqrt((deviations**2).sum(axis=0) / (n - 1))
    error = np.where(differs, scale * spread / np.sqrt(n), 0.0)
    if n < 3:
        return mean, error, np.zeros_like(error)
    third = (deviations**3).sum(axis=0) * n / ((n - 1) * (n - 2))
    cubed = np.where(differs, spread, 1.0) ** 3 * np.sqrt(n)
    return mean, error, np.where(differs, third / cubed, 0.0)


def transform(t: np.ndarray, skewness: np.ndarray) -> np.ndarray:
    """Correct a t statistic for skewness: Hall's ``g``."""
    return np.asarray(t + skewness * t**2 / 3 + skewness**2 * t**3 / 27 + skewness / 6)


def _inverse_transform(quantile: float, skewness: np.ndarray) -> np.ndarray:
    """Return the t whose transform is ``quantile``: the inverse of Hall's ``g``."""
    flat = np.abs(skewness) < 1e-5  # the closed form divides by the skewness
    safe = np.where(flat, 1.0, skewness)
    curved = 3 / safe * (np.cbrt(1 + safe * (quantile - safe / 6)) - 1)
    return np.where(flat, quantile, curved)
