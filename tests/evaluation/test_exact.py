from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from rl_runner.config import EnvConfig
from rl_runner.config.schema import NormalizeConfig, WrapperConfig
from rl_runner.envs import build_env
from rl_runner.evaluation.episodes import play_episodes
from rl_runner.evaluation.exact import TransitionTable, exact_mean_reward, transition_table
from rl_runner.evaluation.saved_agent import load_run

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
    exact = exact_mean_reward(agent, config)
    env = build_env(config, range(50), training=False)
    episodes = play_episodes(agent, env, list(range(500)))
    env.close()
    error = episodes.std_reward / np.sqrt(500)
    assert exact == pytest.approx(episodes.mean_reward, abs=4 * error + 1e-9)


def test_the_exact_return_is_not_given_for_dynamics_outside_the_table():
    fickle = {"fickle_passenger": True, "fickle_probability": 1.0}
    config = EnvConfig(id="Taxi-v4", kwargs=fickle, time_limit=30)
    plain = EnvConfig(id="Taxi-v4", time_limit=30)
    agent: Any = Acting(_greedy(_table(plain), 0.99))
    exact = exact_mean_reward(agent, config)
    env = build_env(config, range(50), training=False)
    episodes = play_episodes(agent, env, list(range(500)))
    env.close()
    error = episodes.std_reward / np.sqrt(500)
    assert exact is None or exact == pytest.approx(episodes.mean_reward, abs=4 * error)


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
    assert exact_mean_reward(agent, LAKE) is not None
    assert exact_mean_reward(agent, LAKE.model_copy(update=change)) is None


def test_an_agent_with_a_memory_has_no_exact_return():
    agent: Any = Acting(np.zeros(16, dtype=int), state=np.zeros(1))
    assert exact_mean_reward(agent, LAKE) is None


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

    def predict(observation: Any, **keywords: Any) -> tuple[np.ndarray, None]:
        asked.append((np.asarray(observation).tolist(), keywords.get("deterministic")))
        return np.zeros(len(observation), dtype=int), None

    exact_mean_reward(SimpleNamespace(predict=predict), LAKE)
    assert asked == [(list(range(16)), True)]
