import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from rl_runner.envs import failures
from rl_runner.envs.contract.guard import ContractGuard
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


@contextlib.contextmanager
def on_ctrl_c(handler: Any) -> Iterator[None]:
    """Handle SIGINT in the block; a shell's background process ignores it otherwise."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), EnvError(Problem("said already"))], ids=repr
)
def test_ctrl_c_and_errors_that_say_enough_pass(method: str, error: BaseException):
    env = NamedFailures(Breaking(error), "Breaking-v0")
    with on_ctrl_c(signal.default_int_handler), pytest.raises(type(error)) as caught:
        METHODS[method](env)
    assert caught.value is error


def test_masks_that_are_not_a_method_are_named():
    inner = Breaking(RuntimeError("boom"))
    inner.action_masks = np.ones(2, dtype=bool)  # type: ignore[method-assign]
    with pytest.raises(EnvError, match=r"`action_masks` of `Breaking-v0` is not a method but nda"):
        NamedFailures(ContractGuard(inner, "Breaking-v0", 0), "Breaking-v0").get_wrapper_attr(
            "action_masks"
        )


def test_a_keyboard_interrupt_of_the_environment_itself_names_it():
    """In a worker process, which ignores Ctrl-C, nothing else can have raised it."""
    env = NamedFailures(Breaking(KeyboardInterrupt()), "Breaking-v0")
    message = r"`Breaking-v0` raised .* step\(\): KeyboardInterrupt"
    with on_ctrl_c(signal.SIG_IGN), pytest.raises(EnvError, match=message):
        env.step(0)


def test_an_exception_in_close_is_reported_once(caplog: pytest.LogCaptureFixture):
    for _ in range(2):
        NamedFailures(Breaking(OSError("no socket")), "ClosesBadly-v0").close()
    (line,) = caplog.messages
    assert "`ClosesBadly-v0` raised an exception in close()" in line
    assert "OSError: no socket" in line


class NeverCloses(Breaking):
    """Sleeps in ``close`` for longer than any test may take; it suppresses exceptions."""

    def __init__(self) -> None:
        self.closed_in: list[threading.Thread] = []

    def close(self) -> None:
        self.closed_in.append(threading.current_thread())
        with contextlib.suppress(Exception):
            time.sleep(3600)


def _close_in_another_thread(env: NamedFailures) -> None:
    thread = threading.Thread(target=env.close, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.timeout(0)  # its signal is the one that interrupts close()
@pytest.mark.parametrize("where", ["main thread", "other thread"])
def test_a_close_that_does_not_return_is_left(
    where: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(failures, "CLOSE_SECONDS", 0.2)
    close = NamedFailures.close if where == "main thread" else _close_in_another_thread
    envs = [NeverCloses(), NeverCloses()]
    name = f"NeverCloses-{where.replace(' ', '-')}-v0"
    for env in envs:
        close(NamedFailures(env, name))
    (line,) = caplog.messages
    assert f"`{name}` did not return from close() within 0.2 s" in line
    # Where a signal can interrupt it, it runs in the thread that has used the environment.
    threads = {thread for env in envs for thread in env.closed_in}
    assert (threads == {threading.main_thread()}) == (where == "main thread")
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_interrupting_close_is_passed_on_from_a_thread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(failures, "_has_free_alarm", lambda: False)
    with pytest.raises(KeyboardInterrupt):
        NamedFailures(Breaking(KeyboardInterrupt()), "Breaking-v0").close()
