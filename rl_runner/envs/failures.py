"""Exceptions of an environment, translated where they enter: at each copy."""

import functools
import logging
from typing import Any, NoReturn

import gymnasium as gym

from rl_runner.errors import EnvError, Problem, RunnerError, describe_exception, place_of


class NamedFailures(gym.Wrapper[Any, Any, Any, Any]):
    """Turns whatever one copy of an environment raises into an error that names the environment.

    Every command then shows a panel, and a run records the panel's text with the traceback.
    KeyboardInterrupt passes. An exception in ``close`` cannot affect a result any more: it is
    logged and not raised.

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

        @functools.wraps(found)
        def named(*arguments: Any, **options: Any) -> Any:
            try:
                return found(*arguments, **options)
            except BaseException as error:  # noqa: BLE001 - as in reset()
                raise_named(self._name, error, "action_masks()")

        return named

    def close(self) -> None:
        """Close; an exception is logged and ends nothing."""
        close_quietly(self.env, self._name)


def raise_named(name: str, error: BaseException, method: str) -> NoReturn:
    """Raise what an environment raised in one of its methods, as an error that names it.

    :raises EnvError: from the exception; KeyboardInterrupt and errors of ours pass as they are
    """
    if isinstance(error, KeyboardInterrupt | RunnerError):
        raise error
    raise environment_error(name, error, method) from error


def close_quietly(env: Any, name: str) -> None:
    """Close an environment; an exception is logged and not raised."""
    try:
        env.close()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - an environment may raise anything
        what = f"`{name}` raised an exception in close(), which affects no result"
        log_once(f"{what}: {describe_exception(error)} ({place_of(error)})")


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
