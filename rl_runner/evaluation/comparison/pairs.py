"""Two experiments compared: the difference of their means, and what can be claimed about it.

There is one rule, :attr:`Pair.verdict`, and everything that prints, draws or writes a verdict asks
it. With at least five seeds of each, the first experiment is *better* if the test of equal means
rejects them at an error rate of 5 % over all pairs, and the interval of the probability of
improvement lies above one half as well; *worse* is the opposite. Everything else is *not shown*.

The intervals follow the same rule. That of the difference has the level at which Holm's method
tests the pair, so it excludes zero exactly where the adjusted p value is below .05.

These tests assume that the number of seeds was fixed in advance. Where seeds were added until a
sequential test decided (``rl compare --until-decided``), that test is the rule instead, see
:meth:`Pair.with_sequential_verdict`.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from rl_runner.evaluation.statistics import LEVEL, Interval
from rl_runner.evaluation.statistics.bounds import Bounds
from rl_runner.evaluation.statistics.differences import (
    FEWEST_TO_COMPARE,
    MOST_SEEDS,
    difference_interval,
    holm,
    levels_of_tests,
    p_value_of_equal_means,
    seeds_needed,
)
from rl_runner.evaluation.statistics.ranks import probability_of_improvement
from rl_runner.evaluation.statistics.sequential import Look
from rl_runner.evaluation.statistics.summary import Estimate

ERROR_RATE = 1 - LEVEL
Verdict = Literal["better", "worse", "not shown", "too few seeds"]


@dataclass(frozen=True)
class Pair:
    """Two experiments compared; differences are first minus second."""

    first: str
    second: str
    n: tuple[int, int]
    difference: float
    ci95: Interval | None  # at the level of the pair's test, at least 95 %; None if not tested
    p_value: float | None  # of equal means; None with too few seeds, or without any spread
    p_adjusted: float | None  # for the number of pairs (Holm 1979)
    probability_of_improvement: Estimate  # that a run of the first beats one of the second
    seeds_needed: int | None  # of each, to show this difference with a probability of 80 %
    sequential_verdict: Verdict | None = None  # None: the number of seeds was fixed in advance

    def with_sequential_verdict(self, look: Look, *, is_decided: bool) -> "Pair":
        """Return this pair with the verdict of a sequential test, which replaces the own one.

        :param look: the last one of the sequential test
        :param is_decided: whether the test came to a decision
        """
        claim: Verdict = "not shown"
        if is_decided:
            claim = "better" if look.difference > 0 else "worse"
        return replace(self, sequential_verdict=claim, seeds_needed=None)

    @property
    def verdict(self) -> Verdict:
        """What can be claimed about the first experiment: the rule of this module."""
        if self.sequential_verdict is not None:
            return self.sequential_verdict
        if min(self.n) < FEWEST_TO_COMPARE:
            return "too few seeds"
        if self.p_adjusted is None or self.p_adjusted >= ERROR_RATE:
            return "not shown"
        low, high = self.probability_of_improvement.ci95 or (0.0, 1.0)
        if self.difference > 0 and low > 0.5:
            return "better"
        return "worse" if self.difference < 0 and high < 0.5 else "not shown"

    @property
    def is_decided(self) -> bool:
        """Whether a difference can be claimed."""
        return self.verdict in {"better", "worse"}


def compare_pairs(
    scores: Sequence[tuple[str, np.ndarray]], bounds: Bounds | None = None
) -> tuple[Pair, ...]:
    """Compare every pair of experiments.

    :param scores: label and (n,) scores of each experiment; those without scores are left out
    :param bounds: of the scores, if they are known
    """
    couples = list(itertools.combinations([(a, s) for a, s in scores if len(s)], 2))
    # All tests come first, because each p value is adjusted for the number of tests.
    p_values = [p_value_of_equal_means(a, b, bounds) for (_, a), (_, b) in couples]
    return tuple(
        _pair(first, second, bounds, p_value, p_adjusted, error_rate)
        for (first, second), p_value, p_adjusted, error_rate in zip(
            couples, p_values, holm(p_values), levels_of_tests(p_values, ERROR_RATE), strict=True
        )
    )


def _pair(
    first: tuple[str, np.ndarray],
    second: tuple[str, np.ndarray],
    bounds: Bounds | None,
    p_value: float | None,
    p_adjusted: float | None,
    error_rate: float,
) -> Pair:
    (label_a, a), (label_b, b) = first, second
    estimate, interval = probability_of_improvement(a, b)
    has_enough = min(len(a), len(b)) >= FEWEST_TO_COMPARE
    is_open = p_adjusted is not None and p_adjusted >= ERROR_RATE
    return Pair(
        label_a,
        label_b,
        (len(a), len(b)),
        float(a.mean() - b.mean()),
        difference_interval(a, b, bounds, 1 - error_rate),
        p_value,
        p_adjusted,
        Estimate(estimate, interval if has_enough else None),
        seeds_needed(a, b, bounds, error_rate=error_rate) if is_open else None,
    )


def verdict(pair: Pair) -> str:
    """Say in a few words what may be claimed about a pair."""
    if pair.seeds_needed is None or pair.is_decided:
        return pair.verdict
    return f"{pair.verdict} (~{format_seeds(pair.seeds_needed)} seeds)"


def format_seeds(seeds: int) -> str:
    """Return a number of needed seeds as text."""
    return f"{seeds:,}" if seeds < MOST_SEEDS else f"more than {MOST_SEEDS:,}"
