from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from rl_runner.envs.masking import draw_action, draw_valid_actions, n_choices

MASKED = st.one_of(
    st.builds(lambda n, s: spaces.Discrete(n, start=s), st.integers(1, 5), st.integers(-2, 2)),
    st.lists(st.integers(1, 4), min_size=1, max_size=3).map(spaces.MultiDiscrete),
    st.lists(st.integers(1, 4), min_size=2, max_size=2).map(
        lambda n: spaces.MultiDiscrete([n, n], start=[[1, 0], [-1, 2]])
    ),
    st.integers(1, 3).map(spaces.MultiBinary),
)


def flags_of(space: spaces.Space[Any], action: np.ndarray, mask: np.ndarray) -> list[bool]:
    """Return the flag of each component that was chosen."""
    choices = n_choices(space)
    assert choices is not None
    offsets = np.cumsum([0, *choices[:-1]])
    chosen = np.ravel(action) - np.ravel(getattr(space, "start", 0))
    return [bool(mask[o + c]) for o, c in zip(offsets, chosen, strict=True)]


@given(data=st.data(), space=MASKED, n=st.integers(1, 4))
def test_only_valid_actions_are_drawn(data: Any, space: spaces.Space[Any], n: int) -> None:
    choices = n_choices(space)
    assert choices is not None
    row = st.lists(st.booleans(), min_size=sum(choices), max_size=sum(choices))
    masks = np.array(data.draw(st.lists(row, min_size=n, max_size=n)))
    actions = draw_valid_actions(space, masks, np.random.default_rng(0))
    assert len(actions) == n
    for action, mask in zip(actions, masks, strict=True):
        assert space.contains(action if space.shape else space.dtype.type(action))
        components = np.split(mask, np.cumsum(choices)[:-1])
        flags = flags_of(space, action, mask)
        assert all(flag or not part.any() for flag, part in zip(flags, components, strict=True))


def test_valid_actions_are_drawn_with_the_same_probability() -> None:
    masks = np.tile([True, False, True, True], (30_000, 1))
    actions = draw_valid_actions(spaces.Discrete(4), masks, np.random.default_rng(0))
    shares = np.bincount(actions, minlength=4) / len(actions)
    np.testing.assert_allclose(shares, [1 / 3, 0, 1 / 3, 1 / 3], atol=0.01)


class Masked(gym.Env[Any, Any]):
    observation_space = spaces.Discrete(2)

    def __init__(self, space: spaces.Space[Any]) -> None:
        self.action_space = space

    def action_masks(self) -> list[bool]:
        return [False, True, False]


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_single_environment_is_asked_for_its_mask(wrapped: bool) -> None:
    env: gym.Env[Any, Any] = Masked(spaces.Discrete(3, start=4))
    env = gym.wrappers.TimeLimit(env, 10) if wrapped else env
    assert {int(draw_action(env)) for _ in range(20)} == {5}


def test_spaces_without_masks_are_sampled() -> None:
    env = Masked(spaces.Box(-1, 1, (2,)))
    assert env.action_space.contains(draw_action(env))
