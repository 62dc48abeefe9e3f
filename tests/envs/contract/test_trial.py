"""A trial tells environments whose episodes follow from their seeds from others."""

import random
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from rl_runner.config import EnvConfig
from rl_runner.envs.contract.trial import try_environment


class Walk(gym.Env[Any, Any]):
    """A random walk: what it draws and how it is wrong depends on ``fault``."""

    observation_space = spaces.Box(-5, 5, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.n_episodes = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed, options=options)
        self.n_episodes += 1
        self.x = float(self.np_random.uniform(-1, 1))
        if self.fault == "global":
            self.x = float(np.random.rand())  # noqa: NPY002 - the fault
        if self.fault == "seeds" and seed is not None:
            np.random.seed(seed % 2**32)  # noqa: NPY002 - the fault
        if self.fault == "seeds python" and seed is not None:
            random.seed(seed)
        if self.fault == "curriculum":
            self.x = min(1.0, self.n_episodes / 100)
        return self._obs(), {}

    def step(self, action: int) -> Any:
        self.x += 0.1 * (2 * int(action) - 1)
        if self.fault == "late":
            self.x += 1e-6 * float(np.random.rand())  # noqa: NPY002 - the fault
        return self._obs(), self.x, False, False, {}

    def _obs(self) -> np.ndarray:
        scale = 100 if self.fault == "bounds" else 1
        return np.full(2, scale * self.x, np.float32)


class RunningMean(gym.ObservationWrapper[Any, Any, Any]):
    """Subtracts the mean of everything that it has seen."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.sum, self.n = np.zeros(2), 0

    def observation(self, observation: Any) -> Any:
        self.sum, self.n = self.sum + observation, self.n + 1
        return (observation - self.sum / self.n).astype(np.float32)


gym.register("TrialTestWalk-v0", entry_point=Walk, max_episode_steps=20)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, None),
        ({"kwargs": {"fault": "global"}}, "begin differently. Its episodes do not follow"),
        ({"kwargs": {"fault": "late"}}, "differ from step 1 on. Its episodes do not follow"),
        ({"kwargs": {"fault": "seeds"}}, "All copies and the agent share that generator"),
        ({"kwargs": {"fault": "seeds python"}}, "All copies and the agent share that generator"),
        ({"kwargs": {"fault": "curriculum"}}, "from one episode into the next"),
        ({"wrappers": [f"{__name__}.RunningMean"]}, f"one of its wrappers (`{__name__}.Running"),
        ({"kwargs": {"fault": "bounds"}}, "outside its space's bounds -5.0 to 5.0"),
    ],
)
def test_a_trial_warns_of_what_does_not_repeat(keys: dict[str, Any], expected: str | None) -> None:
    found = try_environment(EnvConfig.model_validate({"id": "TrialTestWalk-v0", **keys})).warnings
    if expected is None:
        assert found == ()
    else:
        (warning,) = found
        assert expected in warning


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1", "Taxi-v4", "Tutor-v0"])
def test_known_environments_pass(env_id: str) -> None:
    assert try_environment(EnvConfig(id=env_id)).warnings == ()
