"""The rewards of many goals at once are those of each goal alone, or the environment is refused."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv

from rl_runner.envs.contract.goals import check_goal_rewards
from rl_runner.errors import EnvError

PART = spaces.Box(-1, 1, (2,), np.float32)


class Goals(gym.Env[Any, Any]):
    """Shows goals of a space."""

    action_space = spaces.Discrete(2)

    def __init__(self, goal: spaces.Space[Any] = PART) -> None:
        parts = {"observation": PART, "achieved_goal": goal, "desired_goal": goal}
        self.observation_space = spaces.Dict(parts)
        self.observation_space.seed(0)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed, options=options)
        return self.observation_space.sample(), {}


def checked(
    compute_reward: Callable[[Any, Any, Any], Any], goal: spaces.Space[Any] = PART, n: int = 2
) -> None:
    class WithRewards(Goals):
        def compute_reward(self, achieved: Any, desired: Any, info: Any) -> Any:
            assert len(info) == len(achieved)
            return compute_reward(achieved, desired, info)

    check_goal_rewards(DummyVecEnv([lambda: WithRewards(goal)] * n), "Goals-v0")


def by_row(achieved: Any, desired: Any, _: Any) -> Any:
    return -np.linalg.norm(achieved - desired, axis=-1)


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize(
    "goal", [PART, spaces.Discrete(5), spaces.MultiBinary(3), spaces.Box(0, 255, (4, 4), np.uint8)]
)
def test_a_reward_for_each_row_is_taken(goal: spaces.Space[Any], n: int) -> None:
    def equal(achieved: Any, desired: Any, _: Any) -> Any:
        same = (achieved == desired).reshape(len(achieved), -1).all(axis=1)
        return same.astype(np.float32)

    checked(equal, goal, n)


@pytest.mark.parametrize(
    ("compute_reward", "said"),
    [
        (lambda a, d, _: float(np.linalg.norm(a - d)), "for 6 goals"),
        (lambda a, d, _: list(by_row(a, d, _)), "returned a list of 6 parts for 6 goals"),
        (lambda a, d, _: by_row(a, d, _) - a.sum(), "other rewards for 6 goals at once"),
        (lambda *given: given[2][0]["d"], "raised an exception for 6 goals of shape (2,)"),
        (lambda a, d, _: -np.abs(a - d), "of shape (6, 2) for 6 goals"),
    ],
)
def test_rewards_that_would_be_wrong_are_refused(
    compute_reward: Callable[[Any, Any, Any], Any], said: str
) -> None:
    with pytest.raises(EnvError, match="compute_reward") as caught:
        checked(compute_reward)
    assert said in caught.value.problems[0].what
    assert "for each row" in caught.value.problems[0].cure


def test_an_environment_without_the_function_is_refused() -> None:
    with pytest.raises(EnvError, match="has no `compute_reward"):
        check_goal_rewards(DummyVecEnv([Goals]), "Goals-v0")
