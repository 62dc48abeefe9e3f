import dataclasses

import numpy as np
import pytest

from rl_runner.envs.recommender.exact import exact_model
from rl_runner.envs.recommender.policies import (
    optimal_policy,
    random_policy,
    rule_based_policy,
    with_exploration,
)
from rl_runner.offline.judging.sessions import judge_sessions
from rl_runner.offline.learning.reward_features import N_FEATURES, features, policy_features
from rl_runner.offline.logs.interactions import Interactions, read_interactions
from rl_runner.offline.logs.log_files import LogReader, write_log
from rl_runner.offline.logs.simulation import LogPlan, simulate_log

RULE = with_exploration(rule_based_policy(), 0.0)


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Interactions:
    path = tmp_path_factory.mktemp("logs") / "log.parquet"
    write_log(simulate_log(random_policy(), LogPlan(40_000, seed=21)), path)
    return read_interactions([path], LogReader())


def test_a_policys_features_are_the_mean_of_its_actions():
    states = np.array([0, 12_345, 262_499])
    policy = with_exploration(rule_based_policy(), 0.4)
    expected = np.zeros((3, N_FEATURES))
    for action in range(27):
        expected += policy[states, action][:, None] * features(states, np.full(3, action))
    assert np.allclose(policy_features(states, policy), expected)


def test_the_logging_policy_is_worth_what_its_sessions_earned(long_log):
    judgement = judge_sessions(long_log, random_policy(), RULE, seed=0)
    exact = exact_model().mean_return(random_policy())
    assert judgement.logging_ci95[0] < exact < judgement.logging_ci95[1]
    # It is random: as the target it must come out the same, and surely so.
    assert judgement.versus_logging == pytest.approx(0.0, abs=0.1)
    assert judgement.versus_logging_ci95[0] <= 0 <= judgement.versus_logging_ci95[1]


def test_looking_ahead_is_seen_over_sessions(long_log):
    """The optimum for γ = .95 is found to be better than the rules, and by about the truth."""
    target = with_exploration(optimal_policy(), 0.2)
    judgement = judge_sessions(long_log, target, RULE, seed=0)
    exact = exact_model().mean_return(target)
    assert judgement.value == pytest.approx(exact, abs=1.0)
    assert judgement.versus_logging_ci95[0] > 0
    assert judgement.ci95[0] < judgement.value < judgement.ci95[1]


def test_too_few_sessions_say_nothing(long_log):
    message = judge_sessions(long_log.take(np.arange(200)), random_policy(), RULE, seed=0)
    assert "sessions begin in the log (`step` 0); 300 are needed" in message


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5])
def test_sessions_that_do_not_end_in_the_log_say_nothing(long_log, share):
    """With γ = 1 a sum without an end was estimated as 69,945; the truth is 10.7."""
    chosen = np.random.default_rng(0).random(len(long_log)) < share
    endless = dataclasses.replace(long_log, terminal=long_log.terminal & chosen)
    message = judge_sessions(endless, random_policy(), RULE, seed=0)
    assert "sessions end in the log (`terminal`)" in message


def test_an_estimate_outside_what_rewards_can_sum_to_is_refused(long_log):
    message = judge_sessions(long_log, random_policy(), RULE, seed=0, reward_bounds=(-0.01, 0.01))
    assert "outside what" in message
    assert "can sum to" in message
