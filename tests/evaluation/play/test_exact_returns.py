from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from scipy.stats import binom

from rl_runner.config import EnvConfig
from rl_runner.config.environment import NormalizeConfig, WrapperConfig
from rl_runner.envs import build_env
from rl_runner.evaluation.play.episodes import play_episodes
from rl_runner.evaluation.play.exact_returns import (
    ExactScorer,
    TransitionTable,
    exact_score,
    transition_table,
)
from rl_runner.evaluation.play.loaded_run import load_run

LAKE = EnvConfig(id="FrozenLake-v1")
LARGE_LAKE = EnvConfig(id="FrozenLake-v1", kwargs={"map_name": "8x8"}, time_limit=100)
LAKE_8X8 = EnvConfig(id="FrozenLake8x8-v1")


def _table(config: EnvConfig) -> TransitionTable:
    table = transition_table(config)
    assert table is not None
    return table


def _greedy(table: TransitionTable, gamma: float) -> np.ndarray:
    """Find the policy that is optimal for ``gamma`` if episodes are never cut."""
    values, before = np.zeros(len(table.initial)), np.ones(len(table.initial))
    while np.abs(values - before).max() > 1e-10:
        q_table = table.rewards + gamma * table.continues @ values
        before, values = values, q_table.max(axis=1)
    return np.asarray(q_table.argmax(axis=1))


class Acting:
    """An agent that acts by a list: one action per state."""

    def __init__(self, actions: np.ndarray, state: Any = None) -> None:
        self.actions, self.state = actions, state
        self.action_space = spaces.Discrete(6)

    def predict(self, observation: Any, *_: Any, **__: Any) -> tuple[np.ndarray, Any]:
        return self.actions[np.asarray(observation)], self.state

    def get_vec_normalize_env(self) -> None:
        return None


@pytest.mark.parametrize(
    ("config", "optimum"),
    [
        (LAKE, 0.744),
        (LARGE_LAKE, 0.641),
        (LAKE_8X8, 0.913),
        (EnvConfig(id="CliffWalking-v1"), -13.0),
        (EnvConfig(id="Taxi-v4"), 7.93),
    ],
    ids=lambda value: value.id if isinstance(value, EnvConfig) else str(value),
)
def test_the_best_possible_returns_are_the_published_ones(config: EnvConfig, optimum: float):
    assert _table(config).optimal_return() == pytest.approx(optimum, abs=0.0051)


@pytest.mark.parametrize(
    ("config", "gamma", "success"),
    [(LAKE, 0.99, 0.740), (LARGE_LAKE, 0.99, 0.632), (LAKE_8X8, 0.99, 0.863)],
    ids=["4x4", "8x8", "FrozenLake8x8-v1"],
)
def test_greedy_policies_succeed_as_often_as_published(
    config: EnvConfig, gamma: float, success: float
):
    table = _table(config)
    assert table.policy_return(_greedy(table, gamma)) == pytest.approx(success, abs=0.0006)


def test_no_policy_is_better_than_the_optimum():
    table = _table(LAKE)
    rng = np.random.default_rng(0)
    returns = [table.policy_return(rng.integers(4, size=16)) for _ in range(200)]
    assert max(returns) <= table.optimal_return() + 1e-12
    assert min(returns) >= 0


def test_a_table_of_two_states_by_hand():
    stay = np.zeros((2, 2, 2))
    stay[0, 0] = [0.5, 0.5]  # action 0: half stay, half move on
    stay[1, 0] = [0.0, 0.5]  # there, half of the episodes end
    table = TransitionTable(stay, np.array([[1.0, 9.0], [2.0, 5.0]]), np.array([1.0, 0.0]), 3)
    # v1 = (1, 2); v2 = (1 + 1.5, 2 + 1) = (2.5, 3); v3 = 1 + (2.5 + 3) / 2
    assert table.policy_return(np.array([0, 0])) == 3.75
    assert table.policy_return(np.array([1, 0])) == 9.0  # ends at once


@pytest.mark.parametrize(
    "config",
    [
        EnvConfig(id="FrozenLake-v1", time_limit=30),
        EnvConfig(id="FrozenLake-v1", kwargs={"is_slippery": False}),
        EnvConfig(id="CliffWalking-v1", kwargs={"is_slippery": True}, time_limit=40),
        EnvConfig(id="Taxi-v4", kwargs={"is_rainy": True}, time_limit=15),
    ],
    ids=lambda config: f"{config.id} {config.kwargs}",
)
def test_the_exact_return_is_the_mean_of_many_episodes(config: EnvConfig):
    actions = _greedy(_table(config), 0.99)
    agent: Any = Acting(actions)
    exact = exact_score(agent, config)
    env = build_env(config, range(50), training=False)
    episodes = play_episodes(agent, env, list(range(500)))
    env.close()
    error = episodes.std_reward / np.sqrt(500)
    assert exact is not None
    assert exact.mean_reward == pytest.approx(episodes.mean_reward, abs=4 * error + 1e-9)


def test_a_passenger_who_changes_the_destination_is_not_in_the_table():
    fickle = {"fickle_passenger": True, "fickle_probability": 1.0}
    assert transition_table(EnvConfig(id="Taxi-v4", kwargs=fickle)) is None
    assert transition_table(EnvConfig(id="Taxi-v4")) is not None


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Blackjack-v1", "BitFlipping-v0"])
def test_other_environments_have_no_table(env_id: str):
    assert transition_table(EnvConfig(id=env_id)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"wrappers": (WrapperConfig(name="gymnasium.wrappers.TimeAwareObservation"),)},
        {"frame_stack": 2},
        {"normalize": NormalizeConfig(observations=True)},
    ],
    ids=["wrappers", "frame_stack", "normalize"],
)
def test_what_the_agent_sees_must_be_the_state(change: dict[str, Any]):
    agent: Any = Acting(np.zeros(16, dtype=int))
    assert exact_score(agent, LAKE) is not None
    assert exact_score(agent, LAKE.model_copy(update=change)) is None


def test_an_agent_with_a_memory_has_no_exact_return():
    agent: Any = Acting(np.zeros(16, dtype=int), state=np.zeros(1))
    assert exact_score(agent, LAKE) is None


def test_a_run_reports_the_exact_return_of_its_agents(trained: Callable[[str], Any]):
    before = trained("q_learning")
    for checkpoint in ("last", "best"):
        agent: Any = load_run(before.path, checkpoint).agent  # type: ignore[arg-type]
        expected = _table(LAKE).policy_return(agent.q_table.argmax(axis=1))
        assert before.results[checkpoint]["exact_mean_reward"] == expected


@pytest.mark.parametrize("name", ["ppo", "stochastic"])
def test_a_run_reports_no_exact_return_where_there_is_none(
    trained: Callable[[str], Any], name: str
):
    assert "exact_mean_reward" not in trained(name).results["last"]


def test_the_agent_is_asked_for_its_deterministic_policy():
    asked: list[Any] = []

    class Asked:
        def predict(self, observation: Any, **keywords: Any) -> tuple[np.ndarray, None]:
            asked.append((np.asarray(observation).tolist(), keywords.get("deterministic")))
            return np.zeros(len(observation), dtype=int), None

    exact_score(Asked(), LAKE)
    assert asked == [(list(range(16)), True)]


# --- a chain whose values are known in closed form -----------------------------------------------


def _chain(n_states: int, p: float, quit_reward: float, time_limit: int) -> TransitionTable:
    """Action 0 steps right with probability p, and is paid 1 at the end; action 1 gives up."""
    continues = np.zeros((n_states, 2, n_states))
    rewards = np.zeros((n_states, 2))
    for state in range(n_states):
        continues[state, 0, state] = 1 - p
        if state + 1 < n_states:
            continues[state, 0, state + 1] = p
    rewards[-1, 0] = p
    rewards[:, 1] = quit_reward
    initial = np.eye(n_states)[0]
    return TransitionTable(continues, rewards, initial, time_limit)


@pytest.mark.parametrize("p", [1.0, 0.6, 0.1])
@pytest.mark.parametrize("gamma", [0.5, 0.9, 0.999])
def test_the_values_of_a_chain_are_those_of_the_closed_form(p: float, gamma: float):
    # A step forward takes a geometric time T with E[γ^T] = γ p / (1 − γ (1 − p)); k of them are
    # independent, and the reward comes at the last step, not after it: v = E[γ^T]^k / γ.
    n_states, quit_reward = 6, 0.3
    table = _chain(n_states, p, quit_reward, 10)
    advance = gamma * p / (1 - gamma * (1 - p))
    walking = advance ** np.arange(n_states, 0, -1) / gamma
    np.testing.assert_allclose(table.discounted_values(np.zeros(6, dtype=int), gamma), walking)
    best = table.greedy_actions(gamma)
    np.testing.assert_array_equal(best, walking < quit_reward)
    values = table.discounted_values(best, gamma)
    np.testing.assert_allclose(values, np.maximum(walking, quit_reward))


@pytest.mark.parametrize("p", [0.9, 0.4])
@pytest.mark.parametrize("time_limit", [1, 3, 4, 20])
def test_the_optimum_of_a_chain_with_a_time_limit_is_a_binomial_tail(p: float, time_limit: int):
    # The end is reached in time with probability P(Binomial(time_limit, p) >= 3).
    table = _chain(3, p, 0.0, time_limit)
    arrive = float(binom.sf(2, time_limit, p))
    assert table.optimal_return() == pytest.approx(arrive, abs=1e-12)
    assert table.policy_return(np.zeros(3, dtype=int)) == pytest.approx(arrive, abs=1e-12)
    assert table.random_return() <= arrive + 1e-12


def test_with_few_steps_left_the_best_policy_of_a_chain_gives_up():
    table = _chain(3, 1.0, 0.5, 3)
    actions = table.optimal_actions()
    assert actions.shape == (3, 3)
    assert actions[0].tolist() == [1, 1, 0]  # one step left: only the last state gets there
    assert actions[1, 1:].tolist() == [0, 0]  # in the first state both ways pay .5 at last
    assert actions[2].tolist() == [0, 0, 0]
    assert table.optimal_return() == 1.0


def test_policy_iteration_agrees_with_value_iteration():
    for config in (LAKE, LAKE_8X8, EnvConfig(id="Taxi-v4", time_limit=50)):
        table = _table(config)
        ours, theirs = table.greedy_actions(0.97), _greedy(table, 0.97)
        np.testing.assert_allclose(
            table.discounted_values(ours, 0.97), table.discounted_values(theirs, 0.97), atol=1e-8
        )


@pytest.mark.parametrize("gamma", [1.0, -0.1, 1.5])
def test_an_endless_problem_needs_a_discount(gamma: float):
    with pytest.raises(ValueError, match="discount"):
        _table(LAKE).greedy_actions(gamma)


def test_the_random_policy_has_the_published_return():
    assert _table(LAKE).random_return() == pytest.approx(0.014, abs=0.0005)
    assert _table(LAKE_8X8).random_return() == pytest.approx(0.002, abs=0.0005)


def test_regret_is_what_the_best_policy_gets_more():
    scorer = ExactScorer.for_env(LAKE)
    assert scorer is not None
    agent: Any = Acting(_greedy(scorer.table, 0.99))
    score = scorer.score(agent)
    assert score is not None
    assert score.describe() == {
        "exact_mean_reward": pytest.approx(0.7402, abs=1e-4),
        "optimal_mean_reward": pytest.approx(0.7442, abs=1e-4),
        "regret": pytest.approx(0.0040, abs=1e-4),
    }


def test_an_agent_with_action_masks_has_no_exact_return():
    class Masked(Acting):
        def predict(self, observation: Any, *, action_masks: Any = None, **_: Any) -> Any:
            del action_masks
            return super().predict(observation)

    agent: Any = Masked(np.zeros(16, dtype=int))
    assert exact_score(agent, LAKE) is None
