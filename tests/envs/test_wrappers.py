from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from rl_runner.config.environment import WrapperConfig
from rl_runner.envs.wrappers import apply_wrapper
from rl_runner.errors import EnvError

HERE = __name__


def double(reward: float) -> float:
    return 2 * reward


def even(env: gym.Env[Any, Any]) -> list[bool]:
    return [i % 2 == 0 for i in range(env.action_space.n)]


HALF = spaces.Box(-0.5, 0.5, (4,), np.float32)
NUMBER = 3


class Takes(gym.Wrapper[Any, Any, Any, Any]):
    """Keeps what it is given, as its signature asks for it."""

    def __init__(
        self,
        env: gym.Env[Any, Any],
        func: Callable[[float], float] | None = None,
        space: spaces.Space[Any] | None = None,
        pair: tuple[int, int] | int = 0,
        many: list[int] | tuple[int, ...] = (),
        array: np.ndarray | float = 0.0,
        word: str = "",
    ) -> None:
        super().__init__(env)
        self.kept = {"func": func, "space": space, "pair": pair, "many": many, "array": array}
        self.kept["word"] = word


def wrapped(name: str, **kwargs: Any) -> Any:
    config = WrapperConfig(name=name, kwargs=kwargs)
    return apply_wrapper(gym.make("CartPole-v1"), config)


def kept(**kwargs: Any) -> Any:
    (name,) = kwargs
    return wrapped(f"{HERE}.Takes", **kwargs).kept[name]


def test_what_yaml_cannot_write_is_named_or_converted() -> None:
    assert kept(func=f"{HERE}:double") is double
    assert kept(func=f"{HERE}.double") is double
    assert kept(func=None) is None
    assert kept(space=f"{HERE}:HALF") is HALF
    assert kept(pair=[3, 4]) == (3, 4)
    assert kept(pair=5) == 5
    assert kept(many=[1, 2]) == [1, 2]
    assert kept(word="a.b:c") == "a.b:c"
    np.testing.assert_array_equal(kept(array=[1.0, 2.0]), np.array([1.0, 2.0]))


def test_gymnasiums_wrappers_take_functions_tuples_and_arrays() -> None:
    env = wrapped("gymnasium.wrappers.TransformReward", func=f"{HERE}:double")
    env.reset(seed=0)
    assert env.step(0)[1] == 2.0
    reshaped = wrapped("gymnasium.wrappers.ReshapeObservation", shape=[2, 2])
    assert reshaped.observation_space.shape == (2, 2)


@pytest.mark.parametrize(
    ("kwargs", "said", "cure"),
    [
        ({"func": "double"}, "takes a function, not the text `double`", "`func: module:name`"),
        ({"func": f"{HERE}:duoble"}, "has no `duoble`", "Did you mean `double`?"),
        ({"func": f"{HERE}:NUMBER"}, "has `NUMBER`, which is not one", ""),
        ({"func": "no_such_module:f"}, "There is no module `no_such_module`", ""),
        ({"func": "os:system"}, "belongs to Python itself", ""),
        ({"space": "HALF"}, "takes a space, not the text `HALF`", "`space: module:name`"),
        ({"space": f"{HERE}:double"}, "which is not one", ""),
    ],
)
def test_a_text_in_the_place_of_a_function_is_refused_with_the_cure(
    kwargs: dict[str, Any], said: str, cure: str
) -> None:
    with pytest.raises(EnvError) as caught:
        wrapped(f"{HERE}.Takes", **kwargs)
    assert said in str(caught.value)
    assert cure in caught.value.problems[0].cure


MASKER = "sb3_contrib.common.wrappers.ActionMasker"


class Lift(gym.Env[Any, Any]):
    observation_space = spaces.Discrete(2)
    action_space = spaces.Discrete(2)

    def allowed(self) -> list[bool]:
        return [True, False]


def masker(action_mask_fn: str) -> Any:
    env: gym.Env[Any, Any] = gym.wrappers.TimeLimit(Lift(), 10)
    config = WrapperConfig(name=MASKER, kwargs={"action_mask_fn": action_mask_fn})
    return apply_wrapper(env, config)


@pytest.mark.parametrize("name", ["allowed", f"{HERE}:even", f"{HERE}.even"])
def test_masks_come_from_a_function_or_from_a_method_below_other_wrappers(name: str) -> None:
    assert masker(name).action_masks() == [True, False]


def test_a_method_that_the_environment_does_not_have_is_refused() -> None:
    with pytest.raises(EnvError, match="has no method `alowed`") as caught:
        masker("alowed")
    assert caught.value.problems[0].cure.startswith("Did you mean `allowed`?")
