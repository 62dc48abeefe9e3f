from typing import Any, Literal

import gymnasium as gym
import pytest
from gymnasium import spaces

from rl_runner.config.environment import EnvConfig
from rl_runner.envs import build_env
from rl_runner.errors import EnvError

NEAREST = "Change `env.kwargs.name: lage`. Did you mean `large`? "
NEAREST += "Its values are: `small`, `large`."
MAPS = {"small": 3, "large": 30}
OTHER = {"red": 1}


class Mapped(gym.Env[Any, Any]):
    observation_space = spaces.Discrete(2)
    action_space = spaces.Discrete(2)

    def __init__(
        self, name: str = "small", mode: Literal["fast", "slow"] = "fast", size: int = 1
    ) -> None:
        self.size = MAPS[name]
        if mode not in {"fast", "slow"}:
            message = f"no such mode: {mode}"
            raise ValueError(message)
        if size != 1:
            message = f"expected 1, got {size}"
            raise ValueError(message)


gym.register("TestMapped-v0", entry_point=Mapped)


@pytest.mark.parametrize(
    ("kwargs", "cure"),
    [
        (
            {"name": "lage"},
            NEAREST,
        ),
        (
            {"mode": "swift"},
            "Change `env.kwargs.mode: swift`. Its values are: `fast`, `slow`.",
        ),
        ({"size": 3}, "Check `env.id`, `env.kwargs.size`, `env.wrappers`."),
    ],
)
def test_the_argument_that_an_exception_names_is_named_with_its_possible_values(
    kwargs: dict[str, Any], cure: str
) -> None:
    with pytest.raises(EnvError, match="could not be built") as caught:
        build_env(EnvConfig(id="TestMapped-v0", kwargs=kwargs), [0])
    assert caught.value.problems[0].cure == cure


def test_frozen_lakes_maps_are_listed() -> None:
    with pytest.raises(EnvError, match="could not be built: KeyError") as caught:
        build_env(EnvConfig(id="FrozenLake-v1", kwargs={"map_name": "5x5"}), [0])
    assert "Its values are: `4x4`, `8x8`." in caught.value.problems[0].cure
