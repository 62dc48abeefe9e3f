"""The guard lets a sound environment through unchanged, and names what is wrong with another."""

import re
from fractions import Fraction
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from rl_runner.envs.contract import ContractGuard
from rl_runner.envs.contract.breaches import BreachError
from rl_runner.envs.contract.observations import observation_check
from rl_runner.envs.contract.results import FLOAT32_MAX, mask_of, plain_reward, plain_success
from rl_runner.envs.monitor import exact_sum
from rl_runner.errors import EnvError

QUARTET = spaces.Box(-10, 10, (4,), np.float32)


class Scripted(gym.Env[Any, Any]):
    """Returns what it is given."""

    action_space = spaces.Discrete(2)

    def __init__(self, space: spaces.Space[Any], first: Any, *results: Any) -> None:
        self.observation_space = space
        self.first = first
        self.results = list(results)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed, options=options)
        return self.first

    def step(self, action: Any) -> Any:
        del action
        return self.results.pop(0)


FIRST = (np.zeros(4, np.float32), {})


def problem_after(*results: Any, first: Any = FIRST) -> str:
    """Return what the guard says of the last result."""
    env = ContractGuard(Scripted(QUARTET, first, *results), "Script-v0", 3)

    def play() -> None:
        env.reset()
        for _ in results:
            env.step(0)

    with pytest.raises(EnvError) as caught:
        play()
    return str(caught.value)


def result(**changes: Any) -> tuple[Any, ...]:
    parts = {
        "observation": np.zeros(4, np.float32),
        "reward": 0.0,
        "terminated": False,
        "truncated": False,
        "info": {},
    }
    return tuple((parts | changes).values())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"reward": float("nan")}, "a reward of nan (copy 3, episode 1, step 2)."),
        ({"reward": -np.inf}, "a reward of -inf"),
        ({"reward": np.inf}, "a reward of inf"),
        ({"reward": 10**400}, "a reward of type int that is too large for 32 bits"),
        ({"reward": -(10**5000)}, "a reward of type int that is too large for 32 bits"),
        ({"reward": Fraction(10**400)}, "a reward of type Fraction that is too large"),
        ({"reward": 1e39}, "a reward of 1e+39, which 32 bits cannot hold"),
        ({"reward": None}, "a reward that is None"),
        ({"reward": np.array([1.0])}, "a reward that is a numpy.ndarray of shape (1,)"),
        ({"reward": [1.0, 2.0]}, "a reward that is a list of 2 parts"),
        ({"reward": "1.0"}, "a reward that is text"),
        ({"terminated": None}, "`terminated` as None"),
        ({"truncated": "no"}, "`truncated` as 'no' (str)"),
        ({"truncated": np.array([True])}, "`truncated` as a numpy.ndarray of shape (1,)"),
        ({"info": None}, "an info that is None"),
        ({"info": [("a", 1)]}, "an info that is a list of 1 parts"),
        ({"observation": np.zeros(1, np.float32)}, "shape (1,); its space promises (4,)"),
        ({"observation": np.zeros((4, 1), np.float32)}, "shape (4, 1)"),
        ({"observation": np.float32(1)}, "shape ()"),
        ({"observation": np.array([0, 0, np.nan, 0], np.float32)}, "observation[2] = nan"),
        ({"observation": np.array([0, 0, 0, 1e300])}, "observation[3] = inf"),
        ({"observation": np.array([0, 0, 0, "a"], object)}, "and of dtype object as observation"),
        ({"observation": np.array([0, 0, 0, 10**400], object)}, "of dtype object as observation"),
        (
            {"observation": np.array(list("1234"))},
            "and of dtype <U1 as observation",
        ),
        ({"observation": np.zeros(4, complex)}, "and of dtype complex128 as observation"),
        ({"observation": None}, "None as observation"),
        ({"observation": "abcd"}, "'abcd' (str) as observation"),
    ],
)
def test_a_breach_is_named_with_copy_episode_and_step(
    changes: dict[str, Any], expected: str
) -> None:
    assert expected in problem_after(result(), result(**changes))


def test_minus_infinity_passes_where_it_is_allowed() -> None:
    script = Scripted(QUARTET, FIRST, result(reward=-np.inf), result(reward=np.inf))
    guard = ContractGuard(script, "Script-v0", minus_infinity=True)
    guard.reset()
    assert guard.step(0)[1] == -np.inf
    with pytest.raises(EnvError, match="a reward of inf"):
        guard.step(0)


@pytest.mark.parametrize("broken", [(1, 2, 3, 4), [1, 2, 3, 4, 5], None])
def test_step_returns_five_values(broken: Any) -> None:
    assert "five values" in problem_after(broken)


@pytest.mark.parametrize("first", [np.zeros(4), (np.zeros(4), {}, {}), None])
def test_reset_returns_two_values(first: Any) -> None:
    assert "two values" in problem_after(first=first)


@pytest.mark.parametrize("missing", ["observation_space", "action_space"])
def test_an_environment_has_spaces(missing: str) -> None:
    env = Scripted(QUARTET, FIRST)
    setattr(env, missing, None)
    with pytest.raises(EnvError, match=f"has no `{missing}`"):
        ContractGuard(env, "Script-v0")


@pytest.mark.parametrize("reward", [1, True, np.int64(1), np.float32(1), np.array(1.0)])
@pytest.mark.parametrize("end", [1, np.True_, True])
def test_what_means_a_number_or_a_flag_becomes_plain(reward: Any, end: Any) -> None:
    env = ContractGuard(Scripted(QUARTET, FIRST, result(reward=reward, terminated=end)), "S")
    env.reset()
    _, plain, terminated, truncated, _ = env.step(0)
    assert (type(plain), plain) == (float, 1.0)
    assert terminated is True
    assert truncated is False


def test_nothing_of_the_environment_is_shared_with_the_layers_above() -> None:
    obs, info = np.zeros(4, np.float32), {"episode": 7, "is_success": np.array([True]), 3: "x"}
    info |= {"raw_return": 5.0, "raw_episode_ended": False}
    env = ContractGuard(
        Scripted(QUARTET, FIRST, result(observation=obs, info=info, terminated=True)), "S"
    )
    env.reset()
    last, _, _, _, passed = env.step(0)
    obs[:] = 5.0  # the next episode
    passed["TimeLimit.truncated"] = False
    assert not last.any()
    assert passed == {"is_success": True, 3: "x", "TimeLimit.truncated": False}
    assert info["episode"] == 7
    assert "TimeLimit.truncated" not in info


@given(st.floats(allow_nan=True, allow_infinity=True) | st.integers())
def test_a_reward_is_taken_as_it_is_or_refused(value: float) -> None:
    if abs(value) <= FLOAT32_MAX:
        assert plain_reward(value) == float(value)
    else:
        with pytest.raises(BreachError):
            plain_reward(value)


@given(st.lists(st.floats(-1e12, 1e12), max_size=30))
def test_a_return_is_the_exact_sum_of_the_rewards(rewards: list[float]) -> None:
    assert exact_sum(rewards) == float(sum(map(Fraction, rewards)))


def test_a_return_beyond_a_float_is_refused() -> None:
    with pytest.raises(FloatingPointError, match="too large"):
        exact_sum([1.7e308, 1.7e308])


@pytest.mark.parametrize("value", [None, "yes", [], [1, 0], {}, float("nan"), 10**400, object()])
def test_an_odd_success_is_no_success(value: Any) -> None:
    assert plain_success(value) is None


# --- masks ----------------------------------------------------------------------------------------

PAIR = spaces.MultiDiscrete([3, 2])


@pytest.mark.parametrize(
    "mask", [[1, 0, 0, 1, 1], np.array([[1.0], [0], [0], [1], [1]]), (True, False, False, 1, 1)]
)
def test_a_mask_of_flags_becomes_a_row_of_them(mask: Any) -> None:
    assert mask_of(PAIR, mask).tolist() == [True, False, False, True, True]


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ([0, 0, 0, 0, 0], "no choice is valid for component 0"),
        ([0, 1, 0, 0, 0], "no choice is valid for component 1"),
        ([0, -np.inf, 0, 0, 0], "-inf from `action_masks`, which is not a flag"),
        ([0, 2, 3, 3, 3], "2 from `action_masks`, which is not a flag"),
        ([1, np.nan, 1, 1, 1], "nan from `action_masks`, which is not a flag"),
        ([[1, 0, 1], [1, 1]], "a list of 2 parts"),
        ([1, 0, 1], "a list of 3 parts"),
        (None, "None"),
    ],
)
def test_a_mask_that_would_be_misread_is_refused(mask: Any, expected: str) -> None:
    with pytest.raises(BreachError, match=re.escape(expected)):
        mask_of(PAIR, mask)


# --- observations ---------------------------------------------------------------------------------

SPACES = [
    QUARTET,
    spaces.Box(0, 255, (2, 3), np.uint8),
    spaces.Box(-3, 3, (), np.int32),
    spaces.Discrete(3, start=-1),
    spaces.MultiDiscrete([2, 3], start=[1, 0]),
    spaces.MultiBinary(3),
    spaces.Dict({"a": QUARTET, "b": spaces.Discrete(2)}),
    spaces.Tuple((QUARTET, spaces.Discrete(2))),
]


def test_numbers_in_an_array_of_objects_are_accepted() -> None:
    numbers = np.array([0, 1.5, np.float32(2), True], object)
    seen, _ = ContractGuard(Scripted(QUARTET, (numbers, {})), "S").reset()
    assert seen.tolist() == [0, 1.5, 2, 1]


@given(st.sampled_from(SPACES), st.integers(0, 2**31))
def test_what_a_space_draws_passes_unchanged(space: spaces.Space[Any], seed: int) -> None:
    space.seed(seed)
    drawn = space.sample()
    guard = ContractGuard(Scripted(space, (drawn, {}), result(observation=drawn)), "S")
    assert guard.reset()[0] is drawn
    assert guard.step(0)[0] is drawn


@pytest.mark.parametrize(
    ("space", "obs", "expected"),
    [
        (spaces.Box(0, 255, (2,), np.uint8), np.array([3, -1]), r"observation\[1\] = -1"),
        (spaces.Box(0, 255, (2,), np.uint8), np.array([256, 1]), r"in which it would be 0"),
        (spaces.Box(-9, 9, (2,), np.int32), np.array([0.5, 1]), r"observation\[0\] = 0.5"),
        (spaces.Box(-9, 9, (2,), np.int32), np.array([np.nan, 1]), r"observation\[0\] = nan"),
        (spaces.Discrete(3), 3, "the whole numbers 0 to 2"),
        (spaces.Discrete(3, start=1), 0, "the whole numbers 1 to 3"),
        (spaces.Discrete(3), 0.5, "in which it would be 0"),
        (spaces.Discrete(3), np.array([1]), r"shape \(1,\)"),
        (spaces.MultiDiscrete([2, 3]), np.array([1, 3]), r"observation\[1\] = 3"),
        (spaces.MultiBinary(2), np.array([0, 2]), r"observation\[1\] = 2"),
        (spaces.Dict({"a": QUARTET}), {}, "without `a`"),
        (spaces.Dict({"a": QUARTET}), np.zeros(4), "its space is a Dict"),
        (spaces.Dict({"a": QUARTET}), {"a": np.full(4, np.inf)}, r"observation\['a'\]\[0\] = inf"),
        (spaces.Tuple((QUARTET,)), (np.zeros(3),), r"observation\[0\] with shape \(3,\)"),
    ],
)
def test_what_is_not_in_a_space_is_named(space: spaces.Space[Any], obs: Any, expected: str) -> None:
    with pytest.raises(BreachError, match=expected):
        observation_check(space)(obs)
