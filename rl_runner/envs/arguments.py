"""Which argument an exception blames that was raised while an environment was built."""

import inspect
import re
import traceback
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from rl_runner.config.environment import EnvConfig
from rl_runner.envs.wrappers import load_vec_wrapper, load_wrapper
from rl_runner.errors import did_you_mean

MOST_LISTED = 10


def argument_to_blame(config: EnvConfig, spec: EnvSpec | None, error: BaseException) -> str:
    """Return what to change in `env.kwargs` or `env.wrappers`; no text if nothing is known.

    :param spec: of the environment, if there is one
    """
    return _misspelt(config, spec, error) or _refused_value(config, spec, error)


def _misspelt(config: EnvConfig, spec: EnvSpec | None, error: BaseException) -> str:
    """Return what `env.kwargs` may have meant, if the environment does not take an argument."""
    found = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    if not isinstance(error, TypeError) or found is None:
        return ""
    wrong = found[1]
    for wrapper in config.wrappers:
        if wrong in wrapper.kwargs:
            known = _known_arguments(load_wrapper(wrapper), wrong, f"`{wrapper.name}`")
            return f"{known} Check `env.wrappers`."
    for wrapper in config.vec_wrappers:
        if wrong in wrapper.kwargs:
            known = _known_arguments(load_vec_wrapper(wrapper), wrong, f"`{wrapper.name}`")
            return f"{known} Check `env.vec_wrappers`."
    if wrong not in config.kwargs or spec is None:
        return ""
    known = _known_arguments(_creator_of(spec), wrong, "the environment")
    return f"{known} Check `env.kwargs`."


def _known_arguments(creator: object, wrong: str, owner: str) -> str:
    """Return the argument nearest to a wrong one, or all of them."""
    try:
        parameters = inspect.signature(creator).parameters  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    known = [name for name in parameters if name not in {"self", "env", "render_mode"}]
    listed = ", ".join(f"`{name}`" for name in known) or "none"
    return did_you_mean(wrong, known) or f"The arguments of {owner} are: {listed}."


def _creator_of(spec: EnvSpec) -> object:
    """Return the class or function that builds an environment."""
    entry_point = spec.entry_point
    if isinstance(entry_point, str):
        return gym.envs.registration.load_env_creator(entry_point)
    return entry_point


def _refused_value(config: EnvConfig, spec: EnvSpec | None, error: BaseException) -> str:
    """Return the argument whose value an exception names, and the values that are possible."""
    for name, value in config.kwargs.items():
        shown = str(value)
        # A number may occur in the text by chance.
        in_text = isinstance(value, str) and re.search(
            rf"(?<!\w){re.escape(shown)}(?!\w)", str(error)
        )
        if shown and (in_text or shown in map(str, error.args)):
            possible = list(dict.fromkeys(map(str, _possible_values(spec, name, error))))
            listed = ", ".join(f"`{each}`" for each in possible[:MOST_LISTED])
            known = f" Its values are: {listed}." if listed else ""
            nearest = did_you_mean(shown, possible)
            return f"Change `env.kwargs.{name}: {shown}`. {nearest}".strip() + known
    return ""


def _possible_values(spec: EnvSpec | None, name: str, error: BaseException) -> Iterator[Any]:
    """Yield the values of an argument that its annotation, or the code that failed, lists."""
    if spec is None:
        return
    try:
        parameter = inspect.signature(_creator_of(spec)).parameters.get(name)  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - it could not be imported, or has no signature
        parameter = None
    if parameter is not None and get_origin(parameter.annotation) is Literal:
        yield from get_args(parameter.annotation)
    default = spec.kwargs.get(name, getattr(parameter, "default", None))
    frames = list(traceback.walk_tb(error.__traceback__))
    if not isinstance(error, KeyError) or not frames or not isinstance(default, str):
        return
    # A table without the key, in the function that looked it up, is the one that has the default.
    frame = frames[-1][0]
    for table in [*frame.f_locals.values(), *frame.f_globals.values()]:
        if isinstance(table, Mapping) and default in table:
            yield from table
            return
