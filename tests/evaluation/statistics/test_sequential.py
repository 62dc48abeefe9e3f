from collections.abc import Callable

import numpy as np
import pytest

from rl_runner.evaluation.statistics.bounds import Bounds
from rl_runner.evaluation.statistics.sequential import (
    betting_e_value,
    critical_quantile,
    e_value,
    look_at,
)

Differences = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
LOOKS = range(5, 31, 5)
N_SIMULATED = 6000  # the standard error of a rate of .05 is then .003


def _between(draw: Differences) -> Differences:
    """Return differences of two experiments whose returns have the same distribution."""
    return lambda rng, shape: draw(rng, shape) - draw(rng, shape)


EQUAL: dict[str, Differences] = {
    "normal": _between(lambda rng, shape: rng.normal(0, 1, shape)),
    "log-normal": _between(lambda rng, shape: rng.lognormal(0, 1, shape)),
    "ceiling": _between(lambda rng, shape: np.minimum(500, rng.normal(500, 60, shape))),
    "some fail": _between(lambda rng, shape: np.where(rng.random(shape) < 0.8, 500.0, 10.0)),
    "unequal spreads": lambda rng, shape: rng.normal(0, 1, shape) - rng.normal(0, 9, shape),
    "only one is skewed": lambda rng, shape: (
        rng.lognormal(0, 0.5, shape) - np.exp(0.125) - rng.normal(0, 0.2, shape)
    ),
    "only one is very skewed": lambda rng, shape: (
        rng.exponential(1, shape) - 1 - rng.normal(0, 0.2, shape)
    ),
}


def _rate_of_decisions(draw: Differences, error_rate: float) -> float:
    """Return how often a difference is called decided at any of six looks."""
    rng = np.random.default_rng(0)
    samples = draw(rng, (N_SIMULATED, max(LOOKS)))
    wagers = [e_value(samples[:, :n].T) for n in LOOKS]
    return float((np.max(wagers, axis=0) > 1 / error_rate).mean())


@pytest.mark.parametrize("name", EQUAL)
def test_equal_means_are_called_different_no_more_often_than_stated(name: str):
    assert _rate_of_decisions(EQUAL[name], 0.05) <= 0.05


def test_the_error_rate_can_be_chosen():
    rates = [_rate_of_decisions(EQUAL["normal"], rate) for rate in (0.2, 0.01)]
    assert 0.02 < rates[0] <= 0.2
    assert rates[1] <= 0.01


def test_a_real_difference_is_found_and_a_large_one_soon():
    rng = np.random.default_rng(0)
    decided_at = {}
    for effect in (1.5, 4.0):
        samples = rng.normal(effect, 1, (150, 30)) - rng.normal(0, 1, (150, 30))
        decided_at[effect] = [
            next((n for n in LOOKS if look_at(sample[:n], 0.05).is_decided), np.inf)
            for sample in samples
        ]
    assert np.mean(np.isfinite(decided_at[1.5])) > 0.95
    assert np.median(decided_at[1.5]) <= 15
    assert np.median(decided_at[4.0]) <= 10


@pytest.mark.parametrize("error_rate", [0.2, 0.05, 0.001])
def test_the_interval_leaves_out_zero_exactly_when_the_e_value_is_large_enough(error_rate: float):
    rng = np.random.default_rng(1)
    outcomes = set()
    for _ in range(200):
        differences = rng.gamma(2, 1, rng.integers(5, 25)) - rng.uniform(0, 3)
        look = look_at(differences, error_rate)
        assert look.e_value is not None
        assert look.is_decided == (look.e_value > 1 / error_rate)
        outcomes.add(look.is_decided)
    assert outcomes == {True, False}


def test_the_interval_holds_the_truth_at_all_looks_together():
    rng = np.random.default_rng(2)
    missed = 0
    for sample in rng.normal(3, 2, (400, 30)):
        looks = [look_at(sample[:n], 0.05).interval for n in LOOKS]
        missed += any(not low <= 3 <= high for low, high in filter(None, looks))
    assert missed / 400 <= 0.05


def test_fewer_than_five_pairs_decide_nothing():
    look = look_at(np.array([100.0, 101.0, 99.0, 100.0]), 0.05)
    assert (look.is_decided, look.e_value, look.interval) == (False, None, None)


def test_five_pairs_can_decide_at_5_percent_but_not_at_a_thousandth():
    differences = np.array([100.0, 100.1, 99.9, 100.0, 100.05])
    assert look_at(differences, 0.05).is_decided
    assert critical_quantile(5, 0.001) is None
    assert not look_at(differences, 0.001).is_decided


@pytest.mark.parametrize("value", [0.0, 0.3, -0.3, 1.1e-16])
def test_pairs_that_all_differ_alike_have_no_spread_to_be_judged_by(value: float):
    look = look_at(np.full(6, value), 0.05)
    assert not look.is_decided
    assert (look.e_value, look.interval) == (1.0, None)


BOUNDS = Bounds(1.0, 500.0, "test")
BOUNDED: dict[str, Differences] = {
    "rare failures": lambda rng, shape: (
        np.where(rng.random(shape) < 0.95, 500.0, 10.0) - rng.normal(475.5, 5, shape)
    ),
    "a fifth fail": lambda rng, shape: (
        np.where(rng.random(shape) < 0.8, 500.0, 10.0) - rng.normal(402, 20, shape)
    ),
    "both half at the ceiling": _between(
        lambda rng, shape: np.clip(rng.normal(500, 60, shape), 1, 500)
    ),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_with_bounds_equal_means_are_called_different_no_more_often_than_stated(name: str):
    rng = np.random.default_rng(0)
    samples = BOUNDED[name](rng, (30, N_SIMULATED))
    capital = [betting_e_value(samples[:n], BOUNDS.width) for n in range(5, 31)]
    assert (np.max(capital, axis=0) > 20).mean() <= 0.05


def test_the_betting_interval_leaves_out_zero_exactly_when_the_e_value_is_large_enough():
    rng = np.random.default_rng(1)
    outcomes = set()
    for mean in rng.uniform(0, 400, 60):
        differences = np.clip(rng.normal(mean, 60, 12), -499, 499)
        look = look_at(differences, 0.05, BOUNDS)
        assert look.interval is not None
        low, high = look.interval
        assert -499 <= low <= look.difference <= high <= 499
        assert look.is_decided == (not low <= 0 <= high)
        outcomes.add(look.is_decided)
    assert outcomes == {True, False}


def test_with_bounds_equal_differences_are_evidence():
    assert look_at(np.full(10, 400.0), 0.05, BOUNDS).is_decided
    assert not look_at(np.zeros(30), 0.05, BOUNDS).is_decided
