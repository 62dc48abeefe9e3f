import numpy as np
import polars as pl
import pytest

from rl_runner.envs.recommender.exact import exact_model
from rl_runner.envs.recommender.policies import random_policy, rule_based_policy, with_exploration
from rl_runner.errors import ConfigError
from rl_runner.offline.judging.named_policies import named_policy
from rl_runner.offline.logs.interactions import read_interactions
from rl_runner.offline.logs.log_files import LogReader, write_log
from rl_runner.offline.logs.log_schema import COLUMNS
from rl_runner.offline.logs.simulation import LogPlan, simulate_log


def test_the_same_seed_is_the_same_log(frame):
    assert simulate_log(random_policy(), LogPlan(4000, seed=1)).equals(frame)
    assert not simulate_log(random_policy(), LogPlan(4000, seed=2)).equals(frame)


def test_a_log_has_the_schema_and_the_order_of_time(frame):
    assert frame.schema == pl.Schema(COLUMNS)
    assert frame["ts"].is_sorted()
    assert frame["event_id"].n_unique() == len(frame) == 4000


def test_a_log_covers_all_of_its_days_whatever_its_size():
    for n in (2500, 4000):
        days = simulate_log(random_policy(), LogPlan(n, seed=3, days=10))["ts"].dt.date()
        assert days.n_unique() == 10


def test_two_logs_are_about_other_people_and_can_be_read_together(frame, tmp_path):
    write_log(frame, tmp_path / "one.parquet")
    write_log(simulate_log(random_policy(), LogPlan(500, seed=2)), tmp_path / "two.parquet")
    reader = LogReader()
    both = read_interactions([tmp_path / "one.parquet", tmp_path / "two.parquet"], reader)
    assert reader.refusals.n_refused == 0
    alone = read_interactions([tmp_path / "two.parquet"], LogReader())
    assert both.n_users == frame["user_id"].n_unique() + alone.n_users


def test_people_are_the_same_in_all_their_sessions(frame):
    sessions = frame.group_by("user_id").agg(
        pl.col("openness").n_unique().alias("traits"), pl.col("session_id").n_unique()
    )
    assert sessions["traits"].max() == 1
    assert sessions["session_id"].max() > 1


def test_the_clock_agrees_with_the_time_of_day(frame):
    hours = frame.filter(pl.col("step") == 0).select(
        (pl.col("ts").dt.hour() // 6).alias("quarter"), pl.col("time_of_day").cast(pl.String)
    )
    quarter = {"night": 0, "morning": 1, "afternoon": 2, "evening": 3}
    assert (hours["quarter"] == hours["time_of_day"].replace_strict(quarter)).all()


def test_moods_carry_over_from_step_to_step(frame):
    ordered = frame.sort("user_id", "session_id", "step").with_columns(
        pl.col("mood").shift(-1).over("user_id", "session_id").alias("next")
    )
    linked = ordered.filter(pl.col("next").is_not_null())
    assert (linked["next"] == linked["mood_after"]).all()
    assert (ordered["mood"] == ordered["mood_before"]).all()
    assert not linked["terminal"].any()


def test_propensities_are_those_of_the_policy(tmp_path):
    policy = with_exploration(rule_based_policy(), 0.4)
    write_log(simulate_log(policy, LogPlan(1500, seed=4)), tmp_path / "log.parquet")
    log = read_interactions([tmp_path / "log.parquet"], LogReader())
    assert np.allclose(log.pscore, policy[log.state, log.action])
    agrees = rule_based_policy()[log.state] == log.action
    assert agrees.mean() == pytest.approx(0.6 + 0.4 / 27, abs=0.06)


def test_a_log_earns_what_the_policy_is_worth():
    policy = with_exploration(rule_based_policy(), 0.2)
    frame = simulate_log(policy, LogPlan(60_000, seed=6))
    model = exact_model()
    exact = model.mean_reward(policy, model.occupancy(policy))
    # The reward's likes alone, by user, give the size of the error to expect.
    likes = frame.group_by("user_id").agg(pl.col("like").mean(), pl.len())
    error = 3 * float(likes["like"].std()) / np.sqrt(len(likes))
    assert _mean_reward(frame) == pytest.approx(exact, abs=4 * error)


def _mean_reward(frame: pl.DataFrame) -> float:
    valence = dict(
        zip(
            ("neutral", "happy", "sad", "anxious", "calm", "relaxed", "energetic"),
            (0.0, 1.0, -1.0, -0.8, 0.5, 0.6, 0.7),
            strict=True,
        )
    )
    moods = [
        pl.col(name).cast(pl.String).replace_strict(valence, return_dtype=pl.Float64)
        for name in ("mood_after", "mood_before")
    ]
    reward = (
        pl.col("like").cast(float)
        - pl.col("dislike").cast(float)
        + 0.5 * pl.col("complete")
        - 0.3 * pl.col("skip")
        + 0.8 * pl.col("share")
        + 0.5 * pl.col("completion_rate")
        + 0.25 * (moods[0] - moods[1])
    )
    return float(frame.select(reward.mean()).item())


def test_policies_are_found_by_name():
    target = named_policy("rule_based", 0.27)
    assert target.name == "rule_based+epsilon=0.27"
    assert target.probabilities.min() == pytest.approx(0.01)
    with pytest.raises(ConfigError, match="There is no policy `best`"):
        named_policy("best")
