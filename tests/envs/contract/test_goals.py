"""The rewards of many goals at once are those of each goal alone, or the environment is refused."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv

from rl_runner.envs.contract.goals import N_RESETS, check_goal_rewards
from rl_runner.envs.episode_layers import RewardRecorder
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
        self.shown = self.observation_space.sample()
        return self.shown, {}

    def step(self, action: Any) -> Any:
        """Step into any other state, with the same goal."""
        del action
        goal = self.shown["desired_goal"]
        self.shown = {**self.observation_space.sample(), "desired_goal": goal}
        info = {"scale": 2.0}
        rows = np.reshape(self.shown["achieved_goal"], (1, -1)), np.reshape(goal, (1, -1))
        reward = float(np.ravel(self.compute_reward(*rows, [info]))[0])
        return self.shown, reward, False, self.np_random.random() < 0.2, info


def checked(
    compute_reward: Callable[[Any, Any, Any], Any],
    goal: spaces.Space[Any] = PART,
    n: int = 2,
    wrapper: Callable[[Any], gym.Env[Any, Any]] = lambda env: env,
    **options: bool,
) -> set[int]:
    """Check an environment, and return for how many goals at once it had to compute rewards."""
    asked = set()

    class WithRewards(Goals):
        def compute_reward(self, achieved: Any, desired: Any, info: Any) -> Any:
            asked.add(len(achieved))
            assert len(info) == len(achieved)
            return compute_reward(achieved, desired, info)

    venv = DummyVecEnv([lambda: wrapper(WithRewards(goal))] * n)
    check_goal_rewards(venv, "Goals-v0", **options)
    return asked


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

    assert N_RESETS * n in checked(equal, goal, n)


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


class Centimetres(gym.ObservationWrapper[Any, Any, Any]):
    """Shows every part of the observations a hundred times as large."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        part = spaces.Box(-100, 100, (2,), np.float32)
        self.observation_space = spaces.Dict(dict.fromkeys(env.observation_space.spaces, part))

    def observation(self, observation: Any) -> Any:
        return {key: np.float32(100) * part for key, part in observation.items()}


class WithItsOwn(Centimetres):
    """The same, with the rewards of the goals that it shows."""

    def compute_reward(self, achieved: Any, desired: Any, info: Any) -> Any:
        return self.env.get_wrapper_attr("compute_reward")(achieved / 100, desired / 100, info)


def ten_times(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    return gym.wrappers.TransformReward(env, lambda reward: 10 * reward)


@pytest.mark.parametrize("keeps_infos", [True, False])
@pytest.mark.parametrize("wrapper", [ten_times, Centimetres])
def test_other_rewards_than_those_of_the_outermost_layer_are_refused(
    wrapper: Callable[[Any], gym.Env[Any, Any]], keeps_infos: bool
) -> None:
    with pytest.raises(EnvError, match="does not return the rewards of `step`") as caught:
        checked(by_row, wrapper=wrapper, keeps_infos=keeps_infos)
    assert "in the outermost wrapper" in caught.value.problems[0].cure


def sparse(achieved: Any, desired: Any, _: Any) -> Any:
    """Reward goals that random steps never reach."""
    return -(np.linalg.norm(achieved - desired, axis=-1) > 1e-9).astype(np.float32)


def recorded(wrapper: Callable[[Any], gym.Env[Any, Any]]) -> Callable[[Any], gym.Env[Any, Any]]:
    return lambda env: wrapper(RewardRecorder(env))


def test_a_wrapper_that_changes_goals_is_noticed_before_one_is_reached() -> None:
    with pytest.raises(EnvError, match="A wrapper changes the achieved goals") as caught:
        checked(sparse, wrapper=recorded(Centimetres))
    assert "in the outermost wrapper" in caught.value.problems[0].cure


def test_a_wrapper_with_its_own_rewards_is_taken() -> None:
    assert N_RESETS * 2 in checked(by_row, wrapper=WithItsOwn)
    assert N_RESETS * 2 in checked(sparse, wrapper=recorded(WithItsOwn))


def test_a_wrapper_that_leaves_goals_as_they_are_is_taken() -> None:
    wrapper = recorded(gym.wrappers.RecordEpisodeStatistics)
    assert N_RESETS * 2 in checked(sparse, wrapper=wrapper)


def test_infos_are_passed_only_if_the_replay_buffer_keeps_them() -> None:
    def scaled(achieved: Any, desired: Any, infos: Any) -> Any:
        return by_row(achieved, desired, None) * [info.get("scale", 1.0) for info in infos]

    checked(scaled, keeps_infos=True)
    with pytest.raises(EnvError, match="does not return the rewards of `step`") as caught:
        checked(scaled)
    assert "copy_info_dict: true" in caught.value.problems[0].cure


class Moving(gym.Wrapper[Any, Any, Any, Any]):
    """Sets another goal after each step, whose reward is that of the goal before."""

    def step(self, action: Any) -> Any:
        obs, *others = self.env.step(action)
        goal = self.env.unwrapped.observation_space.sample()["desired_goal"]
        self.env.unwrapped.shown = {**obs, "desired_goal": goal}
        return self.env.unwrapped.shown, *others


def test_a_goal_may_change_in_a_step() -> None:
    assert N_RESETS * 2 in checked(by_row, wrapper=Moving)
