from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from rl_runner.envs.failures import NamedFailures
from rl_runner.errors import EnvError, Problem


class Breaking(gym.Env[int, int]):
    """Raises what it is given in every method."""

    observation_space = action_space = spaces.Discrete(2)
    render_mode = "rgb_array"

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def reset(self, **_: Any) -> Any:
        raise self.error

    def step(self, _: int) -> Any:
        raise self.error

    def render(self) -> Any:
        raise self.error

    def close(self) -> None:
        raise self.error

    def action_masks(self) -> np.ndarray:
        raise self.error


METHODS: dict[str, Callable[[NamedFailures], Any]] = {
    "reset()": lambda env: env.reset(seed=0),
    "step()": lambda env: env.step(0),
    "render()": lambda env: env.render(),
    "action_masks()": lambda env: env.get_wrapper_attr("action_masks")(),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "error", [RuntimeError("boom"), StopIteration(), SystemExit(0), GeneratorExit()], ids=repr
)
def test_an_exception_names_environment_and_method(method: str, error: BaseException):
    env = NamedFailures(Breaking(error), "Breaking-v0")
    with pytest.raises(EnvError) as caught:
        METHODS[method](env)
    (problem,) = caught.value.problems
    assert problem.what.startswith(f"`Breaking-v0` raised an exception in {method}: ")
    assert type(error).__name__ in problem.what
    assert "test_failures.py" in problem.where
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), EnvError(Problem("said already"))], ids=repr
)
def test_ctrl_c_and_errors_that_say_enough_pass(method: str, error: BaseException):
    env = NamedFailures(Breaking(error), "Breaking-v0")
    with pytest.raises(type(error)) as caught:
        METHODS[method](env)
    assert caught.value is error


def test_an_exception_in_close_is_reported_once(caplog: pytest.LogCaptureFixture):
    for _ in range(2):
        NamedFailures(Breaking(OSError("no socket")), "ClosesBadly-v0").close()
    (line,) = caplog.messages
    assert "`ClosesBadly-v0` raised an exception in close()" in line
    assert "OSError: no socket" in line
