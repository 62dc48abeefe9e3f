import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rl_runner.evaluation.statistics.bounds import Bounds
from rl_runner.evaluation.statistics.dirichlet_means import (
    bounded_difference_interval,
    bounded_difference_p_value,
    bounded_mean_interval,
    exceedance,
    tabulated,
)

UNIT = Bounds(0.0, 1.0, "test")
RETURNS = {
    "most at the ceiling": lambda rng, shape: np.where(rng.random(shape) < 0.8, 1.0, 0.02),
    "half at the ceiling": lambda rng, shape: np.minimum(1.0, rng.normal(1.0, 0.12, shape)),
    "bimodal": lambda rng, shape: np.where(rng.random(shape) < 0.6, 0.9, 0.2),
    "few rewards": lambda rng, shape: np.minimum(1.0, rng.exponential(0.1, shape)),
}
RUNS = st.lists(st.floats(min_value=0, max_value=1), min_size=5, max_size=12).map(np.array)


@pytest.mark.parametrize("n", [1, 4, 30])
def test_the_exceedance_is_that_of_random_weights(n: int):
    rng = np.random.default_rng(n)
    values = np.sort(np.round(rng.random(n + 1), 1))  # with ties
    drawn = rng.dirichlet(np.ones(n + 1), 100_000) @ values
    for t in np.quantile(drawn, [0.01, 0.3, 0.9]):
        assert exceedance(values, t) == pytest.approx((drawn > t).mean(), abs=0.008)


def test_one_value_among_equal_ones_has_a_beta_distributed_weight():
    for n in (5, 100, 1000):
        values = np.array([0.0] + [1.0] * n)
        share = stats.beta(1, n).ppf(0.975)
        assert exceedance(values, np.array(1 - share)) == pytest.approx(0.975)


@pytest.mark.parametrize("bound", [0.0, 1.0])
@pytest.mark.parametrize("name", RETURNS)
def test_the_approximation_for_many_values_is_close(name: str, bound: float):
    values = np.sort(np.append(RETURNS[name](np.random.default_rng(3), 150), bound))
    points, chances = tabulated(values)
    assert (np.diff(points) >= 0).all()
    assert (np.diff(chances) <= 0).all()
    for tail in (0.001, 0.025, 0.5, 0.975, 0.999):
        t = np.interp(tail, chances[::-1], points[::-1])
        assert exceedance(values, t) == pytest.approx(tail, rel=0.05)


def test_nothing_jumps_where_the_approximation_begins():
    p_values = []
    for n in (99, 100, 101):
        a = np.ones(n)
        b = np.minimum(1.0, 0.99 + 0.01 * np.sin(np.arange(n)))
        p_values.append(bounded_difference_p_value(a, b, UNIT))
    assert p_values == pytest.approx([p_values[0]] * 3, rel=0.05)


def test_many_equal_results_at_a_bound_are_compared_without_delay():
    ends = bounded_difference_interval(np.zeros(5000), np.append(np.zeros(4999), 0.1), UNIT)
    assert -0.002 < ends[0] < 0 < ends[1] < 0.002
    assert bounded_difference_p_value(np.zeros(5000), np.ones(5000), UNIT) < 1e-6


def test_rare_failures_make_no_difference_of_many_runs():
    """With equal means, one of the two fails completely in 1 % of its runs."""
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(40):
        a = np.where(rng.random(100) < 0.99, 1.0, 0.02)
        b = rng.normal(0.9902, 0.002, 100)
        found += bounded_difference_p_value(a, b, UNIT) < 0.05
    assert found <= 4


@pytest.mark.parametrize("n", [200, 400])
def test_the_interval_of_many_values_holds_its_level(n: int):
    name = "most at the ceiling"
    rng = np.random.default_rng(n)
    truth = RETURNS[name](rng, 500_000).mean()
    low, high = bounded_mean_interval(RETURNS[name](rng, (n, 400)), UNIT)
    assert np.mean((low <= truth) & (truth <= high)) >= 0.93


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("name", RETURNS)
def test_the_means_interval_holds_its_level(name: str, n: int):
    rng = np.random.default_rng(n)
    truth = RETURNS[name](rng, 500_000).mean()
    low, high = bounded_mean_interval(RETURNS[name](rng, (n, 2000)), UNIT)
    assert np.mean((low <= truth) & (truth <= high)) >= 0.96


@pytest.mark.parametrize("name", RETURNS)
def test_equal_means_are_called_different_no_more_often_than_stated(name: str):
    rng = np.random.default_rng(5)
    a, b = RETURNS[name](rng, (300, 5)), RETURNS[name](rng, (300, 5))
    p_values = [bounded_difference_p_value(*pair, UNIT) for pair in zip(a, b, strict=True)]
    assert np.mean(np.array(p_values) < 0.05) <= 0.05


@given(RUNS, RUNS, st.sampled_from([0.9, 0.95, 0.99]))
def test_the_p_value_is_that_of_the_interval(a: np.ndarray, b: np.ndarray, level: float):
    low, high = bounded_difference_interval(a, b, UNIT, level)
    assert -1 <= low <= high <= 1
    p_value = bounded_difference_p_value(a, b, UNIT)
    if abs(p_value - (1 - level)) > 1e-3:
        assert (low <= 0 <= high) == (p_value > 1 - level)
    mirrored = bounded_difference_interval(b, a, UNIT, level)
    assert mirrored == pytest.approx((-high, -low), abs=1e-3)


def test_a_difference_of_nearly_the_whole_range_is_shown_by_five_runs():
    assert bounded_difference_p_value(np.full(5, 0.95), np.full(5, 0.1), UNIT) < 0.05
    assert bounded_difference_p_value(np.full(5, 0.6), np.full(5, 0.5), UNIT) > 0.5
