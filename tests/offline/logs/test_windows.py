import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_runner.config.data import DataConfig, parse_duration, parse_moment
from rl_runner.errors import DataError
from rl_runner.offline.logs.interactions import moment
from rl_runner.offline.logs.windows import (
    evaluation_window,
    microseconds,
    split,
    within_budget,
    without_rare_users,
)

DAY = 24 * 3600 * 10**6


def data(**changes) -> DataConfig:
    plain = {"path": "log.parquet", "min_interactions_per_user": 1, **changes}
    return DataConfig.model_validate(plain)


@given(window=st.integers(1, 400), holdout=st.integers(1, 400), until=st.integers(-100, 20 * 24))
def test_training_and_evaluation_never_share_an_interaction(log, window, holdout, until):
    end = moment(int(log.ts[0])).timestamp() + until * 3600
    config = data(
        window=f"{window}h",
        holdout=f"{holdout}h",
        until=moment(int(end * 1e6)).isoformat(),
    )
    try:
        parts = split(log, config)
    except DataError:
        return
    assert parts.holdout is not None
    held = log.take(parts.holdout.mask(log))
    assert not set(parts.train.event) & set(held.event)
    assert parts.train.ts.max() <= parts.window.end == parts.holdout.start
    assert (held.ts > parts.window.end).all()
    judged_by = evaluation_window(log, None, parts.window.end) if len(held) else None
    if judged_by is not None:
        assert not set(parts.train.event) & set(log.take(judged_by.mask(log)).event)


def test_the_last_days_are_held_out_and_those_before_trained_on(log):
    parts = split(log, data(window="7d", holdout="3d"))
    last = int(log.ts[-1])
    assert (parts.window.end, parts.holdout.end) == (last - 3 * DAY, last)
    assert parts.window.start == last - 10 * DAY
    assert len(parts.train) == ((log.ts > last - 10 * DAY) & (log.ts <= last - 3 * DAY)).sum()


def test_without_a_holdout_the_window_reaches_to_the_end(log):
    parts = split(log, data(window="2d", holdout=None))
    assert parts.holdout is None
    assert parts.train.ts[-1] == log.ts[-1]


def test_what_an_earlier_table_has_learned_is_left_out(log):
    middle = int(log.ts[2000])
    parts = split(log, data(window="30d", holdout=None), already_learned=middle)
    assert np.array_equal(parts.train.event, log.event[log.ts > middle])


def test_an_earlier_table_that_knows_it_all_leaves_nothing(log):
    with pytest.raises(DataError, match="has already learned until"):
        split(log, data(), already_learned=int(log.ts[-1]))


def test_an_empty_window_is_refused_with_the_logs_own_times(log):
    with pytest.raises(DataError) as caught:
        split(log, data(until="2030-01-01T00:00:00Z"))
    (problem,) = caught.value.problems
    assert "is empty" in problem.what
    assert "The log reaches from 2025-06-16T" in problem.cure


def test_rare_users_are_dropped_whole_and_counted(log):
    kept, left_out = without_rare_users(log, 10)
    counts = np.bincount(log.user)
    rare = np.flatnonzero((counts > 0) & (counts < 10))
    assert not set(kept.user) & set(rare)
    assert np.bincount(kept.user)[np.unique(kept.user)].min() >= 10
    assert left_out.users == len(rare) > 0
    assert left_out.interactions == len(log) - len(kept)
    assert left_out.users_share == pytest.approx(len(rare) / (counts > 0).sum())


def test_when_all_users_are_rare_nothing_is_learned(log):
    with pytest.raises(DataError) as caught:
        without_rare_users(log, 10**6)
    (problem,) = caught.value.problems
    assert "has 1000000 interactions" in problem.what
    assert f"The busiest has {np.bincount(log.user).max()}" in problem.cure


def test_a_budget_keeps_the_newest_and_says_so(log):
    whole = split(log, data(window="30d", holdout=None))
    capped = within_budget(whole, 10)
    assert np.array_equal(capped.train.event, log.event[-10:])
    assert capped.beyond_budget == len(log) - 10
    plenty = within_budget(whole, 10**9)
    assert plenty.train is whole.train
    assert plenty.beyond_budget == 0


def test_an_evaluation_window_holds_nothing_that_was_learned(log):
    learned = int(log.ts[3000])
    window = evaluation_window(log, "30d", learned)
    assert log.ts[window.mask(log)].min() > learned
    with pytest.raises(DataError, match="Nothing to judge by"):
        evaluation_window(log, "3d", int(log.ts[-1]))


@pytest.mark.parametrize(
    ("text", "hours"), [("7d", 168), ("12h", 12), ("90m", 1.5), ("2w", 336), ("1.5d", 36)]
)
def test_spans_of_time_are_read(text, hours):
    assert parse_duration(text).total_seconds() == hours * 3600


@pytest.mark.parametrize("text", ["7", "d", "0d", "-3d", "seven days", "1e9w", "7D"])
def test_what_is_no_span_is_refused(text):
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


def test_moments_need_a_zone():
    assert microseconds(parse_moment("1970-01-01T01:00:00+01:00")) == 0
    with pytest.raises(ValueError, match="no time zone"):
        parse_moment("2025-01-01T00:00:00")
    with pytest.raises(ValueError, match="is not a time"):
        parse_moment("tomorrow")
