from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rl_runner.evaluation.statistics.differences import (
    difference_interval,
    holm,
    levels_of_tests,
    seeds_needed,
    welch,
)
from rl_runner.evaluation.statistics.means import mean_interval
from rl_runner.evaluation.statistics.ranks import (
    interquartile_mean,
    interquartile_mean_interval,
    median_interval,
    probability_of_improvement,
    share_interval,
)

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

RETURNS: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(200, 60, shape),
    "log-normal": lambda rng, shape: rng.lognormal(0, 0.5, shape),
    "exponential": lambda rng, shape: rng.exponential(1, shape),
    "ceiling": lambda rng, shape: np.minimum(500, rng.normal(470, 60, shape)),
    "half at the ceiling": lambda rng, shape: np.minimum(500, rng.normal(500, 60, shape)),
}
N_SIMULATED = 6000  # the standard error of a coverage of .95 is then .003
NUMBERS = st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=3, max_size=20)

by_returns = pytest.mark.parametrize("name", RETURNS)
by_n = pytest.mark.parametrize("n", [5, 10])


def _samples(name: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return many samples, (n, N_SIMULATED), and a large one to read the truth from."""
    rng = np.random.default_rng(n)
    return RETURNS[name](rng, (n, N_SIMULATED)), RETURNS[name](rng, (500_000,))


def _coverage(truth: float, low: np.ndarray, high: np.ndarray) -> float:
    return float(((low <= truth) & (truth <= high)).mean())


@by_n
@by_returns
def test_the_means_interval_holds_its_level(name: str, n: int):
    samples, population = _samples(name, n)
    samples = samples[:, np.ptp(samples, axis=0) > 0]  # equal runs say nothing of their spread
    assert 0.92 <= _coverage(population.mean(), *mean_interval(samples)) <= 0.98


@by_n
@by_returns
def test_the_medians_interval_holds_its_level(name: str, n: int):
    samples, population = _samples(name, n)
    ends = np.array([median_interval(sample) for sample in samples.T[:1500]])
    assert _coverage(float(np.median(population)), *ends.T) >= 0.92


@by_n
@by_returns
def test_the_interquartile_means_interval_holds_its_level(name: str, n: int):
    samples, population = _samples(name, n)
    interval = interquartile_mean_interval(samples)
    assert interval is not None
    assert 0.915 <= _coverage(float(interquartile_mean(population)), *interval) <= 0.985


@by_n
@by_returns
def test_the_interval_of_a_difference_holds_its_level(name: str, n: int):
    samples, _ = _samples(name, 2 * n)
    pairs = zip(samples[:n].T[:1000], samples[n:].T, strict=False)
    intervals = [difference_interval(a, b, None) for a, b in pairs]
    covered = [ends[0] <= 0 <= ends[1] for ends in intervals if ends is not None]
    assert 0.92 <= np.mean(covered) <= 0.99


@by_n
def test_the_interval_of_the_probability_of_improvement_holds_its_level(n: int):
    rng = np.random.default_rng(n)
    a, b = rng.normal(1, 1, (800, n)), rng.normal(0, 2, (800, n))
    truth = stats.norm.cdf(1 / np.sqrt(5))
    pairs = [probability_of_improvement(*pair)[1] for pair in zip(a, b, strict=True)]
    assert np.mean([low <= truth <= high for low, high in pairs]) >= 0.94


@given(NUMBERS, st.floats(min_value=0.1, max_value=100), st.floats(min_value=-100, max_value=100))
def test_the_means_interval_scales_and_shifts_with_the_values(numbers, factor, shift):
    values = np.array(numbers)
    low, high = mean_interval(values)
    assert low <= high
    size = 1e-6 * factor * (np.abs(values).max() + 1)
    if np.ptp(values) > 1e-6 * np.abs(values).max():
        moved = mean_interval(factor * values + shift)
        assert moved == pytest.approx(
            (factor * low + shift, factor * high + shift), abs=size + 1e-4
        )
        mirrored = mean_interval(-values)
        assert mirrored == pytest.approx((-high, -low), abs=size)


def test_without_skewness_the_means_interval_is_students():
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert mean_interval(values) == pytest.approx(tuple(expected))


def test_skewness_moves_the_interval_to_the_long_tails_side():
    values = np.array([0.0, 0.1, 0.2, 0.3, 5.0])
    low, high = mean_interval(values)
    student = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert low > student.low
    assert high > student.high


def test_equal_values_have_an_interval_of_no_width():
    assert mean_interval(np.full(4, 0.1)) == pytest.approx((0.1, 0.1))


def test_intervals_of_many_columns_are_those_of_each():
    values = np.random.default_rng(0).exponential(1, (7, 3))
    for interval in (mean_interval, interquartile_mean_interval):
        together = interval(values)
        assert together is not None
        for column in range(3):
            alone = interval(values[:, column])
            assert alone is not None
            np.testing.assert_allclose([end[column] for end in together], alone)


def test_five_values_span_their_median_and_fewer_have_no_rank_interval():
    assert median_interval(np.array([3.0, 1.0, 9.0, 4.0, 5.0])) == (1.0, 9.0)
    assert median_interval(np.arange(4.0)) is None
    assert interquartile_mean_interval(np.arange(4.0)) is None


@pytest.mark.parametrize("n", range(6, 31))
def test_the_medians_interval_lies_between_the_order_statistics_that_enclose_the_level(n: int):
    low, high = median_interval(np.arange(n, dtype=float)) or (0.0, 0.0)
    covered = [1 - 2 * stats.binom.cdf(d - 1, n, 0.5) for d in range(1, n // 2 + 1)]
    d = sum(level >= 0.95 for level in covered)
    assert d - 1 <= low < d
    assert low + high == pytest.approx(n - 1)


@given(st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=5, max_size=30))
def test_the_interquartile_mean_is_scipys_and_its_interval_stays_among_the_values(numbers):
    values = np.array(numbers)
    expected = stats.trim_mean(values, 0.25)
    assert float(interquartile_mean(values)) == pytest.approx(expected, abs=1e-6)
    low, high = interquartile_mean_interval(values) or (np.nan, np.nan)
    assert values.min() - 1e-6 <= low <= high <= values.max() + 1e-6


def test_welch_is_scipys():
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, 6), rng.normal(0, 3, 9)
    expected = stats.ttest_ind(a, b, equal_var=False)
    test = welch(a, b)
    assert test is not None
    assert test.p_value == pytest.approx(expected.pvalue)
    assert test.interval(0.95) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert test.difference == pytest.approx(a.mean() - b.mean())


def test_p_values_are_adjusted_by_holms_method():
    adjusted = holm([0.01, None, 0.04, 0.03, 0.005])
    assert adjusted == [pytest.approx(0.03), None, 0.06, 0.06, pytest.approx(0.02)]
    assert holm([0.7, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(
    ("a", "b"), [([1.0], [1.0, 2.0]), ([1.0, 1.0], [2.0, 2.0]), ([0.1] * 3, [0.1] * 3)]
)
def test_without_spread_or_with_a_single_run_there_is_no_test(a: list[float], b: list[float]):
    assert welch(np.array(a), np.array(b)) is None


def test_the_probability_of_improvement_is_mann_and_whitneys():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 6, 8).astype(float), rng.integers(0, 6, 7).astype(float)
    estimate, _ = probability_of_improvement(a, b)
    assert estimate == pytest.approx(stats.mannwhitneyu(a, b).statistic / 56)


def test_complete_separation_at_five_seeds_is_not_certainty():
    a, b = np.arange(5) + 10.0, np.arange(5.0)
    estimate, (low, high) = probability_of_improvement(a, b)
    assert (estimate, high) == (1.0, 1.0)
    assert low == pytest.approx(0.566, abs=0.001)
    reverse, (reverse_low, reverse_high) = probability_of_improvement(b, a)
    assert (reverse, reverse_low) == (0.0, 0.0)
    assert reverse_high == pytest.approx(1 - low)


def test_the_share_interval_is_scipys_wilson():
    low, high = share_interval(np.array([0.0, 0.4, 1.0]), 5)
    expected = [stats.binomtest(k, 5).proportion_ci(method="wilson") for k in (0, 2, 5)]
    np.testing.assert_allclose(low, [e.low for e in expected], atol=1e-9)
    np.testing.assert_allclose(high, [e.high for e in expected], atol=1e-9)


def test_so_many_seeds_give_the_promised_power():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 2000), rng.normal(1, 1, 2000)
    n = seeds_needed(a, b, None, error_rate=0.05)
    assert n is not None
    assert 16 <= n <= 20  # 17 by every textbook's table for one standard deviation
    x, y = rng.normal(0, 1, (2000, n)), rng.normal(1, 1, (2000, n))
    p_values = stats.ttest_ind(x, y, axis=1, equal_var=False).pvalue
    assert 0.76 <= (p_values < 0.05).mean() <= 0.88


def test_no_number_of_seeds_shows_a_difference_that_is_not_there():
    assert seeds_needed(np.array([1.0, 2.0]), np.array([2.0, 1.0]), None, error_rate=0.05) is None
    assert seeds_needed(np.ones(3), np.zeros(3), None, error_rate=0.05) is None


def test_intervals_have_the_level_at_which_holms_method_tests():
    rng = np.random.default_rng(0)
    for _ in range(50):
        p_values = [None, *rng.beta(0.3, 3, 5)]
        adjusted, levels = holm(p_values), levels_of_tests(p_values, 0.05)
        for p, p_adjusted, level in zip(p_values, adjusted, levels, strict=True):
            assert 0.05 / 5 <= level <= 0.05
            if p is not None and p_adjusted is not None:
                assert (p < level) == (p_adjusted < 0.05)
