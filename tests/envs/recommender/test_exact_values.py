import numpy as np
import pytest

from rl_runner.envs.recommender.domain import N_ACTIONS, N_STATES, state_index, state_parts
from rl_runner.envs.recommender.exact import ExactModel, exact_model
from rl_runner.envs.recommender.kernel import MOOD, OPENNESS, People
from rl_runner.envs.recommender.people import default_population
from rl_runner.envs.recommender.policies import (
    POLICIES,
    random_policy,
    rule_based_policy,
    with_exploration,
)
from rl_runner.envs.recommender.rewards import RewardWeights, rewards


@pytest.fixture(scope="module")
def model() -> ExactModel:
    return exact_model()


def test_every_distribution_of_the_population_sums_to_one():
    people = default_population()
    for table in (people.trait_bins, people.content, people.times):
        assert table.sum() == pytest.approx(1.0)
    for table in (people.tastes, people.first_mood, people.next_mood):
        assert np.allclose(table.sum(axis=-1), 1.0)
    assert (people.leaves > 0).all()
    assert people.leaves.max() < 1


def test_sessions_begin_somewhere(model):
    assert model.initial.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("action", [0, 13, 26])
def test_the_expected_reward_is_what_people_give_on_average(model, action):
    rng = np.random.default_rng(action)
    people = People(default_population())
    n = 60_000
    start = np.array([4, 1, 2, 3, 0, action % 3, 2, 1])  # one state, many people in it
    states = np.tile(start, (n, 1))
    tastes = rng.choice(4, size=n, p=default_population().tastes[start[OPENNESS]])
    outcome = people.respond(states, tastes, np.full(n, action), rng)
    gained = rewards(outcome.terms(), outcome.mood_before, outcome.mood_after)
    error = gained.mean() - model.rewards[state_index(start), action]
    assert abs(error) < 4 * gained.std() / np.sqrt(n)


def test_moods_and_departures_follow_the_tables(model):
    rng = np.random.default_rng(5)
    people = People(default_population())
    n = 60_000
    states = np.tile([2, 2, 2, 2, 4, 0, 3, 3], (n, 1))
    outcome = people.respond(states, np.zeros(n, dtype=int), np.full(n, 7), rng)
    went_on = np.bincount(outcome.mood_after[~outcome.terminal], minlength=7) / n
    assert np.allclose(went_on, model.next_mood[4, 3, 3, 7], atol=4 * 0.5 / np.sqrt(n))


@pytest.mark.parametrize("gamma", [0.0, 0.95, 1.0])
def test_a_value_satisfies_its_bellman_equation(model, gamma):
    policy = rule_based_policy()
    values = model.value(policy, gamma)
    q_values = model.action_values(values, gamma)
    assert np.allclose(q_values[np.arange(N_STATES), policy], values)


def test_a_stochastic_policys_value_satisfies_its_bellman_equation(model):
    policy = with_exploration(rule_based_policy(), 0.3)
    values = model.value(policy, 0.9)
    assert np.allclose((policy * model.action_values(values, 0.9)).sum(axis=1), values)


@pytest.mark.parametrize("gamma", [0.0, 0.95])
def test_no_action_is_better_than_the_best_policys(model, gamma):
    best = model.best_policy(gamma)
    values = model.value(best, gamma)
    assert np.allclose(model.action_values(values, gamma).max(axis=1), values)


def test_occupancy_and_value_tell_the_same_return(model):
    """Σ over visits of the reward is the return: shares × rewards = return / length."""
    policy = random_policy()
    shares = model.occupancy(policy)
    ones = ExactModel(np.ones_like(model.rewards), model.next_mood, model.initial)
    length = ones.mean_return(policy)
    assert shares.sum() == pytest.approx(1.0)
    assert model.mean_reward(policy, shares) * length == pytest.approx(model.mean_return(policy))


def test_the_ladder_of_policies_has_its_order(model):
    values = {name: model.mean_return(make()) for name, make in POLICIES.items()}
    assert values["random"] < values["rule_based"] < values["myopic"] < values["optimal"]
    # What one does to the mood matters: gamma 0 loses a tenth of what there is to gain.
    assert values["optimal"] - values["myopic"] > 0.1 * (values["optimal"] - values["random"])


def test_rewards_stay_within_their_bounds(model):
    low, high = RewardWeights().bounds
    assert low < model.rewards.min() < model.rewards.max() < high


def test_sampled_sessions_earn_the_exact_return(model):
    rng = np.random.default_rng(3)
    people = People(default_population())
    policy = rule_based_policy()
    n = 20_000
    traits, tastes = people.draw_people(n, rng)
    states = people.begin_sessions(traits, rng)
    returns, alive = np.zeros(n), np.ones(n, dtype=bool)
    while alive.any():
        rows = np.flatnonzero(alive)
        outcome = people.respond(states[rows], tastes[rows], policy[state_index(states[rows])], rng)
        returns[rows] += rewards(outcome.terms(), outcome.mood_before, outcome.mood_after)
        states[rows, MOOD] = outcome.mood_after
        alive[rows[outcome.terminal]] = False
    assert abs(returns.mean() - model.mean_return(policy)) < 4 * returns.std() / np.sqrt(n)


def test_exploration_mixes_in_the_uniform_policy():
    mixed = with_exploration(rule_based_policy(), 0.27)
    assert np.allclose(mixed.sum(axis=1), 1.0)
    assert mixed.min() == pytest.approx(0.01)
    assert np.allclose(with_exploration(random_policy(), 0.5), 1 / N_ACTIONS)


def test_traits_explain_little():
    """Published correlations of traits with preferences are mostly below .1; openness leads."""
    people = People(default_population())
    rng = np.random.default_rng(0)
    traits, tastes = people.draw_people(40_000, rng)
    states = people.begin_sessions(traits, rng)
    new, known = (
        people.appeal(states, tastes, np.full(len(states), action)) for action in (14, 12)
    )
    prefers_new = new - known + rng.logistic(size=len(states)) - rng.logistic(size=len(states))
    correlations = np.abs([np.corrcoef(traits[:, i], prefers_new)[0, 1] for i in range(5)])
    assert correlations.argmax() == OPENNESS
    assert np.sort(correlations)[:-1].max() < 0.1
    assert correlations[OPENNESS] < 0.3


def test_a_quarter_of_music_is_skipped_and_half_not_finished(model):
    people = People(default_population())
    rng = np.random.default_rng(0)
    states = state_parts(rng.choice(N_STATES, size=60_000, p=model.occupancy(random_policy())))
    states = states[states[:, 5] == 0]
    tastes = (
        rng.random(len(states))[:, None]
        > np.cumsum(default_population().tastes[states[:, OPENNESS]], axis=1)
    ).sum(axis=1)
    outcome = people.respond(states, tastes, rng.integers(27, size=len(states)), rng)
    assert outcome.skip.mean() == pytest.approx(0.25, abs=0.02)
    assert 1 - outcome.complete.mean() == pytest.approx(0.5, abs=0.02)
