import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rl_runner.evaluation.statistics.means import mean_interval
from rl_runner.evaluation.statistics.summary import Estimate, Summary, aggregate, summarize

NUMBERS = st.floats(min_value=-1e6, max_value=1e6)


@given(st.lists(NUMBERS, min_size=2, max_size=30))
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


def test_two_runs_have_students_interval():
    expected = stats.ttest_1samp([1.0, 4.0], 0.0).confidence_interval(0.95)
    assert summarize([1.0, 4.0]).ci95 == pytest.approx(tuple(expected))


def test_a_known_interval():
    summary = summarize([1.0, 2.0, 3.0, 4.0, 5.0])
    assert summary.mean == 3.0
    assert summary.ci95 == pytest.approx((1.0367568, 4.9632432), abs=1e-6)


def test_equal_runs_have_an_interval_of_no_width():
    assert summarize([0.1] * 3).ci95 == pytest.approx((0.1, 0.1))


def test_one_run_has_a_mean_and_no_interval():
    assert summarize([7.5]) == Summary(7.5, None, 1)


def test_a_summary_holds_plain_numbers():
    summary = summarize(np.array([1.0, 2.0]).tolist())
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
