from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
import twins
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv

from rl_runner.agents.algorithms.reinforce import Batch, Reinforce
from rl_runner.agents.fast.reasons import reason_against_reinforce
from rl_runner.agents.fast.reinforce import FastReinforce


def both(observations: str = "box", actions: str = "discrete", **keywords: Any) -> Any:
    agents = [
        agent_class(twins.world(observations, actions), seed=1, **keywords)
        for agent_class in (Reinforce, FastReinforce)
    ]
    for agent in agents:
        agent._total_timesteps = 100
    return agents


def made_up_batch(agent: Any, n: int, rng: np.random.Generator) -> Batch:
    obs = np.array([agent.observation_space.sample() for _ in range(n)])
    if agent.policy.discrete:
        actions = rng.integers(agent.action_space.n, size=n)
    else:
        actions = rng.normal(size=(n, 2)).astype(np.float32)
    returns = rng.normal(size=n).astype(np.float32)
    return Batch(agent._features(obs), torch.as_tensor(actions), torch.as_tensor(returns))


def assert_alike(stock: Any, fast: Any) -> None:
    for ours, theirs in zip(fast.all_parameters, stock.all_parameters, strict=True):
        np.testing.assert_allclose(ours.detach(), theirs.detach(), **twins.TOLERANCE)
    noted, expected = fast.logger.name_to_value, stock.logger.name_to_value
    assert noted.keys() == expected.keys()
    for tag, value in expected.items():
        np.testing.assert_allclose(noted[tag], value, rtol=1e-3, atol=1e-5, err_msg=tag)


@pytest.mark.parametrize("seed", range(12))
def test_updates_equal_the_readable_ones(seed: int):
    rng = np.random.default_rng(seed)
    stock, fast = both(
        *twins.SPACES[seed % len(twins.SPACES)],
        learning_rate=twins.choose(rng, 1e-3, 1e-2),
        baseline=("none", "mean", "value")[seed % 3],
        normalize_advantage=bool(rng.integers(2)),
        ent_coef=twins.choose(rng, 0.0, 0.02),
        max_grad_norm=twins.choose(rng, None, 0.1),
        net_arch=twins.random_net_arch(rng, separate=False),
        activation=twins.choose(rng, "tanh", "relu"),
    )
    for n in (17, 40, 5):
        batch = made_up_batch(stock, n, rng)
        for agent in (stock, fast):
            agent._update(batch)
        assert_alike(stock, fast)


@pytest.mark.parametrize(("observations", "actions"), twins.SPACES)
def test_predictions_equal_the_readable_ones(observations: str, actions: str):
    stock, fast = both(observations, actions)
    obs = np.array([stock.observation_space.sample() for _ in range(50)])
    for given in (obs, obs[0]):
        ours, theirs = (agent.predict(given, deterministic=True)[0] for agent in (fast, stock))
        assert np.shape(ours) == np.shape(theirs)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("actions", twins.ACTIONS)
def test_files_are_those_of_the_readable_one(actions: str, tmp_path: Path):
    fast = FastReinforce(twins.world("box", actions), n_episodes=4, seed=0)
    fast.learn(60)
    fast.save(str(tmp_path / "policy.pt"))
    stock, other = both("box", actions)
    for agent in (stock, other):
        agent.load_parameters(str(tmp_path / "policy.pt"))
        agent._total_timesteps = 1000
    batch = made_up_batch(stock, 30, np.random.default_rng(0))
    for agent in (stock, other):
        agent._update(batch)
    assert_alike(stock, other)
    assert stock.num_timesteps == fast.num_timesteps


def test_actions_are_drawn_from_the_policys_distribution():
    _, fast = both()
    features, actions = fast._sample_actions(np.full((4000, 3), 0.5))
    with torch.no_grad():
        probabilities = fast.policy(torch.as_tensor(features[:1])).probs.numpy()[0]
    np.testing.assert_allclose(np.bincount(actions) / 4000, probabilities, atol=0.03)


class Several(twins.RandomWorld):
    def __init__(self) -> None:
        super().__init__("box", "discrete")
        self.observation_space = spaces.MultiBinary(3)


def test_what_the_compiled_twin_does_not_do_it_says():
    agent = Reinforce(DummyVecEnv([Several]))
    assert "MultiBinary observations" in str(reason_against_reinforce(agent))
    assert reason_against_reinforce(Reinforce(twins.world())) is None


@pytest.mark.parametrize("start", [-2, 0, 1, 7])
def test_both_engines_count_observations_from_where_their_space_starts(start: int):
    class Labels(gym.Env[Any, Any]):
        observation_space = spaces.Discrete(4, start=start)
        action_space = spaces.Discrete(2)

        def reset(self, **_: Any) -> Any:
            return start, {}

    for agent_class in (Reinforce, FastReinforce):
        agent = agent_class(DummyVecEnv([Labels]), seed=1)
        labels = np.arange(start, start + 4)
        np.testing.assert_array_equal(agent._features(labels), np.eye(4))
        features, _ = agent._sample_actions(labels)
        np.testing.assert_array_equal(features, np.eye(4))
