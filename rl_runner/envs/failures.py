"""Exceptions of an environment, translated where they enter: at each copy."""

import contextlib
import functools
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn

import gymnasium as gym

from rl_runner.errors import EnvError, Problem, RunnerError, describe_exception, place_of

CLOSE_SECONDS = 3.0  # for one close(); below what subproc.py allows a worker process
LATER_CLOSE_SECONDS = 0.1  # once an environment has exceeded it: a run may have many copies

_slow_to_close: set[str] = set()  # the environments that have exceeded it in this process


class NamedFailures(gym.Wrapper[Any, Any, Any, Any]):
    """Turns whatever one copy of an environment raises into an error that names the environment.

    Every command then shows a panel, and a run records the panel's text with the traceback.
    Only Ctrl-C passes. An exception in ``close``, or a ``close`` that does not return, can no
    longer affect a result: it is logged and not raised.

    :param name: the environment's id
    """

    def __init__(self, env: gym.Env[Any, Any], name: str) -> None:
        super().__init__(env)
        self._name = name

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset; raises EnvError if the environment raises anything."""
        try:
            return self.env.reset(seed=seed, options=options)
        except BaseException as error:  # noqa: BLE001 - an environment may raise anything
            raise_named(self._name, error, "reset()")

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step; raises EnvError if the environment raises anything."""
        try:
            return self.env.step(action)
        except BaseException as error:  # noqa: BLE001 - as in reset()
            raise_named(self._name, error, "step()")

    def render(self) -> Any:
        """Render; raises EnvError if the environment raises anything."""
        try:
            return self.env.render()
        except BaseException as error:  # noqa: BLE001 - as in reset()
            raise_named(self._name, error, "render()")

    def get_wrapper_attr(self, name: str) -> Any:
        """Return an attribute; ``action_masks`` is asked at every step and is named like a step."""
        found = super().get_wrapper_attr(name)
        if name != "action_masks":
            return found
        if not callable(found):
            what = f"`action_masks` of `{self._name}` is not a method but {type(found).__name__}."
            cure = "Make it a method, `def action_masks(self)`, that returns the valid actions."
            raise EnvError(Problem(what, "env.id", cure))

        @functools.wraps(found)
        def named(*arguments: Any, **options: Any) -> Any:
            try:
                return found(*arguments, **options)
            except BaseException as error:  # noqa: BLE001 - as in reset()
                raise_named(self._name, error, "action_masks()")

        return named

    def close(self) -> None:
        """Close; an exception or a timeout is logged and ends nothing."""
        close_quietly(self.env, self._name)


def raise_named(name: str, error: BaseException, method: str) -> NoReturn:
    """Raise what an environment raised in one of its methods, as an error that names it.

    :raises EnvError: from the exception; Ctrl-C and errors of ours pass as they are
    """
    # A process that ignores Ctrl-C gets a KeyboardInterrupt only from the environment's own code.
    is_ctrl_c = isinstance(error, KeyboardInterrupt) and (
        signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    )
    if is_ctrl_c or isinstance(error, RunnerError):
        raise error
    raise environment_error(name, error, method) from error


class _CloseTimeoutError(BaseException):
    """``close`` took too long; no ``except Exception`` of the environment catches it."""


def close_quietly(env: Any, name: str) -> None:
    """Close an environment; an exception is logged and not raised, and so is a timeout.

    It is closed in the thread that calls this, since connections to databases and graphics contexts
    belong to a thread. A signal interrupts a ``close`` that does not return. Where there is no such
    signal (outside the main thread, on Windows, or if the environment uses it itself), a thread of
    its own closes the environment and is left behind after a timeout.
    """
    seconds = LATER_CLOSE_SECONDS if name in _slow_to_close else CLOSE_SECONDS
    try:
        if _has_free_alarm():
            with _alarm(seconds):
                env.close()
        else:
            _call_in_thread(env.close, seconds)
    except _CloseTimeoutError:
        _slow_to_close.add(name)
        log_once(f"`{name}` did not return from close() within {CLOSE_SECONDS:g} s; left as it is")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - an environment may raise anything
        what = f"`{name}` raised an exception in close(), which affects no result"
        log_once(f"{what}: {describe_exception(error)} ({place_of(error)})")


def _has_free_alarm() -> bool:
    """Whether this thread can be interrupted by a timer that nothing else uses."""
    return (
        threading.current_thread() is threading.main_thread()
        and hasattr(signal, "SIGALRM")
        and signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
        and signal.getitimer(signal.ITIMER_REAL)[0] == 0
    )


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Interrupt the block after some time, by a signal to the main thread.

    :raises _CloseTimeoutError: inside the block
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise _CloseTimeoutError

    signal.signal(signal.SIGALRM, interrupt)
    # Again and again, should the environment catch the first one.
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:  # once more: the signal may have arrived just before it was switched off
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _call_in_thread(call: Callable[[], object], seconds: float) -> None:
    """Call a function in a daemon thread, and raise what it raises.

    :raises _CloseTimeoutError: if it has not returned in time; the thread is left behind
    """
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - raised again below
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise _CloseTimeoutError
    if raised:
        raise raised[0]


def environment_error(name: str, error: BaseException, method: str) -> EnvError:
    """Describe an exception that an environment raised in one of its methods.

    :param method: for the message: ``"step()"``
    """
    what = f"`{name}` raised an exception in {method}: {describe_exception(error)}"
    return EnvError(Problem(what, place_of(error)))


@functools.cache
def log_once(text: str) -> None:
    """Log a warning, which a run has in its log.txt, unless it was logged already."""
    logging.getLogger(__name__).warning(text)
