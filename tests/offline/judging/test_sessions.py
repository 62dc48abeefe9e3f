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
    told = judge_sessions(long_log, random_policy(), RULE, seed=0)
    exact = exact_model().mean_return(random_policy())
    assert told.logging_ci95[0] < exact < told.logging_ci95[1]
    # It is random: as the target it must come out the same, and surely so.
    assert told.versus_logging == pytest.approx(0.0, abs=0.1)
    assert told.versus_logging_ci95[0] <= 0 <= told.versus_logging_ci95[1]


def test_looking_ahead_is_seen_over_sessions(long_log):
    """The optimum for γ = .95 is found to be better than the rules, and by about the truth."""
    target = with_exploration(optimal_policy(), 0.2)
    told = judge_sessions(long_log, target, RULE, seed=0)
    exact = exact_model().mean_return(target)
    assert told.value == pytest.approx(exact, abs=1.0)
    assert told.versus_logging_ci95[0] > 0
    assert told.ci95[0] < told.value < told.ci95[1]


def test_too_few_sessions_say_nothing(long_log):
    assert judge_sessions(long_log.take(np.arange(200)), random_policy(), RULE, seed=0) is None
