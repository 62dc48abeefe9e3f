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

    The estimate is Mann and Whitney's U over nm, with ties counting half. Its variance is at most
    θ(1 − θ)/min(n, m), whatever the two distributions (Birnbaum and Klose 1957). The interval is
    the score interval with that variance, so it is Wilson's for a share of min(n, m) runs. It keeps
    its level where returns have atoms (runs at a ceiling), and when every run of A beats every run
    of B: five against five still leave .57 possible.

    :param a: (n,) of one experiment's runs
    :param b: (m,) of the other's
    """
    # The share of the nm pairs of runs in which A wins
    wins = (a[:, None] > b).mean() + (a[:, None] == b).mean() / 2
    low, high = share_interval(wins, min(len(a), len(b)))
    return float(wins), (float(low), float(high))
