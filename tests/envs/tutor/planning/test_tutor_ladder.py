"""The ladder of policies, and the oracle above it."""

from pathlib import Path

import numpy as np
import pytest

from rl_runner.config.environment import EnvConfig
from rl_runner.envs.baselines import baselines_of, load_baseline
from rl_runner.envs.build import build_env
from rl_runner.envs.tutor.options import TutorOptions
from rl_runner.envs.tutor.planning import oracle, policies
from rl_runner.envs.tutor.planning.bandit import train_bandit
from rl_runner.envs.tutor.planning.dynamic_programming import action_values, type_of
from rl_runner.envs.tutor.planning.lookahead import Lookahead, value_of_action
from rl_runner.envs.tutor.planning.oracle import Oracle, load_values, start_value
from rl_runner.envs.tutor.planning.qmdp import QMDP, count_hidden, hidden_index
from rl_runner.envs.tutor.simulator.model import N_ACTIONS
from rl_runner.envs.tutor.simulator.state import ENGAGEMENT, N_COLUMNS, TIME
from rl_runner.envs.tutor.vector import TutorVectorEnv
from rl_runner.errors import EnvError

SHORT = TutorOptions(modules_per_topic=1, horizon=15)
STANDARD = TutorOptions()
N = 2000


class QuizFarmer(policies.Tutor):
    """Suggests topic 0 until a module is completed, then only quizzes: a shortcut to rewards."""

    def act(self, observations: np.ndarray) -> np.ndarray:
        """Return a quiz as soon as any module is completed, else topic 0."""
        return np.where(observations[:, policies.SLICES["modules"]].any(axis=1), policies.QUIZ, 0)


class Constant(policies.Tutor):
    """Always the same action."""

    def __init__(self, action: int):
        self.action = action

    def act(self, observations: np.ndarray) -> np.ndarray:
        return np.full(len(observations), self.action)


def play(factory, options: TutorOptions, seeds) -> np.ndarray:
    """Return (n,) returns of one episode per seed; a seed gives every policy the same learner."""
    env = TutorVectorEnv(len(seeds), **vars(options))
    policy = factory(options, env.full_states)
    observations, _ = env.reset(seed=list(seeds))
    returns, open_ = np.zeros(len(seeds)), np.ones(len(seeds), dtype=bool)
    state, started = None, np.ones(len(seeds), dtype=bool)
    while open_.any():
        actions, state = policy.predict(observations, state, started)
        observations, rewards, terminated, truncated, _ = env.step(actions)
        returns += np.where(open_, rewards, 0.0)
        started = terminated | truncated
        open_ &= ~started
    return returns


def oracle_of(values: np.ndarray):
    return lambda options, full_states: Oracle(options, full_states, values)


def simple(cls, *arguments):
    return lambda _options, _full_states: cls(*arguments)


def interval(returns: np.ndarray, z: float = 1.96) -> tuple[float, float]:
    half = z * returns.std(ddof=1) / np.sqrt(len(returns))
    return returns.mean() - half, returns.mean() + half


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return load_values(STANDARD)


@pytest.fixture(scope="module")
def ladder(values: np.ndarray) -> dict[str, np.ndarray]:
    rungs = {
        "random": simple(policies.Random, 0),
        "round robin": simple(policies.RoundRobin),
        "greedy gap": simple(policies.GreedyGap),
        "fixed": simple(policies.FixedCurriculum),
        "mastery": simple(policies.Mastery),
        "quiz farmer": simple(QuizFarmer),
        "oracle": oracle_of(values),
        **{f"always {action}": simple(Constant, action) for action in range(6)},
    }
    return {name: play(policy, STANDARD, range(N)) for name, policy in rungs.items()}


@pytest.mark.slow
def test_the_oracles_analytic_value_lies_in_its_interval(ladder, values: np.ndarray):
    low, high = interval(ladder["oracle"], z=3.0)
    assert low < start_value(STANDARD, values) < high


def test_no_policy_exceeds_the_oracle(ladder, values: np.ndarray):
    top = start_value(STANDARD, values)
    for name, returns in ladder.items():
        if name != "oracle":
            assert interval(returns)[1] < top
            assert interval(ladder["oracle"] - returns)[0] > 0.0


def test_the_rungs_are_in_order(ladder):
    """Paired, on common random numbers."""
    for lower, higher in (
        ("round robin", "random"),
        ("random", "fixed"),
        ("fixed", "mastery"),
        ("mastery", "oracle"),
    ):
        difference = ladder[higher] - ladder[lower]
        assert interval(difference)[0] > 0.0, (lower, higher)


def test_shortcuts_lose_to_the_fixed_curriculum(ladder):
    fixed = ladder["fixed"]
    for name, returns in ladder.items():
        if name.startswith("always") or name == "quiz farmer":
            assert interval(fixed - returns)[0] > 0.0, name


def test_the_same_policy_plays_the_same_episodes(ladder):
    again = play(simple(policies.Mastery), STANDARD, range(100))
    np.testing.assert_array_equal(again, ladder["mastery"][:100])


def test_looking_one_observation_ahead_is_worth_more_than_qmdp_and_less_than_the_oracle():
    options = TutorOptions(modules_per_topic=1, horizon=15)
    values, n = load_values(options), 150
    ahead = play(lambda o, _: Lookahead(o, values), options, range(n))
    qmdp = play(lambda o, _: QMDP(o, values), options, range(n))
    seen = play(oracle_of(values), options, range(n))
    assert interval(seen - ahead)[0] > 0.0
    assert interval(ahead - qmdp)[0] > -0.3
    assert not np.array_equal(ahead, qmdp)


@pytest.mark.parametrize("t", [0, 7])
def test_where_nothing_is_hidden_looking_ahead_is_exact(t: int):
    options = TutorOptions(modules_per_topic=1, horizon=15)
    values, model_ = load_values(options), options.build_model()
    row, expected = np.zeros(N_COLUMNS, dtype=np.int32), np.empty(N_ACTIONS)
    row[TIME], row[ENGAGEMENT] = t, 3
    belief = np.zeros(count_hidden(model_.n_levels))
    belief[hidden_index(row, model_.n_levels)] = 1.0
    action_values(row, model_, values[t, type_of(row)], expected)
    found = [value_of_action(a, row, belief, model_, values) for a in range(N_ACTIONS)]
    # The hidden state is not known after the step, so the values are at most the oracle's.
    assert np.all(np.array(found) <= expected + 1e-4)
    assert np.all(np.array(found) >= expected - 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("learner", ["bkt", "half_life"])
def test_qmdp_and_bandit_stay_below_a_short_oracle(learner: str):
    options = TutorOptions(modules_per_topic=1, horizon=15, learner=learner)
    values = load_values(options)
    top, n = start_value(options, values), 1000
    seen = play(oracle_of(values), options, range(n))
    assert interval(seen, 3.0)[0] < top < interval(seen, 3.0)[1]
    bandit = train_bandit(options, seed=0)
    myopic = play(lambda *_: bandit, options, range(n))
    chance = play(simple(policies.Random, 0), options, range(n))
    unseen = play(lambda o, _: QMDP(o, values), options, range(200))
    assert interval(seen[:200] - unseen)[0] > 0.0
    assert interval(unseen - chance[:200])[0] > 0.0
    assert interval(myopic - chance)[0] > 0.0


def test_the_bandit_repeats_itself():
    one, other = train_bandit(SHORT, seed=3), train_bandit(SHORT, seed=3)
    first, second = (play(lambda *_, b=b: b, SHORT, range(50)) for b in (one, other))
    np.testing.assert_array_equal(first, second)


def test_values_are_kept_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(oracle, "cache_folder", lambda _name: tmp_path)
    calls = []
    first = load_values(SHORT, lambda done, total: calls.append((done, total)))
    assert calls[-1] == (6 * 15, 6 * 15)
    assert [done for done, _ in calls] == list(range(1, 91))
    calls.clear()
    second = load_values(SHORT, lambda *_: calls.append(_))
    assert not calls
    np.testing.assert_array_equal(first, second)
    (path,) = tmp_path.glob("values-*.npy")
    path.write_bytes(b"damaged")
    np.testing.assert_array_equal(load_values(SHORT), first)
    load_values(TutorOptions(modules_per_topic=1, horizon=14))
    assert len(list(tmp_path.glob("*"))) == 2


def test_without_a_place_to_keep_them_values_are_computed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(oracle, "cache_folder", lambda _name: None)
    assert load_values(TutorOptions(modules_per_topic=1, horizon=2)).shape == (2, 6, 6480)


def test_a_problem_too_large_is_refused():
    with pytest.raises(EnvError, match="too many"):
        load_values(TutorOptions(modules_per_topic=4))


def test_more_time_is_worth_more():
    start = [
        start_value(options, load_values(options))
        for options in (TutorOptions(modules_per_topic=1, horizon=h) for h in (2, 5, 15))
    ]
    assert start == sorted(start)


@pytest.mark.parametrize("name", baselines_of("rl_runner:Tutor-v0"))
def test_every_baseline_plays_by_its_name(name: str):
    """As ``rl eval --policy`` does: in SB3's vectorised environment, copy by copy."""
    kwargs = {"modules_per_topic": 1, "horizon": 15}
    env = build_env(EnvConfig(id="Tutor-v0", kwargs=kwargs), [3, 4, 5], training=False)
    policy = load_baseline("Tutor-v0", name)(env, 0)
    observations = env.reset()
    state, started, n_ended = None, np.ones(3, dtype=bool), 0
    for _ in range(30):
        actions, state = policy.predict(observations, state, started)
        observations, _, started, _ = env.step(actions)
        n_ended += started.sum()
    assert n_ended >= 3
    env.close()


def test_the_oracle_plays_the_same_through_sb3_and_beside_it():
    values = load_values(SHORT)
    beside = play(oracle_of(values), SHORT, range(6))
    kwargs = {"modules_per_topic": 1, "horizon": 15}
    env = build_env(EnvConfig(id="Tutor-v0", kwargs=kwargs), range(6), training=False)
    policy = load_baseline("Tutor-v0", "oracle")(env, 0)
    observations, returns, open_ = env.reset(), np.zeros(6), np.ones(6, dtype=bool)
    while open_.any():
        observations, rewards, ended, _ = env.step(policy.predict(observations)[0])
        returns += np.where(open_, rewards, 0.0)
        open_ &= ~ended
    np.testing.assert_allclose(returns, beside, atol=1e-5)
    env.close()
