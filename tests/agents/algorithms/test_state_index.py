import itertools
import math
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from rl_runner.agents.algorithms.state_index import StateIndex


def discretes() -> st.SearchStrategy[spaces.Discrete]:
    return st.builds(
        lambda n, start: spaces.Discrete(n, start=start), st.integers(1, 5), st.integers(-3, 3)
    )


def multi_discretes() -> st.SearchStrategy[spaces.MultiDiscrete]:
    sizes_and_starts = st.lists(
        st.tuples(st.integers(1, 4), st.integers(-2, 2)), min_size=1, max_size=4
    )
    return sizes_and_starts.map(
        lambda pairs: spaces.MultiDiscrete([n for n, _ in pairs], start=[s for _, s in pairs])
    )


finite_spaces = st.one_of(
    discretes(),
    multi_discretes(),
    st.integers(1, 5).map(spaces.MultiBinary),
    st.just(spaces.MultiBinary((2, 3))),
    st.just(spaces.MultiDiscrete([[2, 3], [1, 2]])),
    st.lists(discretes(), min_size=1, max_size=4).map(spaces.Tuple),
)


def every_element(space: spaces.Space[Any]) -> list[Any]:
    """List all observations of a finite space."""
    match space:
        case spaces.Discrete():
            return list(range(int(space.start), int(space.start + space.n)))
        case spaces.MultiDiscrete():
            ranges = itertools.starmap(
                lambda n, start: range(start, start + n),
                zip(space.nvec.flat, space.start.flat, strict=True),
            )
        case spaces.MultiBinary():
            ranges = [range(2)] * math.prod(space.shape)
        case _:
            return list(itertools.product(*map(every_element, space)))
    elements = itertools.product(*ranges)
    return [np.array(element, dtype=space.dtype).reshape(space.shape) for element in elements]


@given(finite_spaces)
def test_states_are_numbered_one_to_one(space: spaces.Space[Any]) -> None:
    index, elements = StateIndex(space), every_element(space)
    assert all(map(space.contains, elements))
    assert sorted(map(index.of_single, elements)) == list(range(index.n_states))


@given(finite_spaces)
def test_a_batch_is_numbered_like_its_members(space: spaces.Space[Any]) -> None:
    index, elements = StateIndex(space), every_element(space)
    batch: Any = np.array(elements)
    if isinstance(space, spaces.Tuple):
        batch = tuple(np.array(part) for part in zip(*elements, strict=True))
    assert index.of_batch(batch).tolist() == [index.of_single(element) for element in elements]


def test_the_last_component_changes_fastest() -> None:
    index = StateIndex(spaces.MultiDiscrete([3, 4, 5]))
    assert [index.of_single(obs) for obs in ([0, 0, 1], [0, 1, 0], [1, 0, 0])] == [1, 5, 20]


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(0, 1, (2,), np.float32),
        spaces.Dict({"a": spaces.Discrete(2)}),
        spaces.Tuple((spaces.Discrete(2), spaces.Box(0, 1, (1,), np.float32))),
    ],
)
def test_a_space_without_an_end_cannot_be_numbered(space: spaces.Space[Any]) -> None:
    with pytest.raises(ValueError, match="a table needs finitely many observations"):
        StateIndex(space)
