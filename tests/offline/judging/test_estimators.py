import dataclasses

import numpy as np
import polars as pl
import pytest

from rl_runner.envs.recommender.domain import N_ACTIONS, state_index, state_parts
from rl_runner.envs.recommender.exact import exact_model
from rl_runner.envs.recommender.kernel import OPENNESS, People
from rl_runner.envs.recommender.people import default_population
from rl_runner.envs.recommender.policies import (
    optimal_policy,
    random_policy,
    rule_based_policy,
    with_exploration,
)
from rl_runner.envs.recommender.rewards import rewards
from rl_runner.offline.judging.estimators import ESTIMATORS, RIDGE, CrossFit, Terms, effective_size
from rl_runner.offline.judging.judgement import ENOUGH, judge
from rl_runner.offline.judging.user_bootstrap import interval, resampled_totals, sums_by_user
from rl_runner.offline.learning.reward_features import features, policy_features
from rl_runner.offline.learning.reward_regression import CellSums, RewardModel, RewardRegression
from rl_runner.offline.learning.training import checklist
from rl_runner.offline.logs.interactions import Interactions

PER_USER = 5
REPLICATES = 240


def bandit_log(n_users: int, policy: np.ndarray, seed: int) -> Interactions:
    """People to whom a policy recommends five times each, every time in a new session."""
    rng = np.random.default_rng(seed)
    people = People(default_population())
    traits, tastes = people.draw_people(n_users, rng)
    user = np.repeat(np.arange(n_users), PER_USER)
    states = people.begin_sessions(traits[user], rng)
    index = state_index(states)
    cdf = np.cumsum(policy[index], axis=1)
    action = (rng.random(len(user))[:, None] >= cdf[:, :-1]).sum(axis=1)
    outcome = people.respond(states, tastes[user], action, rng)
    n = len(user)
    return Interactions(
        event=np.arange(n, dtype=np.uint64),
        ts=np.arange(n, dtype=np.int64),
        user=user.astype(np.int32),
        session=np.arange(n, dtype=np.int32),
        step=np.zeros(n, dtype=np.int32),
        state=index.astype(np.int32),
        action=action.astype(np.int16),
        pscore=policy[index, action],
        reward=rewards(outcome.terms(), outcome.mood_before, outcome.mood_after),
        terminal=np.ones(n, dtype=bool),
        outcomes=np.stack(
            [getattr(outcome, k) for k in ("like", "dislike", "complete", "skip", "share")], axis=1
        ),
        completion_rate=outcome.completion_rate.astype(np.float32),
        session_key=pl.Series([f"s{i}" for i in range(n)]),
    )


def truth(policy: np.ndarray) -> float:
    """The exact reward of one recommendation where sessions begin."""
    model = exact_model()
    return model.mean_reward(policy, model.initial)


LOGGING = with_exploration(rule_based_policy(), 0.7)
TARGET = with_exploration(optimal_policy(), 0.5)
RULE = with_exploration(rule_based_policy(), 0.0)


@dataclasses.dataclass
class Replicates:
    estimates: dict[str, np.ndarray]
    covered: dict[str, np.ndarray]  # by the kind of number and the estimator


@pytest.fixture(scope="module")
def replicates() -> Replicates:
    """Many small logs, judged: estimates, and whether their intervals hold the truth."""
    exact = {
        "value": truth(TARGET),
        "versus logging": truth(TARGET) - truth(LOGGING),
        "versus rules": truth(TARGET) - truth(RULE),
    }
    estimates = {name: np.empty(REPLICATES) for name in ESTIMATORS}
    covered = {
        f"{kind} {name}": np.empty(REPLICATES, dtype=bool) for kind in exact for name in ESTIMATORS
    }
    for i in range(REPLICATES):
        log = bandit_log(300, LOGGING, seed=i)
        models = CrossFit.of(log, seed=i)
        terms, rule = Terms.of(log, TARGET, models), Terms.of(log, RULE, models)
        columns = {f"rule:{name}": column for name, column in rule.columns.items()}
        columns |= {"r": log.reward, "w": terms.weight, "rule:w": rule.weight, **terms.columns}
        totals = resampled_totals(sums_by_user(log.user, columns), seed=i, replicates=400)

        def estimate_of(t, name, whose=""):
            return t[f"{whose}{name}"] / t[f"{whose}w" if name == "SNIPS" else "n"]

        for name, value in terms.estimates().items():
            estimates[name][i] = value
            kinds = {
                "value": lambda t, n=name: estimate_of(t, n),
                "versus logging": lambda t, n=name: estimate_of(t, n) - t["r"] / t["n"],
                "versus rules": lambda t, n=name: estimate_of(t, n) - estimate_of(t, n, "rule:"),
            }
            for kind, statistic in kinds.items():
                low, high = interval(totals, statistic)
                covered[f"{kind} {name}"][i] = low <= exact[kind] <= high
    return Replicates(estimates, covered)


@pytest.mark.slow
@pytest.mark.parametrize("name", ESTIMATORS)
def test_over_replicates_an_estimator_is_right_on_average(replicates, name):
    errors = replicates.estimates[name] - truth(TARGET)
    trusts_the_model = name in {"DM", "SWITCH-DR"}  # whose ridge and form are a little wrong
    allowed = 0.01 if trusts_the_model else 0.0
    assert abs(errors.mean()) < 3.5 * errors.std() / np.sqrt(REPLICATES) + allowed


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("kind", ["value", "versus logging", "versus rules"])
def test_intervals_hold_the_truth_as_often_as_they_say(replicates, kind, name):
    assert 0.92 <= replicates.covered[f"{kind} {name}"].mean() <= 0.98


def test_one_step_makes_the_model_the_regression_over_all_rows(large):
    """However wrong the model: DM is what ridge regression on its residuals makes of it."""
    few = large.take(np.arange(3000))
    wrong = CrossFit((WrongModel(),), np.zeros(len(few), dtype=int))
    value, predicted = wrong.predict(few, TARGET)
    rows = features(few.state, few.action)
    gram = rows.T @ rows + RIDGE * np.eye(rows.shape[1])
    theta = np.linalg.solve(gram, rows.T @ (few.reward - predicted))
    expected = value.mean() + (policy_features(few.state, TARGET) @ theta).mean()
    assert Terms.of(few, TARGET, wrong).estimates()["DM"] == pytest.approx(expected)
    assert abs(value.mean() - truth(TARGET)) > 0.3
    assert expected == pytest.approx(truth(TARGET), abs=0.1)


def test_an_estimator_that_trusts_a_models_form_makes_no_claims(large):
    judgement = judge(large.take(np.arange(5000)), TARGET)
    assert [name for name, e in judgement.estimates.items() if not e.for_claims] == ["DM"]
    assert judgement.headline is judgement.estimates["DR"]


def test_where_the_log_never_does_what_the_rules_would_nothing_is_compared_with_them():
    """Its own policy is judged by all of the log, the rule-based one by a handful of it."""
    own = with_exploration(optimal_policy(), 0.05)
    judgement = judge(bandit_log(600, own, seed=12), own)
    assert judgement.refusal is None
    for estimate in judgement.estimates.values():
        assert estimate.versus_rule_based is None
        assert estimate.versus_rule_based_ci95 is None
        assert estimate.versus_logging_ci95[0] <= 0 <= estimate.versus_logging_ci95[1]
    (warning,) = judgement.warnings
    assert warning.startswith("no comparison with the rule-based policy: ")
    assert "would be enough; more exploration, fewer" in warning
    assert checklist(RewardRegression(), 5000, judgement)["better_than_rule_based"] is None


def test_what_is_rare_and_has_not_come_up_does_not_accuse_the_propensities():
    """Two events of weight 540 would do for all that lacks: their absence shows nothing."""
    logging = with_exploration(optimal_policy(), 0.05)
    few = judge(bandit_log(40, logging, seed=2), with_exploration(rule_based_policy(), 0.0))
    assert few.support.mean_weight_ci95[1] < 0.9
    assert "what this policy does is rare in the log (pscore down to 0.0019)" in few.refusal
    lacking = 1 - few.support.mean_weight
    assert few.needed == pytest.approx(ENOUGH * lacking * 27 / 0.05, rel=0.05)
    lied = dataclasses.replace(bandit_log(2000, logging, seed=2), pscore=np.full(10_000, 0.9))
    judgement = judge(lied, with_exploration(rule_based_policy(), 0.0))
    assert judgement.needed is None
    assert "propensities are wrong" in judgement.refusal


def test_the_doubly_robust_estimator_is_the_sharper_for_its_model(replicates):
    spread = {name: values.std() for name, values in replicates.estimates.items()}
    assert spread["DR"] < 0.8 * spread["IPS"]
    assert spread["SWITCH-DR"] <= 1.05 * spread["DR"]


class WrongModel:
    """A reward model that is wrong by far, and differently by action."""

    def of_all_actions(self, states):
        return np.tile(np.linspace(-3, 3, N_ACTIONS), (len(states), 1))


@pytest.fixture(scope="module")
def large() -> Interactions:
    return bandit_log(14_000, LOGGING, seed=7)


def doubly_robust(log: Interactions, models: CrossFit) -> tuple[float, float]:
    """The estimate and its standard error, users resampled in the mind (sums are enough)."""
    value, predicted = models.predict(log, TARGET)
    weight = TARGET[log.state, log.action] / log.pscore
    by_user = np.bincount(log.user, value + weight * (log.reward - predicted)) / PER_USER
    return by_user.mean(), by_user.std() / np.sqrt(len(by_user))


def test_a_wrong_model_is_mended_by_right_propensities(large):
    wrong = CrossFit((WrongModel(),), np.zeros(len(large), dtype=int))
    estimate, error = doubly_robust(large, wrong)
    assert abs(estimate - truth(TARGET)) < 3.5 * error
    direct = wrong.predict(large, TARGET)[0].mean()
    assert abs(direct - truth(TARGET)) > 20 * error  # the model alone is lost


def test_wrong_propensities_are_mended_by_a_right_model(large):
    lied = dataclasses.replace(large, pscore=np.full(len(large), 0.05))
    estimate, error = doubly_robust(lied, CrossFit.of(lied))
    assert abs(estimate - truth(TARGET)) < 4 * error + 0.02  # and what the model's form misses
    ips = Terms.of(lied, TARGET, CrossFit.of(lied)).estimates()["IPS"]
    assert abs(ips - truth(TARGET)) > 0.2  # weights alone are lost


def test_no_model_has_seen_whom_it_predicts_for(large):
    few = large.take(np.arange(2000))
    fits = CrossFit.of(few, seed=0)
    for k, model in enumerate(fits.models):
        others = few.take(fits.fold != k)
        again = RewardModel.fitted(CellSums.of(others.state, others.action, others.reward), RIDGE)
        assert np.allclose(model.weights, again.weights)
        assert not set(few.user[fits.fold == k]) & set(others.user)


def test_the_logging_policy_judged_by_its_own_log_earns_what_it_earned(large):
    terms = Terms.of(large, LOGGING, CrossFit.of(large))
    estimates = terms.estimates()
    assert np.allclose(terms.weight, 1.0)
    assert effective_size(terms.weight) == pytest.approx(len(large))
    assert estimates["IPS"] == estimates["SNIPS"] == pytest.approx(large.reward.mean())


@pytest.mark.parametrize(("epsilon", "effective"), [(0.05, 2), (0.3, 11), (1.0, 37)])
def test_a_deterministic_target_leaves_little_of_a_thousand_events(epsilon, effective):
    """1,000 / 27 of uniform events agree with any one action, and ε of that otherwise."""
    target = with_exploration((rule_based_policy() + 1) % N_ACTIONS, 0.0)
    log = bandit_log(200, with_exploration(rule_based_policy(), epsilon), seed=11)
    judgement = judge(log, target)
    assert judgement.support.effective_sample == pytest.approx(effective, abs=3.5 * effective**0.5)
    assert judgement.refusal is not None
    assert judgement.estimates == {}
    assert judgement.headline is None
    assert all(rate.policy is None for rate in judgement.rates.values())


def test_the_refusal_says_how_much_data_would_do():
    log = bandit_log(200, random_policy(), seed=3)
    target = with_exploration(rule_based_policy(), 0.0)
    judgement = judge(log, target)
    effective = judgement.support.effective_sample
    assert judgement.needed == pytest.approx(1000 * ENOUGH / effective, rel=0.1)
    assert f"1,000 interactions amount to {effective:.1f} effective ones" in judgement.refusal
    assert (
        f"About {judgement.needed:,} interactions logged like these would be enough"
        in judgement.refusal
    )
    enough = judge(bandit_log(judgement.needed // 4, random_policy(), seed=4), target)
    assert enough.refusal is None
    assert set(enough.estimates) == set(ESTIMATORS)


def test_few_users_are_refused_however_much_they_did(large):
    """Intervals come from resampling users; of a handful they would be too narrow."""
    few = large.take(np.arange(2000))
    few = dataclasses.replace(few, user=few.user % 12)
    judgement = judge(few, TARGET)
    assert judgement.support.effective_sample > ENOUGH
    assert 8 < judgement.support.effective_users < 12
    assert judgement.estimates == {}
    assert "effective users for this policy; 30 are needed for intervals" in judgement.refusal
    assert judgement.needed == pytest.approx(2000 * 30 / judgement.support.effective_users, rel=0.1)
    assert judge(few, TARGET, enough_users=5).refusal is None


@pytest.mark.parametrize(
    ("weights", "size"),
    [([1, 1, 1, 1], 4), ([5, 0, 0], 1), ([0, 0], 0), ([3, 1], 1.6)],
)
def test_the_effective_size_is_kishs(weights, size):
    assert effective_size(np.array(weights, dtype=float)) == pytest.approx(size)


def test_logs_without_exploration_are_refused_for_good():
    log = bandit_log(400, with_exploration(rule_based_policy(), 0.0), seed=5)
    judgement = judge(log, TARGET)
    assert judgement.needed is None
    assert judgement.support.unsupported > 0.4
    assert "had no chance in the log (pscore 1)" in judgement.refusal


def test_propensities_that_lie_are_refused():
    log = bandit_log(2000, random_policy(), seed=6)
    judgement = judge(dataclasses.replace(log, pscore=np.full(len(log), 0.2)), TARGET)
    assert judgement.needed is None
    assert "The mean weight is 0.1" in judgement.refusal
    assert "propensities are wrong" in judgement.refusal


def test_a_log_that_never_agrees_has_no_effective_sample():
    log = bandit_log(100, random_policy(), seed=8)
    log = log.take(rule_based_policy()[log.state] != log.action)
    judgement = judge(log, with_exploration(rule_based_policy(), 0.0))
    assert judgement.support.effective_sample == 0.0
    assert judgement.refusal is not None


def test_differences_are_taken_on_the_same_users(large):
    """Paired: against itself nothing is left to be unsure of; against others, less."""
    judgement = judge(large.take(np.arange(20_000)), with_exploration(rule_based_policy(), 0.0))
    dr = judgement.estimates["DR"]
    assert dr.versus_rule_based == 0.0
    assert dr.versus_rule_based_ci95 == (0.0, 0.0)
    own = dr.ci95[1] - dr.ci95[0]
    assert 0 < dr.versus_logging_ci95[1] - dr.versus_logging_ci95[0] < 1.1 * own


def test_a_better_policy_is_found_to_be_better(large):
    judgement = judge(large, with_exploration(optimal_policy(0.0), 0.0))
    dr = judgement.estimates["DR"]
    exact = truth(optimal_policy(0.0)) - truth(rule_based_policy())
    assert dr.versus_rule_based_ci95[0] <= exact <= dr.versus_rule_based_ci95[1]
    assert dr.versus_logging_ci95[0] > 0


def test_rates_of_outcomes_are_given_for_log_and_policy(large):
    judgement = judge(large, LOGGING)
    for i, name in enumerate(("like", "dislike", "complete", "skip", "share")):
        rate = judgement.rates[name]
        assert rate.logged == pytest.approx(large.outcomes[:, i].mean())
        assert rate.policy == pytest.approx(rate.logged)
    assert judgement.rates["completion_rate"].logged > 0.5


def test_resampling_users_is_wider_than_resampling_rows_where_users_differ():
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(200), 25)
    values = rng.normal(size=200)[user] + 0.1 * rng.normal(size=5000)

    def width(groups):
        by_user = sums_by_user(groups, {"x": values})
        totals = resampled_totals(by_user, seed=0)
        low, high = interval(totals, lambda t: t["x"] / t["n"])
        return high - low

    assert width(user) == pytest.approx(2 * 1.96 / np.sqrt(200), rel=0.2)
    assert width(user) > 3 * width(np.arange(5000))


def test_a_regression_on_plenty_finds_the_rewards(large):
    learner = RewardRegression(ridge=1.0)
    learner.learn(large)
    model = exact_model()
    states = large.state[:5000]
    error = learner.q_values(states) - model.rewards[states]
    assert np.sqrt((error**2).mean()) < 0.1
    assert learner.outside((-1.8, 3.3)) == 0


def test_sums_add_up_over_windows(large, tmp_path):
    few = large.take(np.arange(3000))
    whole, parts = RewardRegression(), RewardRegression()
    whole.learn(few)
    parts.learn(few.take(np.arange(1000)))
    parts.save(tmp_path / "r.npz")
    parts = RewardRegression()
    parts.load(tmp_path / "r.npz")
    parts.learn(few.take(np.arange(1000, 3000)))
    states = np.arange(0, 262_500, 997)
    assert np.allclose(whole.q_values(states), parts.q_values(states))
    shares = whole.policy(states)
    assert np.allclose(shares.sum(axis=1), 1)
    assert shares.min() == pytest.approx(0.05 / 27)


def test_the_regression_is_the_one_over_rows():
    """The sums over cells against ridge regression on the design matrix itself."""
    log = bandit_log(120, random_policy(), seed=2)
    parts = state_parts(log.state)
    units = parts[:, :5] / 2.0 - 1.0
    action = np.stack(np.unravel_index(log.action, (3, 3, 3)), axis=1)
    flags = np.concatenate([np.eye(3)[action[:, i]] for i in range(3)], axis=1)
    around = np.concatenate(
        [
            np.ones((len(log), 1)),
            np.eye(3)[parts[:, 5]],
            np.eye(7)[parts[:, 6]],
            np.eye(4)[parts[:, 7]],
        ],
        axis=1,
    )
    design = np.concatenate(
        [
            np.einsum("nk,np->nkp", around, flags).reshape(len(log), -1),
            np.eye(27)[log.action],
            np.einsum("nt,np->ntp", units, flags).reshape(len(log), -1),
        ],
        axis=1,
    )
    assert design.shape[1] == 207
    mean = log.reward.mean()
    gram = design.T @ design + 10.0 * np.eye(207)
    theta = np.linalg.solve(gram, design.T @ (log.reward - mean))
    model = RewardModel.fitted(CellSums.of(log.state, log.action, log.reward), 10.0)
    assert np.allclose(model.of_actions(log.state, log.action), mean + design @ theta)
    chosen = model.of_all_actions(log.state)[np.arange(len(log)), log.action]
    assert np.allclose(chosen, mean + design @ theta)


def test_openness_decides_the_taste():
    assert OPENNESS == 0
    tastes = default_population().tastes
    assert tastes[4, 2] > tastes[0, 2]
