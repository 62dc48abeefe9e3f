"""Which observation spaces can be stacked into arrays, and what helps if they cannot."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.vec_env import DummyVecEnv

from rl_runner.envs.contract.breaches import BreachError
from rl_runner.envs.contract.observations import check_observation_space

BOX = spaces.Box(-1, 1, (2,), np.float32)
TEXT = spaces.Text(5)


class Mission(spaces.Space[str]):
    """A space of someone else's, such as Minigrid's missions."""

    def sample(self, **_: Any) -> str:
        return "go"

    def contains(self, x: Any) -> bool:
        return isinstance(x, str)


def breach_of(space: spaces.Space[Any]) -> BreachError:
    with pytest.raises(BreachError) as caught:
        check_observation_space(space)
    return caught.value


@pytest.mark.parametrize(
    ("space", "said", "cure"),
    [
        (spaces.Dict({"a": spaces.Dict({"b": BOX}), "c": BOX}), "`a` is a Dict inside", "Flatten"),
        (spaces.Tuple((spaces.Tuple((BOX,)), BOX)), "`0` is a Tuple inside a Tuple", "Flatten"),
        (spaces.OneOf((BOX, spaces.Discrete(2))), "their space is a OneOf", "Flatten"),
        (TEXT, "their space is a Text", "Write a wrapper"),
        (spaces.Sequence(BOX), "their space is a Sequence", "Write a wrapper"),
        (spaces.Graph(BOX, None), "their space is a Graph", "Write a wrapper"),
        (Mission(), "their space is a Mission", "Write a wrapper"),
        (spaces.Dict({"a": BOX, "t": TEXT, "z": BOX}), "`t` is a Text", "filter_keys: [a, z]"),
        (spaces.Dict({"image": BOX, "mission": Mission()}), "a Mission", "filter_keys: [image]"),
        (spaces.Dict({"t": TEXT}), "`t` is a Text", "Write a wrapper"),
        (spaces.Dict({}), "an empty Dict", "at least one number"),
        (spaces.Box(-1, 1, (0,)), "the shape (0,)", "at least one number"),
    ],
)
def test_what_cannot_be_stacked_is_refused_with_what_helps(
    space: spaces.Space[Any], said: str, cure: str
) -> None:
    breach = breach_of(space)
    assert said in breach.what
    assert cure in breach.cure


LEAVES = st.sampled_from(
    [
        BOX,
        spaces.Box(0, 1, (), np.float32),
        spaces.Box(0, 255, (4, 4, 3), np.uint8),
        spaces.Discrete(3, start=-1),
        spaces.MultiDiscrete([2, 3]),
        spaces.MultiBinary(2),
        spaces.Box(-1, 1, (0,)),
        TEXT,
        spaces.Sequence(BOX),
        Mission(),
    ]
)
SPACES: st.SearchStrategy[spaces.Space[Any]] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2).map(spaces.Tuple),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=2).map(spaces.Dict),
    ),
    max_leaves=4,
)


class Shown(gym.Env[Any, Any]):
    """Shows what its space holds."""

    action_space = spaces.Discrete(2)

    def __init__(self, space: spaces.Space[Any]) -> None:
        self.observation_space = space

    def reset(self, **_: Any) -> tuple[Any, dict[str, Any]]:
        return self.observation_space.sample(), {}


@settings(max_examples=150)
@given(space=SPACES)
def test_what_is_accepted_can_be_stacked_and_a_wrapper_that_is_named_helps(
    space: spaces.Space[Any],
) -> None:
    env: gym.Env[Any, Any] = Shown(space)
    try:
        check_observation_space(space)
    except BreachError as breach:
        if "FlattenObservation" not in breach.cure:
            return
        env = gym.wrappers.FlattenObservation(env)
        check_observation_space(env.observation_space)
    observed = DummyVecEnv([lambda: env]).reset()
    is_array = isinstance(observed, np.ndarray)
    parts = (
        observed.values() if isinstance(observed, dict) else [observed] if is_array else observed
    )
    assert all(isinstance(part, np.ndarray) for part in parts)
