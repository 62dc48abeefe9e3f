"""A stock agent and its compiled twin on the same weights, batch and random numbers, compared."""

import itertools
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

TOLERANCE = {"rtol": 2e-4, "atol": 2e-6}  # float32, after several optimiser steps

OBSERVATIONS: dict[str, spaces.Space[Any]] = {
    "box": spaces.Box(-1.0, 1.0, (3,), np.float32),
    "wide box": spaces.Box(-1.0, 1.0, (2, 2), np.float64),
    "discrete": spaces.Discrete(5),
}
ACTIONS: dict[str, spaces.Space[Any]] = {
    "discrete": spaces.Discrete(3),
    "box": spaces.Box(-1.0, 2.0, (2,), np.float32),
}


class RandomWorld(gym.Env[Any, Any]):
    """Observations and rewards at random; an episode in four steps terminates, or is cut off."""

    def __init__(self, observations: str, actions: str) -> None:
        self.observation_space = OBSERVATIONS[observations]
        self.action_space = ACTIONS[actions]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        return self._look(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), action
        reward = float(self.np_random.normal())
        terminated, truncated = self.np_random.random(2) < 0.125
        return self._look(), reward, bool(terminated), bool(truncated), {}

    def _look(self) -> Any:
        space = self.observation_space
        if isinstance(space, spaces.Discrete):
            return int(self.np_random.integers(space.n))
        return self.np_random.uniform(-1, 1, space.shape).astype(space.dtype)


def world(observations: str = "box", actions: str = "discrete", n_envs: int = 2) -> VecEnv:
    return DummyVecEnv([lambda: RandomWorld(observations, actions)] * n_envs)


def silent_logger() -> Logger:
    return Logger(None, [])


def twins(stock: type[Any], fast: type[Any], make_env: Any, **keywords: Any) -> tuple[Any, Any]:
    """Build both with the same first weights."""
    both = []
    for agent_class in (stock, fast):
        agent = agent_class("MlpPolicy", make_env(), seed=1, device="cpu", **keywords)
        agent.set_logger(silent_logger())
        both.append(agent)
    return both[0], both[1]


def assert_alike(stock: Any, fast: Any) -> None:
    """Compare weights, optimiser state and metrics."""
    ours, theirs = fast.policy.state_dict(), stock.policy.state_dict()
    assert ours.keys() == theirs.keys()
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], err_msg=name, **TOLERANCE)
    ours, theirs = fast.policy.optimizer.state_dict(), stock.policy.optimizer.state_dict()
    assert ours["param_groups"] == theirs["param_groups"]
    for index, state in theirs["state"].items():
        assert ours["state"][index].keys() == state.keys()
        for name, value in state.items():
            np.testing.assert_allclose(ours["state"][index][name], value, err_msg=name, **TOLERANCE)
    noted, expected = fast.logger.name_to_value, stock.logger.name_to_value
    assert noted.keys() == expected.keys()
    for tag, value in expected.items():
        np.testing.assert_allclose(noted[tag], value, rtol=1e-3, atol=1e-5, err_msg=tag)
    assert fast._n_updates == stock._n_updates


def random_net_arch(rng: np.random.Generator, *, separate: bool) -> Any:
    def widths() -> list[int]:
        return [int(n) for n in rng.integers(1, 20, size=rng.integers(0, 4))]

    return {"pi": widths(), "vf": widths()} if separate else widths()


def choose(rng: np.random.Generator, *choices: Any) -> Any:
    return choices[rng.integers(len(choices))]


ACTIVATIONS = (torch.nn.Tanh, torch.nn.ReLU)
SPACES = tuple(itertools.product(OBSERVATIONS, ACTIONS))
