import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv
from tiny_envs import Aim, Chain, Corridor, Match

from rl_runner.agents.algorithms.q_learning import QLearning
from rl_runner.agents.saving import load_parameters
from rl_runner.errors import CheckpointError


def vec(*makers: Callable[[], gym.Env[Any, Any]]) -> DummyVecEnv:
    env = DummyVecEnv(list(makers))
    env.seed(0)
    return env


def chain_agent(n_states: int = 5, **keywords: Any) -> QLearning:
    return QLearning(vec(functools.partial(Chain, n_states)), seed=0, **keywords)


# --- what is refused ----------------------------------------------------------------------------


class _Huge(Match):
    def __init__(self) -> None:
        super().__init__()
        self.observation_space = spaces.MultiDiscrete([10_000] * 6)


def test_a_table_too_large_for_memory_is_refused_before_it_is_made() -> None:
    with pytest.raises(ValueError, match=r"1,000,000,000,000,000,000,000,000 × 3 entries"):
        QLearning(vec(_Huge))


def test_continuous_actions_are_refused() -> None:
    with pytest.raises(ValueError, match="a table needs Discrete actions, not Box"):
        QLearning(vec(Aim))


# --- the update ---------------------------------------------------------------------------------


def test_one_update_is_the_one_worked_out_by_hand() -> None:
    agent = chain_agent(learning_rate=0.1, gamma=0.9)
    agent.q_table[:] = np.arange(10.0).reshape(5, 2)
    before = agent.q_table.copy()
    error = agent._update(1, 0, 0.5, 3, terminated=False)
    # Q(1, 0) = 2, max Q(3, ·) = 7: the target is 0.5 + 0.9 · 7 = 6.8, a tenth of 4.8 is added
    assert error == pytest.approx(4.8)
    assert agent.q_table[1, 0] == pytest.approx(2.48)
    before[1, 0] = agent.q_table[1, 0]
    np.testing.assert_array_equal(agent.q_table, before)
    assert agent.visits.tolist() == [[0, 0], [1, 0], [0, 0], [0, 0], [0, 0]]


def test_a_terminal_state_has_no_future() -> None:
    agent = chain_agent(learning_rate=0.5, gamma=0.9)
    agent.q_table[:] = 100.0
    assert agent._update(2, 1, 1.0, 4, terminated=True) == 99.0
    assert agent.q_table[2, 1] == 50.5


@pytest.mark.parametrize(
    ("truncate", "expected"), [(False, 1.0), (True, 1.0 + 0.5 * 8.0)], ids=["terminated", "cut"]
)
def test_the_future_counts_when_an_episode_was_merely_cut_off(
    truncate: bool, expected: float
) -> None:
    env = vec(functools.partial(Corridor, 2, truncate=truncate))
    agent = QLearning(env, learning_rate=1.0, gamma=0.5, seed=0)
    agent.q_table[0] = -1.0  # where the next episode begins
    agent.q_table[2] = 8.0  # where this one ends
    agent.learn(2)
    (action,) = np.flatnonzero(agent.visits[1])
    assert agent.q_table[1, action] == expected
    np.testing.assert_array_equal(agent.q_table[2], [8.0, 8.0])
    assert not agent.visits[2].any()


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=20))
def test_a_step_size_of_one_over_the_visits_averages_the_targets(rewards: list[float]) -> None:
    agent = chain_agent(learning_rate=1.0, learning_rate_power=1.0)
    for reward in rewards:
        agent._update(0, 1, reward, 4, terminated=True)
    assert agent.q_table[0, 1] == pytest.approx(np.mean(rewards), abs=1e-9)


@pytest.mark.parametrize(
    ("power", "minimum", "n_visits", "alpha"),
    [
        (0.0, 0.0, 100, 0.8),
        (0.5, 0.0, 1, 0.8),
        (0.5, 0.0, 4, 0.4),
        (1.0, 0.0, 8, 0.1),
        (1.0, 0.25, 2, 0.4),
        (1.0, 0.25, 8, 0.25),
    ],
)
def test_the_step_size_falls_with_the_visits_of_its_own_pair(
    power: float, minimum: float, n_visits: int, alpha: float
) -> None:
    agent = chain_agent(learning_rate=0.8, learning_rate_power=power, learning_rate_min=minimum)
    agent.visits[:] = 1_000
    agent.visits[2, 1] = n_visits
    assert agent._step_size(2, 1) == pytest.approx(alpha)


def test_the_first_visit_is_updated_with_the_whole_learning_rate() -> None:
    agent = chain_agent(learning_rate=0.8, learning_rate_power=1.0)
    agent._update(0, 1, 10.0, 1, terminated=True)
    assert agent.q_table[0, 1] == pytest.approx(8.0)


def test_the_step_size_follows_the_schedule_of_the_budget() -> None:
    agent = chain_agent(learning_rate=lambda remaining: remaining)
    agent._total_timesteps = 10
    agent.num_timesteps = 4
    assert agent._step_size(0, 0) == pytest.approx(0.6)


def test_every_entry_begins_at_the_initial_value() -> None:
    np.testing.assert_array_equal(chain_agent(initial_q=3.5).q_table, np.full((5, 2), 3.5))


# --- exploration --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "at", "epsilon"),
    [
        ("linear", 0, 0.8),
        ("linear", 25, 0.5),
        ("linear", 50, 0.2),
        ("linear", 75, 0.2),
        ("linear", 100, 0.2),
        ("exponential", 0, 0.8),
        ("exponential", 25, 0.4),
        ("exponential", 50, 0.2),
        ("exponential", 100, 0.2),
    ],
)
def test_epsilon_falls_over_its_fraction_of_the_budget(
    schedule: Any, at: int, epsilon: float
) -> None:
    agent = chain_agent(
        exploration_initial_eps=0.8,
        exploration_final_eps=0.2,
        exploration_fraction=0.5,
        exploration_schedule=schedule,
    )
    agent._total_timesteps = 100
    agent.num_timesteps = at
    assert agent.exploration_rate == pytest.approx(epsilon)


@pytest.mark.parametrize(("initial", "final"), [(1.0, 0.0), (0.0, 0.1)])
def test_equal_ratios_cannot_lead_from_or_to_zero(initial: float, final: float) -> None:
    with pytest.raises(ValueError, match="exponential"):
        chain_agent(
            exploration_schedule="exponential",
            exploration_initial_eps=initial,
            exploration_final_eps=final,
        )


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_a_random_action_is_taken_with_probability_epsilon(epsilon: float) -> None:
    agent = chain_agent(exploration_initial_eps=epsilon, exploration_final_eps=epsilon)
    agent.q_table[2] = [1.0, 0.0]
    n = 4_000
    others = sum(agent._explore(2) == 1 for _ in range(n))
    deviation = math.sqrt(n * 0.25)
    assert abs(others - n * epsilon / 2) <= (4 * deviation if epsilon else 0)


def test_ties_are_broken_at_random_while_learning() -> None:
    agent = QLearning(vec(functools.partial(Match, 4)), seed=0)
    agent.q_table[0] = [1.0, 2.0, 2.0, 2.0]
    chosen = [agent._greedy_action(0) for _ in range(600)]
    counts = np.bincount(chosen, minlength=4)
    assert counts[0] == 0
    assert (counts[1:] > 150).all()


def test_a_confidence_bound_tries_every_action_once_before_any_twice() -> None:
    agent = QLearning(vec(functools.partial(Match, 4)), exploration="ucb", seed=0)
    agent.q_table[1] = [5.0, 0.0, -3.0, 1.0]
    tried = []
    for _ in range(4):
        tried.append(agent._explore(1))
        agent.visits[1, tried[-1]] += 1
    assert sorted(tried) == [0, 1, 2, 3]
    assert agent._explore(1) == 0


def test_the_order_of_untried_actions_is_random() -> None:
    first = {QLearning(vec(Match), exploration="ucb", seed=seed)._explore(0) for seed in range(20)}
    assert first == {0, 1, 2}


@pytest.mark.parametrize(
    ("visits", "coefficient", "best"),
    [
        ([10, 10], 1.0, 0),  # equal bonuses: the larger value
        # √(ln 100 / 10) − √(ln 100 / 90) = 0.452: it outweighs 0.4 from c = 0.884 on
        ([90, 10], 0.88, 0),
        ([90, 10], 0.89, 1),
        ([90, 10], 0.0, 0),
    ],
)
def test_a_confidence_bound_weighs_value_against_ignorance(
    visits: list[int], coefficient: float, best: int
) -> None:
    agent = chain_agent(exploration="ucb", ucb_coef=coefficient)
    agent.visits[:] = 10**6  # what was tried elsewhere does not count
    agent.q_table[1], agent.visits[1] = [1.0, 0.6], visits
    assert agent._explore(1) == best


def test_the_same_seed_explores_the_same_way() -> None:
    tables = [
        QLearning(vec(functools.partial(Chain, 5)), seed=seed).learn(200).q_table
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(tables[0], tables[1])
    assert not np.array_equal(tables[0], tables[2])


# --- learning -----------------------------------------------------------------------------------


def optimal_q(n_states: int, gamma: float) -> np.ndarray:
    """Give Q* of the chain: V*(s) = γ^(n − 2 − s), and a step to the left costs its return."""
    values = np.array([gamma ** (n_states - 2 - s) for s in range(n_states - 1)])
    left = gamma * values[[0, *range(n_states - 2)]]
    return np.vstack([np.column_stack([left, values]), np.zeros((1, 2))])


def test_the_closed_form_satisfies_bellmans_equation() -> None:
    q = optimal_q(5, 0.5)
    values = q.max(axis=1)
    for s in range(4):
        assert q[s, 0] == 0.5 * values[max(s - 1, 0)]
        assert q[s, 1] == (1.0 if s == 3 else 0.5 * values[s + 1])


@pytest.mark.parametrize("n_envs", [1, 3])
def test_it_converges_to_the_exact_optimum_of_a_deterministic_chain(n_envs: int) -> None:
    env = vec(*[functools.partial(Chain, 5)] * n_envs)
    agent = QLearning(env, learning_rate=1.0, gamma=0.5, exploration_final_eps=1.0, seed=0).learn(
        3_000
    )
    np.testing.assert_array_equal(agent.q_table, optimal_q(5, 0.5))


def test_cutting_episodes_short_does_not_change_what_it_converges_to() -> None:
    env = vec(lambda: gym.wrappers.TimeLimit(Chain(5), max_episode_steps=6))
    agent = QLearning(env, learning_rate=1.0, gamma=0.5, exploration_final_eps=1.0, seed=0).learn(
        6_000
    )
    np.testing.assert_array_equal(agent.q_table, optimal_q(5, 0.5))


@pytest.mark.parametrize(
    "keywords",
    [
        {"exploration": "ucb"},
        {"initial_q": 1.0, "exploration_initial_eps": 0.1},
        {"exploration_schedule": "exponential"},
        {"learning_rate_power": 0.6, "learning_rate": 1.0},
    ],
    ids=lambda keywords: next(iter(keywords)),
)
def test_every_way_of_exploring_finds_the_way(keywords: dict[str, Any]) -> None:
    agent = chain_agent(**{"learning_rate": 0.5, "gamma": 0.9, **keywords}).learn(4_000)
    assert agent.predict(np.arange(4), deterministic=True)[0].tolist() == [1, 1, 1, 1]


def test_every_step_of_every_environment_is_one_update() -> None:
    env = vec(*[functools.partial(Chain, 5)] * 4)
    agent = QLearning(env, seed=0).learn(42)
    assert agent.num_timesteps == agent.visits.sum() == 44


def test_actions_that_do_not_begin_at_zero_reach_the_environment_as_they_are_called() -> None:
    env = vec(functools.partial(Match, 3, first_action=5))
    agent = QLearning(env, learning_rate=0.5, seed=0).learn(1_000)
    assert agent.predict(np.arange(3), deterministic=True)[0].tolist() == [5, 6, 7]
    assert all(map(agent.action_space.contains, agent.predict(np.arange(3))[0]))


@pytest.fixture(scope="module")
def blackjack() -> QLearning:
    env = vec(*[lambda: Monitor(gym.make("Blackjack-v1", sab=True))] * 4)
    agent = QLearning(env, learning_rate=0.05, gamma=1.0, exploration_final_eps=1.0, seed=0)
    return agent.learn(12_000)


def test_blackjacks_tuples_are_rows_of_one_table(blackjack: QLearning) -> None:
    n_states = math.prod(int(part.n) for part in blackjack.observation_space)
    assert blackjack.q_table.shape == (n_states, 2)
    assert blackjack.visits.sum() == 12_000


@pytest.mark.parametrize(
    ("hand", "action"),
    [
        ((20, 10, 0), 0),
        ((19, 10, 0), 0),
        ((11, 10, 0), 1),
        ((10, 10, 0), 1),
    ],
)
def test_it_learns_when_to_stick_and_when_to_hit(
    blackjack: QLearning, hand: tuple[int, int, int], action: int
) -> None:
    assert blackjack.predict(hand, deterministic=True)[0] == action


def test_a_batch_of_tuples_gets_one_action_each(blackjack: QLearning) -> None:
    hands = (np.array([20, 11]), np.array([10, 10]), np.array([0, 0]))
    assert blackjack.predict(hands, deterministic=True)[0].tolist() == [0, 1]


# --- predicting ---------------------------------------------------------------------------------


def test_one_observation_gives_one_action_and_a_batch_a_batch() -> None:
    agent = chain_agent()
    assert agent.predict(3, deterministic=True)[0].shape == ()
    assert agent.predict(np.array([3]), deterministic=True)[0].shape == (1,)
    assert agent.predict(np.array([3, 0]), deterministic=True)[0].shape == (2,)


def test_the_greedy_action_is_always_the_same_even_in_a_tie() -> None:
    agent = chain_agent()
    before = agent.rng.bit_generator.state
    assert {int(agent.predict(0, deterministic=True)[0]) for _ in range(20)} == {0}
    assert agent.rng.bit_generator.state == before


def test_a_stochastic_prediction_explores_by_epsilon_and_leaves_training_undisturbed() -> None:
    agent = chain_agent(exploration_initial_eps=0.5, exploration_final_eps=0.5)
    agent.q_table[:, 1] = 1.0
    before = agent.rng.bit_generator.state
    np.random.seed(0)  # noqa: NPY002 - SB3's evaluations draw from the global generator
    actions, _ = agent.predict(np.zeros(4_000, dtype=int))
    assert np.mean(actions == 0) == pytest.approx(0.25, abs=0.03)
    assert agent.rng.bit_generator.state == before


# --- saving -------------------------------------------------------------------------------------


def test_a_loaded_table_is_the_saved_one(tmp_path: Path) -> None:
    trained = chain_agent().learn(300)
    trained.save(str(tmp_path / "q_table.npz"))
    loaded = chain_agent()
    load_parameters(loaded, str(tmp_path / "q_table.npz"))
    np.testing.assert_array_equal(loaded.q_table, trained.q_table)
    np.testing.assert_array_equal(loaded.visits, trained.visits)
    assert loaded.num_timesteps == 300
    assert loaded.q_table.any()


def test_a_loaded_agent_continues_exactly_as_the_saved_one_would(tmp_path: Path) -> None:
    trained = chain_agent(learning_rate_power=0.7).learn(150)
    trained.save(str(tmp_path / "q_table.npz"))
    loaded = QLearning(vec(functools.partial(Chain, 5)), learning_rate_power=0.7, seed=99)
    load_parameters(loaded, str(tmp_path / "q_table.npz"))
    for agent in (trained, loaded):
        agent.learn(150, reset_num_timesteps=False)
    assert loaded.num_timesteps == trained.num_timesteps == 300
    np.testing.assert_array_equal(loaded.visits, trained.visits)
    np.testing.assert_array_equal(loaded.q_table, trained.q_table)


def test_a_loaded_agent_explores_as_the_saved_one_does(tmp_path: Path) -> None:
    trained = chain_agent(exploration_initial_eps=1.0, exploration_final_eps=0.0)
    trained.learn(100, lambda _locals, _globals: trained.num_timesteps < 40)  # half-way
    trained.q_table[:] = [0.0, 1.0]
    trained.save(str(tmp_path / "q_table.npz"))
    loaded = chain_agent(exploration_initial_eps=1.0, exploration_final_eps=0.0)
    load_parameters(loaded, str(tmp_path / "q_table.npz"))
    actions = []
    for agent in (trained, loaded):
        np.random.seed(0)  # noqa: NPY002 - SB3's evaluations draw from the global generator
        actions.append(agent.predict(np.zeros(1_000, dtype=int))[0])
    np.testing.assert_array_equal(actions[0], actions[1])


def test_what_is_saved_is_read_from_the_same_path_whatever_it_is_called(tmp_path: Path) -> None:
    agent = chain_agent().learn(100)
    agent.save(str(tmp_path / "best_model"))
    loaded = chain_agent()
    load_parameters(loaded, str(tmp_path / "best_model"))
    np.testing.assert_array_equal(loaded.q_table, agent.q_table)


def test_a_table_of_another_shape_is_a_checkpoint_error(tmp_path: Path) -> None:
    chain_agent(5).save(str(tmp_path / "q_table.npz"))
    with pytest.raises(CheckpointError, match=r"the saved table has shape \(5, 2\), not \(6, 2\)"):
        load_parameters(chain_agent(6), str(tmp_path / "q_table.npz"))


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "truncated", "another"])
def test_a_damaged_file_is_a_checkpoint_error(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "q_table.npz"
    agent = chain_agent()
    if damage == "another":
        np.savez(path, other=np.zeros(3))
    elif damage != "missing":
        agent.save(str(path))
        content = path.read_bytes()
        damaged = {"empty": b"", "text": b"no table", "truncated": content[: len(content) // 2]}
        path.write_bytes(damaged[damage])
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_parameters(agent, str(path))


def test_nothing_is_unpickled_from_a_foreign_file(tmp_path: Path) -> None:
    agent = chain_agent()
    np.savez(
        tmp_path / "q_table.npz",
        q_table=np.array([[object()] * 2] * 5),
        visits=agent.visits,
        num_timesteps=0,
        rng_state="{}",
    )
    with pytest.raises(CheckpointError, match="allow_pickle"):
        load_parameters(agent, str(tmp_path / "q_table.npz"))


# --- metrics ------------------------------------------------------------------------------------


class _Written(KVWriter):
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def write(self, key_values: dict[str, Any], key_excluded: object, step: int = 0) -> None:
        del key_excluded
        self.rows.append({"step": step, **key_values})

    def close(self) -> None:
        pass


def test_metrics_are_written_under_sb3s_names_every_so_many_episodes() -> None:
    agent = QLearning(vec(lambda: Monitor(Chain(3))), exploration_fraction=1.0, seed=0)
    written = _Written()
    agent.set_logger(Logger(None, [written]))
    agent.learn(1_000, log_interval=50)
    assert [row["time/episodes"] for row in written.rows[:-1]] == [
        50 * i for i in range(1, len(written.rows))
    ]
    assert 0 <= written.rows[-1]["time/episodes"] - written.rows[-2]["time/episodes"] < 50
    last = written.rows[-1]
    assert last["rollout/ep_rew_mean"] == 1.0
    assert last["rollout/ep_len_mean"] >= 2.0
    assert last["step"] == last["time/total_timesteps"] == 1_000
    assert last["train/table_coverage"] == pytest.approx(4 / 6)  # nothing is done at the end
    assert last["train/learning_rate"] == 0.1
    errors = [row["train/mean_abs_td_error"] for row in written.rows]
    assert 0 < errors[1] < errors[0] / 5  # each row tells of its own episodes only
    assert written.rows[0]["rollout/exploration_rate"] > last["rollout/exploration_rate"] > 0.05
