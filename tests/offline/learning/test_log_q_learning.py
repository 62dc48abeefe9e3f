import dataclasses
import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_runner.envs.recommender.domain import N_ACTIONS, N_STATES
from rl_runner.envs.recommender.exact import exact_model
from rl_runner.envs.recommender.policies import random_policy, rule_based_policy
from rl_runner.offline.learning.backoff import LEVELS, SIZES, level_rows
from rl_runner.offline.learning.learners import LEARNERS
from rl_runner.offline.learning.log_q_learning import LogQLearning
from rl_runner.offline.logs.interactions import Interactions

BOUNDS = (-1.8, 3.3)


def tables(learner: LogQLearning) -> list[np.ndarray]:
    return [*learner.values, *learner.visits]


def equal(one: LogQLearning, other: LogQLearning) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(tables(one), tables(other), strict=True))


def hand_made(*rows: tuple[int, int, int, int, float, bool]) -> Interactions:
    """Interactions from (session, step, state, action, reward, terminal), a minute apart."""
    session, step, state, action, reward, terminal = map(np.array, zip(*rows, strict=True))
    n = len(rows)
    return Interactions(
        event=np.arange(n, dtype=np.uint64),
        ts=np.arange(n, dtype=np.int64) * 60_000_000,
        user=session.astype(np.int32),
        session=session.astype(np.int32),
        step=step.astype(np.int32),
        state=state.astype(np.int32),
        action=action.astype(np.int16),
        pscore=np.full(n, 1 / 27),
        reward=reward.astype(float),
        terminal=terminal.astype(bool),
        outcomes=np.zeros((n, 5), dtype=bool),
        completion_rate=np.zeros(n, dtype=np.float32),
        session_key=pl.Series([f"s{i}" for i in range(int(session.max()) + 1)]),
    )


def reference_q_learning(log: Interactions, alpha: float, gamma: float) -> np.ndarray:
    """The textbook, on the finest level and without back-off: for logs that visit a pair once."""
    q = np.zeros((N_STATES, N_ACTIONS))
    last: dict[int, int] = {}
    for i in range(len(log)):
        j = last.get(int(log.session[i]))
        if j is not None and log.step[j] + 1 == log.step[i]:
            target = log.reward[j] + gamma * q[log.state[i]].max()
            q[log.state[j], log.action[j]] += alpha * (target - q[log.state[j], log.action[j]])
        if log.terminal[i]:
            q[log.state[i], log.action[i]] += alpha * (
                log.reward[i] - q[log.state[i], log.action[i]]
            )
        last[int(log.session[i])] = i
    return q


def test_without_back_off_it_is_the_textbook(log):
    learner = LogQLearning(learning_rate=0.1, learning_rate_power=0, gamma=0.0)
    learner.learn(log)
    expected = np.zeros((N_STATES, N_ACTIONS))
    for state, action, reward in zip(log.state, log.action, log.reward, strict=True):
        expected[state, action] += 0.1 * (reward - expected[state, action])
    assert np.allclose(learner.values[-1], expected)


def test_a_terminal_step_is_worth_its_reward_and_no_more():
    learner = LogQLearning(learning_rate=1.0, learning_rate_power=1.0)
    learner.learn(hand_made((0, 0, 5, 3, 2.0, True), (1, 0, 6, 3, 1.0, True)))
    assert learner.values[-1][5, 3] == 2.0
    assert learner.values[-1][6, 3] == 1.0


def test_a_step_is_worth_its_reward_and_what_the_next_state_promises():
    learner = LogQLearning(learning_rate=1.0, learning_rate_power=1.0, gamma=0.5, shrinkage=0.0)
    learner.learn(
        hand_made((0, 0, 9, 4, 2.0, True), (1, 0, 8, 1, 1.0, False), (1, 1, 9, 0, 0.0, True))
    )
    assert learner.values[-1][8, 1] == 1.0 + 0.5 * 2.0


def test_nothing_is_bootstrapped_across_sessions_or_gaps():
    """The next row belongs to another session; the session's next row is two steps on."""
    other = hand_made((0, 0, 9, 4, 2.0, True), (1, 0, 8, 1, 1.0, False), (2, 0, 9, 0, 0.0, False))
    gap = hand_made((0, 0, 9, 4, 2.0, True), (1, 0, 8, 1, 1.0, False), (1, 2, 9, 0, 0.0, False))
    for log in (other, gap):
        learner = LogQLearning()
        assert learner.learn(log).transitions == 1
        assert learner.visits[-1][8, 1] == 0


def test_what_follows_the_end_of_a_session_is_no_successor():
    """A row after a terminal one: each is learned from once, by itself."""
    log = hand_made((0, 0, 9, 4, 2.0, True), (0, 1, 8, 1, 1.0, True))
    learner = LogQLearning()
    assert learner.learn(log).transitions == 2
    assert (learner.visits[-1][9, 4], learner.values[-1][9, 4]) == (1, 2.0)


def test_only_a_sessions_last_row_waits_for_the_next():
    """The step after the first is missing for good: nobody can come after it any more."""
    learner = LogQLearning()
    learner.learn(hand_made((0, 0, 9, 4, 2.0, False), (0, 2, 8, 1, 1.0, False)))
    assert learner.pending.step.tolist() == [2]


def test_the_order_of_learning_is_the_order_of_outcomes(log):
    """At a constant rate, on states that repeat, against the loop written plainly."""
    few = dataclasses.replace(log, state=(log.state % 3).astype(np.int32))
    learner = LogQLearning(learning_rate=0.2, learning_rate_power=0, gamma=0.5, shrinkage=1e-12)
    for table, visits in zip(learner.values, learner.visits, strict=True):
        table[:], visits[:] = 0.0, 1  # as if all had been tried, so that no level answers for one
    learner.learn(few)
    assert np.allclose(learner.values[-1], reference_q_learning(few, 0.2, 0.5), atol=1e-6)


@settings(max_examples=12)
@given(cut=st.integers(1, 3999), gamma=st.sampled_from([0.0, 0.95]))
def test_two_consecutive_windows_are_one_pass(log, cut, gamma):
    whole, parts = LogQLearning(gamma=gamma), LogQLearning(gamma=gamma)
    whole.learn(log)
    rows = np.arange(len(log))
    parts.learn(log.take(rows < cut))
    parts.learn(log.take(rows >= cut))
    assert equal(whole, parts)
    assert whole.n_learned == parts.n_learned
    assert sorted(whole.pending.session_key) == sorted(parts.pending.session_key)


@settings(max_examples=5)
@given(cuts=st.lists(st.integers(1, 3999), min_size=2, max_size=4, unique=True))
def test_what_is_saved_between_windows_is_all_that_is_needed(log, cuts, tmp_path_factory):
    path = tmp_path_factory.mktemp("tables") / "table.npz"
    whole, learner = LogQLearning(), LogQLearning()
    whole.learn(log)
    edges = [0, *sorted(cuts), len(log)]
    for start, end in itertools.pairwise(edges):
        learner.learn(log.take(np.arange(start, end)))
        learner.save(path)
        learner = LogQLearning()
        learner.load(path)
    assert equal(whole, learner)
    assert learner.n_sessions == whole.n_sessions


def test_an_unseen_state_is_answered_for_by_states_like_it():
    rows = level_rows()
    seen = 200_000
    twin = np.flatnonzero((rows[:, 2] == rows[seen, 2]) & (np.arange(N_STATES) != seen))[0]
    same_moment = np.flatnonzero((rows[:, 1] == rows[seen, 1]) & (rows[:, 2] != rows[seen, 2]))[0]
    elsewhere = np.flatnonzero(rows[:, 1] != rows[seen, 1])[0]
    learner = LogQLearning(shrinkage=2.0)
    learner.learn(hand_made(*((i, 0, seen, 7, 1.0, True) for i in range(6))))
    best = learner.q_values(np.array([seen, twin, same_moment, elsewhere]))[:, 7]
    assert 1 > best[0] > best[1] > best[2] > best[3] > 0


@pytest.mark.parametrize("kappa", [0.5, 10.0])
def test_shrinkage_weighs_visits_against_the_coarser_level(kappa):
    learner = LogQLearning(shrinkage=kappa, learning_rate_power=1.0)
    learner.learn(hand_made((0, 0, 3, 2, 1.0, True), (1, 0, 3, 2, 3.0, True)))
    expected = 0.0
    for _ in LEVELS:
        expected = (2 * 2.0 + kappa * expected) / (2 + kappa)
    assert learner.q_values(np.array([3]))[0, 2] == pytest.approx(expected)


def test_a_constant_rate_remembers_no_more_than_it_averages():
    assert LogQLearning(learning_rate=0.1, learning_rate_power=0).memory == pytest.approx(19)
    assert LogQLearning(learning_rate_power=1.0).memory == np.inf


def test_levels_nest():
    rows = level_rows()
    assert tuple(rows.max(axis=0) + 1) == SIZES
    for fine, coarse in ((3, 2), (2, 1), (1, 0)):
        pairs = np.unique(rows[:, [fine, coarse]], axis=0)
        assert len(pairs) == SIZES[fine]  # each fine row lies in one coarse row


def test_coverage_counts_what_was_visited(log):
    learner = LogQLearning(gamma=0.0)
    learner.learn(log)
    coverage = learner.coverage()
    assert coverage.total_states == len(np.unique(log.state))
    assert coverage.total_state_actions == len(np.unique(log.state * 27 + log.action))
    assert coverage.levels["global"].visits_per_state_action == pytest.approx(4000 / 27)
    visited = learner.values[-1][learner.visits[-1] > 0]
    assert coverage.avg_q_value == pytest.approx(visited.mean())
    assert coverage.max_q_value == visited.max()


def test_values_stay_within_what_rewards_can_sum_to(log):
    learner = LogQLearning(gamma=0.95)
    learner.learn(log)
    assert learner.outside(BOUNDS) == 0
    for strange in (67.0, -37.0, np.nan, np.inf):
        learner.values[2][5, 5] = strange
        assert learner.outside(BOUNDS) == 1


def test_epsilon_falls_with_every_session(log):
    learner = LogQLearning(exploration_decay=0.995)
    assert learner.epsilon == 0.3
    learner.learn(log)
    n_sessions = (log.step == 0).sum()
    assert learner.epsilon == pytest.approx(max(0.05, 0.3 * 0.995**n_sessions))
    longer = LogQLearning(exploration_decay=0.5)
    longer.learn(log)
    assert longer.epsilon == 0.05


def test_epsilon_greedy_gives_every_action_its_chance(log):
    learner = LogQLearning()
    learner.learn(log)
    shares = learner.policy(log.state[:50])
    assert np.allclose(shares.sum(axis=1), 1.0)
    assert shares.min() == pytest.approx(learner.epsilon / N_ACTIONS)
    assert np.array_equal(shares.argmax(axis=1), learner.q_values(log.state[:50]).argmax(axis=1))


def test_the_upper_confidence_bound_tries_what_was_tried_least():
    rows = [(i, 0, 3, i % 27, 1.0, True) for i in range(270)]
    rows += [(300 + i, 0, 3, i % 26, 1.0, True) for i in range(260)]  # action 26: half as often
    learner = LogQLearning(exploration="ucb", ucb_coef=2.0)
    learner.learn(hand_made(*rows))
    assert learner.policy(np.array([3]))[0].argmax() == 26
    untried = LogQLearning(exploration="ucb")
    untried.learn(hand_made(*rows[:20]))
    assert untried.policy(np.array([3]))[0].argmax() == 20  # the first that was never tried


def test_greedy_is_greedy(log):
    learner = LogQLearning(exploration="greedy")
    learner.learn(log)
    shares = learner.policy(log.state[:20])
    assert set(np.unique(shares)) == {0.0, 1.0}


def test_a_rate_above_one_is_refused():
    with pytest.raises(ValueError, match="above 1"):
        LogQLearning(learning_rate=1.5)
    with pytest.raises(ValueError, match="learning_rate_min is"):
        LogQLearning(learning_rate_min=2.0)


def test_a_table_of_another_format_is_refused(log, tmp_path):
    learner = LogQLearning()
    learner.learn(log)
    learner.save(tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz") as arrays:
        changed = {**arrays, "format": np.array(99)}
    np.savez(tmp_path / "other.npz", **changed)
    with pytest.raises(ValueError, match="format 99"):
        LogQLearning().load(tmp_path / "other.npz")
    changed = {**changed, "format": np.array(1), "full/entries": np.array([10**8])}
    np.savez(tmp_path / "other.npz", **changed)
    with pytest.raises(ValueError, match="another size"):
        LogQLearning().load(tmp_path / "other.npz")


def test_learning_beats_chance_and_gamma_sees_further(log):
    """4,000 interactions do little; that they do something shows in the true value."""
    model = exact_model()
    learner = LogQLearning()
    learner.learn(log)
    learned = model.mean_return(learner.q_values(np.arange(N_STATES)).argmax(axis=1))
    assert learned > model.mean_return(random_policy()) + 0.5
    assert learned < model.mean_return(rule_based_policy()) + 3


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_has_its_row_and_a_reference(name):
    row = LEARNERS[name]
    assert row.name == name
    assert row.load_class().__module__.startswith("rl_runner.offline.")
