from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from rl_runner.config.environment import EnvConfig
from rl_runner.envs.contract.trial import try_environment


class Impressive(gym.Env[np.ndarray, int]):
    """Whatever a test asks for; else nothing to warn of."""

    def __init__(
        self,
        size: float = 1.0,
        reward: float = 1.0,
        length: int = 10,
        seed: int | None = None,
        info: Any = 1.0,
    ) -> None:
        self.size, self.reward, self.length, self.seed, self.info = size, reward, length, seed, info
        self.observation_space = gym.spaces.Box(-size, size, (1,), np.float64)
        self.action_space = gym.spaces.Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(
            seed=seed if self.seed is None or seed is None else self.seed, options=options
        )
        self.steps = 0
        return self._observe(), {}

    def _observe(self) -> np.ndarray:
        return self.np_random.uniform(-self.size, self.size, 1)

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        del action
        self.steps += 1
        info = (lambda: 1) if self.info == "function" else self.info
        return self._observe(), self.reward, self.steps == self.length, False, {"own": info}


gym.register("StatisticsTest-v0", entry_point=Impressive)


def warnings_of(*, normalize: bool = False, **kwargs: Any) -> str:
    raw = {
        "id": "StatisticsTest-v0",
        "kwargs": kwargs,
        "time_limit": 1000,
        "normalize": normalize,
    }
    config = EnvConfig.model_validate(raw)
    return "\n".join(try_environment(config).warnings)


def test_an_ordinary_environment_has_no_warnings() -> None:
    assert warnings_of() == ""


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"size": 1e5}, "Observations are as large as"),
        ({"reward": 1e5}, "Rewards are of the size 1e+05"),
        ({"reward": 1e-6}, "Rewards are of the size 1e-06"),
        ({"seed": 7}, "the same on every seed, although it draws random numbers"),
        ({"info": "function"}, "`own` (function) cannot be sent between processes"),
    ],
)
def test_what_makes_learning_hard_is_named_with_what_helps(
    kwargs: dict[str, Any], text: str
) -> None:
    assert text in warnings_of(**kwargs)


@pytest.mark.parametrize("kwargs", [{"size": 1e5}, {"reward": 1e5}, {"reward": 1e-6}])
def test_normalisation_is_the_cure(kwargs: dict[str, Any]) -> None:
    assert warnings_of(normalize=True, **kwargs) == ""


def test_an_environment_without_randomness_may_be_the_same_on_every_seed() -> None:
    config = EnvConfig.model_validate({"id": "CliffWalking-v1", "time_limit": 100})
    assert try_environment(config).warnings == ()


def test_the_speed_is_measured() -> None:
    config = EnvConfig.model_validate({"id": "StatisticsTest-v0", "time_limit": 1000})
    assert try_environment(config).steps_per_second > 0
