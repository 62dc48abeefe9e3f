from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize

from rl_runner.agents.algorithms.q_learning import QLearning
from rl_runner.agents.fast.kernels.tabular import CHOICE, DRAWS, EXPLORE, START, TRANSITION
from rl_runner.agents.fast.q_learning import FastQLearning
from rl_runner.agents.fast.reasons import reason_against_q_learning
from rl_runner.agents.schedules import build_schedule
from rl_runner.config import EnvConfig
from rl_runner.config.schedules import ScheduleConfig
from rl_runner.envs import build_env

LAKE = EnvConfig(id="FrozenLake-v1", time_limit=20)
CLIFF = EnvConfig(id="CliffWalking-v1", kwargs={"is_slippery": True}, time_limit=30)


def table_of(config: EnvConfig) -> Any:
    return gym.make(config.id, **config.kwargs).unwrapped


def draw(probabilities: Any, uniform: float) -> int:
    """As Gymnasium's toy-text environments draw."""
    return int(np.argmax(np.cumsum(probabilities) > uniform))


class ScriptedWorld(DummyVecEnv):
    """The environment's table, stepped with given numbers."""

    def __init__(self, config: EnvConfig, n_envs: int, uniforms: np.ndarray) -> None:
        super().__init__([lambda: gym.make(config.id, **config.kwargs)] * n_envs)
        self.world, self.limit, self.uniforms = table_of(config), config.time_limit, uniforms
        self.time, self.lengths = 0, np.zeros(n_envs, dtype=int)

    def reset(self) -> Any:
        start = int(np.argmax(self.world.initial_state_distrib))
        self.at = np.full(self.num_envs, start)
        return self.at.copy()

    def step(self, actions: np.ndarray) -> Any:
        rewards = np.zeros(self.num_envs, np.float32)
        dones, infos = np.zeros(self.num_envs, bool), []
        for i, action in enumerate(actions):
            uniform = self.uniforms[self.time, i]
            outcomes = self.world.P[int(self.at[i])][int(action)]
            k = draw([outcome[0] for outcome in outcomes], uniform[TRANSITION])
            _, state, rewards[i], terminated = outcomes[k]
            self.lengths[i] += 1
            truncated = self.lengths[i] >= (self.limit or 0)
            info: dict[str, Any] = {"TimeLimit.truncated": truncated and not terminated}
            if terminated or truncated:
                dones[i] = True
                info["terminal_observation"] = state
                info["episode"] = {"r": 0.0, "l": int(self.lengths[i])}
                state = draw(self.world.initial_state_distrib, uniform[START])
                self.lengths[i] = 0
            self.at[i] = state
            infos.append(info)
        self.time += 1
        return self.at.copy(), rewards, dones, infos


class Scripted(QLearning):
    """The readable loop, its choices made by given numbers."""

    def __init__(self, env: ScriptedWorld, **keywords: Any) -> None:
        super().__init__(env, **keywords)
        self.uniforms, self.calls = env.uniforms, 0
        self.rng: Any = self

    def _explore(self, state: int) -> int:
        self.now = self.uniforms[self.calls // self.n_envs, self.calls % self.n_envs]
        self.calls += 1
        return super()._explore(state)

    def random(self) -> float:
        return float(self.now[EXPLORE])

    def integers(self, n: int) -> int:
        return int(self.now[CHOICE] * n)

    def choice(self, among: Any) -> Any:
        return among[int(self.now[CHOICE] * len(among))]


def linear(initial: float, final: float) -> Any:
    return build_schedule(ScheduleConfig(schedule="linear", initial=initial, final=final))


CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "optimistic": {"initial_q": 1.0, "exploration_final_eps": 0.0},
    "falling step size": {"learning_rate": 1.0, "learning_rate_power": 0.7},
    "bounded step size": {
        "learning_rate_power": 0.5,
        "learning_rate_min": 0.04,
        "exploration_schedule": "exponential",
    },
    "scheduled step size": {"learning_rate": linear(0.5, 0.05), "exploration_fraction": 0.3},
    "confidence": {"exploration": "ucb", "ucb_coef": 0.5, "initial_q": 0.5},
}


@pytest.mark.parametrize("n_envs", [1, 3])
@pytest.mark.parametrize("config", [LAKE, CLIFF], ids=["lake", "cliff"])
@pytest.mark.parametrize("case", CASES)
def test_the_table_equals_the_readable_loops(case: str, config: EnvConfig, n_envs: int):
    steps = 2000
    uniforms = np.random.default_rng(7).random((steps, n_envs, DRAWS))
    readable = Scripted(ScriptedWorld(config, n_envs, uniforms), **CASES[case])
    compiled = FastQLearning(build_env(config, range(n_envs)), seed=7, **CASES[case])
    for agent in (readable, compiled):
        agent.learn(steps * n_envs)
    np.testing.assert_array_equal(compiled.visits, readable.visits)
    np.testing.assert_allclose(compiled.q_table, readable.q_table, rtol=1e-12)
    assert len(np.unique(compiled.q_table)) > 10
    assert compiled.num_timesteps == readable.num_timesteps
    lengths = [[info["l"] for info in agent.ep_info_buffer] for agent in (compiled, readable)]
    assert lengths[0] == lengths[1]


def test_reported_returns_are_the_sums_of_rewards():
    agent = FastQLearning(build_env(CLIFF, [0]), seed=0)
    agent.learn(3000)
    assert all(info["r"] <= -min(info["l"], 13) for info in agent.ep_info_buffer)
    truncated = [info for info in agent.ep_info_buffer if info["l"] == 30]
    assert truncated
    assert all((-info["r"] - 30) % 99 == 0 for info in truncated)  # the cliff costs 99 more


class Called(BaseCallback):
    """Notes when it is called; wants to be called at given timesteps, or says nothing of it."""

    def __init__(self, *at: int) -> None:
        super().__init__()
        self.at, self.times = list(at), []

    def _on_step(self) -> bool:
        self.times.append(self.num_timesteps)
        return self.num_timesteps < 1000


class Punctual(Called):
    @property
    def next_timestep(self) -> float:
        return next((at for at in self.at if at > self.num_timesteps), float("inf"))


def test_callbacks_are_called_when_they_want_to_be():
    punctual, unspoken = Punctual(100, 101, 950), Called()
    FastQLearning(build_env(LAKE, [0, 1]), seed=0).learn(960, punctual)
    assert {100, 102, 950, 960} <= set(punctual.times)
    FastQLearning(build_env(LAKE, [0, 1]), seed=0).learn(2000, [unspoken])
    assert unspoken.times == list(range(2, 1002, 2))  # and asked to stop


def test_how_often_it_is_interrupted_changes_nothing():
    once, often = (FastQLearning(build_env(LAKE, [0, 1]), seed=3) for _ in range(2))
    once.learn(1500)
    often.learn(1500, lambda *_: True)
    np.testing.assert_array_equal(once.q_table, often.q_table)
    assert once.rng.bit_generator.state == often.rng.bit_generator.state


def test_files_are_those_of_the_readable_loop(tmp_path: Path):
    compiled = FastQLearning(build_env(LAKE, [0]), seed=3)
    compiled.learn(1000)
    compiled.save(str(tmp_path / "q_table.npz"))
    readable = QLearning(build_env(LAKE, [0]))
    readable.load_parameters(str(tmp_path / "q_table.npz"))
    np.testing.assert_array_equal(readable.q_table, compiled.q_table)
    readable.learn(100, reset_num_timesteps=False)
    assert readable.num_timesteps == 1100


class Talkative(gym.Env[int, int]):
    """A table that does not fit what is observed."""

    def __init__(self) -> None:
        self.observation_space, self.action_space = spaces.Discrete(5, start=1), spaces.Discrete(2)
        self.P, self.initial_state_distrib = {0: {0: [(1.0, 0, 0.0, True)]}}, [1.0]


class TollLake(FrozenLakeEnv):
    """Every step costs something, of which the table it inherits does not know."""

    def step(self, action: int) -> Any:
        state, reward, *ends = super().step(action)
        return state, reward - 0.1, *ends


class EndlessLake(FrozenLakeEnv):
    """It may go on where the table's episodes end."""

    def step(self, action: int) -> Any:
        state, reward, terminated, truncated, info = super().step(action)
        return state, reward, terminated and reward > 0, truncated, info


def normalized() -> VecEnv:
    return VecNormalize(build_env(LAKE, [0]), norm_obs=False)


REFUSED: dict[str, tuple[Any, str]] = {
    "no table": (lambda: build_env(EnvConfig(id="Blackjack-v1"), [0]), "without a transition"),
    "normalised": (normalized, "not stepped one by one"),
    "wrapped": (
        lambda: DummyVecEnv([lambda: gym.wrappers.TransformReward(gym.make("Taxi-v4"), float)]),
        "the wrapper TransformReward",
    ),
    "fickle": (
        lambda: build_env(EnvConfig(id="Taxi-v4", kwargs={"fickle_passenger": True}), [0]),
        "fickle passengers",
    ),
    "other states": (lambda: DummyVecEnv([Talkative]), "other than the table's"),
    "other rewards": (lambda: DummyVecEnv([TollLake]), "not those of their transition table"),
    "other ends": (lambda: DummyVecEnv([EndlessLake]), "not those of their transition table"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_environments_are_left_to_the_readable_loop(case: str):
    build, reason = REFUSED[case]
    assert reason in str(reason_against_q_learning(QLearning(build())))


@pytest.mark.parametrize("config", [LAKE, CLIFF, EnvConfig(id="Taxi-v4")])
def test_environments_with_a_table_are_taken(config: EnvConfig):
    assert reason_against_q_learning(QLearning(build_env(config, [0]))) is None
