import gymnasium as gym
import pytest
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback

from rl_runner.agents.algorithms.geometric_dqn import GeometricDQN


class Rates(BaseCallback):
    def __init__(self) -> None:
        super().__init__()
        self.rates: list[float] = []

    def _on_step(self) -> bool:
        self.rates.append(self.model.exploration_rate)
        return True


def make(**keywords) -> GeometricDQN:
    env = gym.make("CartPole-v1")
    return GeometricDQN("MlpPolicy", env, seed=0, buffer_size=500, device="cpu", **keywords)


def test_exploration_falls_by_equal_ratios_to_its_minimum():
    agent, rates = make(exploration_decay=0.9, exploration_final_eps=0.2), Rates()
    agent.learn(40, rates)
    expected = [max(0.2, 0.9 ** (t + 1)) for t in range(40)]
    assert agent.exploration_rate == pytest.approx(0.2)
    assert rates.rates[1:] == pytest.approx(expected[:-1])


def test_a_resumed_run_continues_with_the_same_rate():
    agent = make(exploration_decay=0.99)
    agent.learn(10)
    agent.learn(10, reset_num_timesteps=False)
    assert agent.num_timesteps >= 20
    assert agent.exploration_rate == pytest.approx(0.99**agent.num_timesteps)


def test_the_sources_decay_reaches_its_minimum_after_919_steps():
    assert 0.995**918 > 0.01 > 0.995**919


def test_stock_dqn_reads_its_file(tmp_path):
    agent = make()
    agent.learn(20)
    agent.save(tmp_path / "model.zip")
    stock = DQN.load(tmp_path / "model.zip", device="cpu")
    observation, _ = agent.get_env().envs[0].reset(seed=1)
    assert (
        stock.predict(observation, deterministic=True)[0]
        == agent.predict(observation, deterministic=True)[0]
    )
