from collections.abc import Callable

import gymnasium as gym
import numpy as np
import plain_envs  # noqa: F401 - registers its environments
import pytest
from gymnasium import spaces

import rl_runner.envs  # noqa: F401 - registers its environments
from rl_runner.envs.catalog import EnvEntry, describe_space, installed_environments


def ids(pattern: str) -> list[str]:
    return [entry.id for entry in installed_environments(pattern)]


def test_an_entry_tells_spaces_limit_and_threshold() -> None:
    assert list(installed_environments("CartPole-v")) == [
        EnvEntry("CartPole-v1", "Box(4,)", "Discrete(2)", 500, 475.0)
    ]


def test_an_environment_without_limit_or_threshold_has_none() -> None:
    assert list(installed_environments("PlainNoise")) == [
        EnvEntry("PlainNoise-v0", "Box(2,)", "Discrete(2)", None, None)
    ]


def test_ours_are_listed_with_the_others() -> None:
    (entry,) = installed_environments("bitflipping")
    parts = "achieved_goal: MultiBinary(10), desired_goal: MultiBinary(10)"
    assert entry.observation_space == f"Dict({parts}, observation: MultiBinary(10))"
    assert (entry.action_space, entry.time_limit) == ("Discrete(10)", 10)


@pytest.mark.parametrize("change", [str.lower, str.upper, str.title])
def test_a_pattern_is_found_anywhere_whatever_its_case(change: Callable[[str], str]) -> None:
    assert ids(change("frozenl")) == ["FrozenLake-v1", "FrozenLake8x8-v1"]


def test_a_pattern_that_nothing_contains_finds_nothing() -> None:
    assert ids("xyzzy") == []


def test_only_the_newest_version_is_listed() -> None:
    assert {"PlainVersions-v1", "PlainVersions-v2"} <= set(gym.registry)
    assert ids("PlainVersions") == ["PlainVersions-v2"]


def test_environments_without_a_version_are_listed_each() -> None:
    assert ids("PlainUnversioned") == ["PlainUnversionedA", "PlainUnversionedB"]


def test_what_cannot_be_built_here_is_left_out() -> None:
    assert "PlainNeedsPackage-v0" in gym.registry
    assert ids("PlainNeedsPackage") == []
    assert ids("PlainMissingModule") == []


def test_entries_come_in_alphabetical_order() -> None:
    found = ids("plain")
    assert found == sorted(found, key=str.lower)
    assert len(found) >= 3


def test_looking_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert ids("taxi") == ["Taxi-v4"]
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("space", "text"),
    [
        (spaces.Box(-1, 1, (4,), np.float32), "Box(4,)"),
        (spaces.Box(0, 255, (84, 84, 3), np.uint8), "Box(84, 84, 3)"),
        (spaces.Box(-1, 1, (), np.float32), "Box()"),
        (spaces.Discrete(16), "Discrete(16)"),
        (spaces.MultiDiscrete([2, 3]), "MultiDiscrete([2, 3])"),
        (spaces.MultiBinary(3), "MultiBinary(3)"),
        (
            spaces.Tuple((spaces.Discrete(32), spaces.Discrete(11))),
            "Tuple(Discrete(32), Discrete(11))",
        ),
        (
            spaces.Dict({"a": spaces.Discrete(2), "b": spaces.Tuple((spaces.MultiBinary(2),))}),
            "Dict(a: Discrete(2), b: Tuple(MultiBinary(2)))",
        ),
    ],
)
def test_a_space_is_described_in_a_few_characters(space: spaces.Space[object], text: str) -> None:
    assert describe_space(space) == text
