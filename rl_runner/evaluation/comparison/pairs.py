"""Two experiments compared: the difference, and whether the seeds there are decide it.

:attr:`Pair.is_decided` is the one rule by which a difference is claimed; everything that prints,
draws or writes a verdict asks it.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rl_runner.evaluation.statistics.confidence import LEVEL, Interval
from rl_runner.evaluation.statistics.differences import Welch, holm, seeds_needed, welch
from rl_runner.evaluation.statistics.probabilities import probability_of_improvement
from rl_runner.evaluation.statistics.summary import Estimate

ERROR_RATE = 1 - LEVEL
MOST_SEEDS_NAMED = 10_000  # larger numbers of needed seeds are not worth an exact figure


@dataclass(frozen=True)
class Pair:
    """Two experiments compared; differences are first minus second."""

    first: str
    second: str
    n: tuple[int, int]
    difference: float
    ci95: Interval | None
    p_value: float | None  # Welch's test; None without any spread, or with a single run
    p_adjusted: float | None  # for the number of pairs (Holm 1979)
    probability_of_improvement: Estimate  # that a run of the first beats one of the second
    seeds_needed: int | None  # of each, to show this difference with a probability of 80 %

    @property
    def is_decided(self) -> bool:
        """Whether the difference can be claimed, at an error rate of 5 % over all pairs."""
        return _is_significant(self.p_adjusted)


def compare_pairs(scores: Sequence[tuple[str, np.ndarray]]) -> tuple[Pair, ...]:
    """Compare every pair of experiments.

    :param scores: label and (n,) scores of each experiment; those without scores are left out
    """
    couples = list(itertools.combinations([(a, s) for a, s in scores if len(s)], 2))
    # All tests come first, because each p value is adjusted for the number of tests.
    tests = [welch(a, b) for (_, a), (_, b) in couples]
    adjusted = holm([None if test is None else test.p_value for test in tests])
    return tuple(
        _pair(first, second, test, p_adjusted, error_rate=ERROR_RATE / len(couples))
        for (first, second), test, p_adjusted in zip(couples, tests, adjusted, strict=True)
    )


def _pair(
    first: tuple[str, np.ndarray],
    second: tuple[str, np.ndarray],
    test: Welch | None,
    p_adjusted: float | None,
    *,
    error_rate: float,
) -> Pair:
    (label_a, a), (label_b, b) = first, second
    estimate, interval = probability_of_improvement(a, b)
    is_open = test is not None and not _is_significant(p_adjusted)
    return Pair(
        label_a,
        label_b,
        (len(a), len(b)),
        float(a.mean() - b.mean()),
        None if test is None else (test.low, test.high),
        None if test is None else test.p_value,
        p_adjusted,
        Estimate(estimate, interval),
        seeds_needed(a, b, error_rate=error_rate) if is_open else None,
    )


def _is_significant(p_adjusted: float | None) -> bool:
    return p_adjusted is not None and p_adjusted < ERROR_RATE


def verdict(pair: Pair) -> str:
    """Say in a few words what may be claimed about a pair."""
    if pair.p_value is None:
        if min(pair.n) < 2:
            return "not testable with a single seed"
        if pair.difference == 0.0:
            return "all runs have the same result"
        return "not testable: runs do not vary"
    if pair.is_decided:
        return "decided"
    if pair.seeds_needed is None:
        return "not decided"
    return f"not decided (~{format_seeds(pair.seeds_needed)} seeds)"


def format_seeds(seeds: int) -> str:
    """Return a number of needed seeds as text."""
    return f"{seeds:,}" if seeds < MOST_SEEDS_NAMED else f"more than {MOST_SEEDS_NAMED:,}"
