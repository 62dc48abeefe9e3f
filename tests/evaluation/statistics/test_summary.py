import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rl_runner.evaluation.statistics.bounds import Bounds, OutOfBoundsError
from rl_runner.evaluation.statistics.means import mean_interval
from rl_runner.evaluation.statistics.summary import Estimate, Summary, aggregate, summarize

CARTPOLE = Bounds(1.0, 500.0, "environment")
NUMBERS = st.floats(min_value=-1e6, max_value=1e6)


@given(st.lists(NUMBERS, min_size=5, max_size=30).filter(lambda numbers: np.ptp(numbers) > 0))
def test_the_interval_is_that_of_the_mean_over_runs(run_means: list[float]):
    summary = summarize(run_means)
    assert summary.n == len(run_means)
    assert summary.mean == pytest.approx(np.mean(run_means), rel=1e-9, abs=1e-6)
    expected = tuple(map(float, mean_interval(np.array(run_means))))
    assert summary.ci95 == expected
    aggregates = aggregate(run_means)
    assert aggregates.mean == Estimate(summary.mean, expected)
    assert aggregates.median.value == pytest.approx(np.median(run_means))
    assert aggregates.interquartile_mean.value == pytest.approx(
        stats.trim_mean(run_means, 0.25), abs=1e-6
    )


def test_fewer_than_five_runs_have_an_interval_only_if_their_bounds_are_known():
    assert summarize([1.0, 4.0]).ci95 is None
    low, high = summarize([1.0, 4.0], Bounds(0.0, 5.0, "test")).ci95 or (np.nan, np.nan)
    assert 0 < low < 1
    assert 4 < high < 5


@given(st.lists(st.floats(min_value=1, max_value=500), min_size=2, max_size=30))
def test_with_bounds_no_interval_leaves_them(run_means: list[float]):
    found = aggregate(run_means, CARTPOLE)
    for estimate in (found.mean, found.interquartile_mean, found.median):
        if estimate.ci95 is not None:
            low, high = estimate.ci95
            assert 1 <= low <= estimate.value + 1e-9
            assert estimate.value - 1e-9 <= high <= 500


def test_many_values_are_not_trusted_to_show_every_failure():
    values = np.minimum(500.0, np.random.default_rng(0).normal(300, 150, 200).clip(1))
    low, high = summarize(values.tolist(), CARTPOLE).ci95 or (np.nan, np.nan)
    free = summarize(values.tolist()).ci95 or (np.nan, np.nan)
    assert low < free[0]
    assert high > free[1]
    assert high - low < 1.2 * (free[1] - free[0])  # and yet hardly wider
    low, high = summarize([495.0] * 199 + [494.0], CARTPOLE).ci95 or (np.nan, np.nan)
    assert low < 488  # where 1 % of the runs may fail completely
    low, high = summarize([500.0] * 200, CARTPOLE).ci95 or (np.nan, np.nan)
    assert 490 < low < high == 500


def test_a_return_outside_its_bounds_is_an_error_that_names_both():
    with pytest.raises(OutOfBoundsError, match=r"501 .* transition table .* 1 and 500") as caught:
        summarize([400.0, 501.0], Bounds(1.0, 500.0, "transition table"))
    assert "env.return_bounds" in str(caught.value)
    assert summarize([400.0, 500.0001], CARTPOLE).mean == 450.0


def test_a_known_interval():
    summary = summarize([1.0, 2.0, 3.0, 4.0, 5.0])
    assert summary.mean == 3.0
    assert summary.ci95 == pytest.approx((1.0367568, 4.9632432), abs=1e-6)


def test_equal_runs_have_an_honest_interval_with_bounds_and_none_without():
    assert summarize([0.1] * 5).ci95 is None
    assert summarize([500.0] * 5, CARTPOLE).ci95 == pytest.approx((239.61, 500.0), abs=0.01)


def test_one_run_has_a_mean_and_no_interval():
    assert summarize([7.5]) == Summary(7.5, None, 1)


def test_a_summary_holds_plain_numbers():
    summary = summarize(np.array([1.0, 2.0]).tolist(), CARTPOLE)
    assert summary.ci95 is not None
    assert [type(value) for value in (summary.mean, *summary.ci95)] == [float] * 3


@pytest.mark.parametrize(
    "run_means", [[], [math.nan], [1.0, math.nan], [1.0, math.inf], [-math.inf]]
)
def test_no_runs_and_numbers_that_are_not_finite_are_refused(run_means: list[float]):
    with pytest.raises(ValueError, match="at least one run and finite numbers"):
        summarize(run_means)


def test_the_mean_of_one_run_is_an_estimate_without_an_interval():
    assert aggregate([7.0]).mean == Estimate(7.0, None)
