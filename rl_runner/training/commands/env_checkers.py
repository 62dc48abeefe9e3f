"""What the environment checkers of Gymnasium and stable-baselines3 say about an environment."""

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, redirect_stdout
from typing import Any, NamedTuple

from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

from rl_runner.config import EnvConfig
from rl_runner.envs import make_single_env
from rl_runner.envs.masking import draw_action
from rl_runner.errors import describe_exception

COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # Gymnasium's warnings have it
# What the checkers say and this program does itself, or says better
IRRELEVANT = (
    "A Box observation space m",  # … is infinite, as many are
    "Expects the random number generator to have been generated",  # the trial compares copies
    "Official support for the `seed` function is dropped",
    "Not able to test alternative render modes",
    "The default seed argument",
    "The environment (",  # "… is different from the unwrapped version": wrappers are meant
    "For Box action spaces, we recommend using a symmetric",
    "We recommend you to use a symmetric",
    "Your observation ",  # of images too small, and of channels: checked for the policy
    "It seems that your observation",
    "The minimal resolution for an image",
    "Nested observation spaces are not supported",
    "Tuple observation space is not supported",
    "Sequence observation space is not supported",
)


class Checker(NamedTuple):
    """A checker of another library.

    :param name: the library, for messages
    :param check: takes an environment; warns, or raises an exception if it refuses it
    :param respects_masks: whether it takes only actions that the environment's masks allow
    """

    name: str
    check: Callable[[Any], object]
    respects_masks: bool


def _step_under_passive_checker(env: Any) -> None:
    env.reset(seed=0)
    env.step(draw_action(env))


def _check_for_gymnasium(env: Any) -> None:
    check_env(env.unwrapped, skip_render_check=True)


def _check_for_sb3(env: Any) -> None:
    check_env_for_sb3(env.unwrapped, warn=True)


CHECKERS = (
    Checker("Gymnasium's checker", _step_under_passive_checker, respects_masks=True),
    Checker("Gymnasium's checker", _check_for_gymnasium, respects_masks=False),
    Checker("stable-baselines3's checker", _check_for_sb3, respects_masks=False),
)


def checkers_warnings(config: EnvConfig) -> Iterator[str]:
    """Let each checker examine a new copy of an environment, and yield what it says.

    The checkers examine the environment without the config's wrappers, so they also warn of what
    a wrapper corrects. What they refuse, but can be trained with here, is a warning too.
    """
    for checker in CHECKERS:
        said, refusal = _examine(checker, config)
        yield from (text for text in said if not text.startswith(IRRELEVANT))
        if refusal and not refusal.startswith(IRRELEVANT):
            yield f"{checker.name} refuses it: {refusal}"


def _examine(checker: Checker, config: EnvConfig) -> tuple[list[str], str]:
    """Return a checker's warnings, and why it refuses the environment; empty if it does not."""
    refusal = ""
    with (
        warnings.catch_warnings(record=True, action="always") as caught,
        redirect_stdout(io.StringIO()),
        closing(make_single_env(config, check=True)) as env,
    ):
        if checker.respects_masks or not env.has_wrapper_attr("action_masks"):
            try:
                checker.check(env)
            except Exception as error:  # noqa: BLE001 - an assertion, or what the environment raises
                refusal = describe_exception(error).removeprefix("AssertionError: ")
    said = [_plain(each.message) for each in caught if issubclass(each.category, UserWarning)]
    return said, refusal


def _plain(message: object) -> str:
    """Return a warning's text in one line, without colours and Gymnasium's prefix."""
    text = COLOUR.sub("", str(message)).strip().removeprefix("WARN: ")
    return " ".join(text.split())
