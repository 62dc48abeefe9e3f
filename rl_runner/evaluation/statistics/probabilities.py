"""Score intervals of probabilities: a share of runs, and that one run beats another."""

import numpy as np

from rl_runner.evaluation.statistics.confidence import Interval

NORMAL_QUANTILE = 1.959963984540054  # of the level .95, two-sided


def share_interval(share: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's interval for a share of n runs (Wilson 1927).

    :param share: (…) between 0 and 1
    :return: lower and upper ends, each (…)
    """
    square = NORMAL_QUANTILE**2 / n
    centre = (share + square / 2) / (1 + square)
    half = np.sqrt(share * (1 - share) * square + square**2 / 4) / (1 + square)
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)


def probability_of_improvement(a: np.ndarray, b: np.ndarray) -> tuple[float, Interval]:
    """Return the probability that a run of A beats a run of B, and its interval.

    The estimate is Mann and Whitney's U over nm, with ties counting half. The interval is
    Newcombe's fifth method (Statistics in Medicine 25, 2006). Unlike the bootstrap it keeps its
    level when every run of A beats every run of B: five against five still leave .65 possible.

    :param a: (n,) of one experiment's runs
    :param b: (m,) of the other's
    """
    # The share of the nm pairs of runs in which A wins
    wins = (a[:, None] > b).mean() + (a[:, None] == b).mean() / 2
    estimate, pairs = float(wins), len(a) * len(b)
    balance = (len(a) + len(b)) / 2 - 1

    def is_plausible(theta: float) -> bool:
        """Whether the estimate lies within the error that ``theta`` would have if it were true."""
        shape = 1 + balance * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        error = np.sqrt(theta * (1 - theta) / pairs * shape)
        return bool(abs(estimate - theta) <= NORMAL_QUANTILE * error)

    def end(outside: float) -> float:
        """Bisect between the estimate and ``outside`` for the last plausible probability."""
        inside = estimate
        for _ in range(40):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if is_plausible(middle) else (inside, middle)
        return inside

    return estimate, (end(0.0), end(1.0))
