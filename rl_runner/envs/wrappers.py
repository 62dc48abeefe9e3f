"""Wrappers by the names that a config gives them, with arguments that YAML cannot write.

A wrapper's signature says what it takes. A text becomes a function, or a space, where one is asked
for: ``module:name`` names it. A list becomes a tuple or an array.
"""

import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from rl_runner.config.environment import WrapperConfig
from rl_runner.errors import CodeError, EnvError, Problem, did_you_mean
from rl_runner.local_code import import_named

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

AnyEnv = gym.Env[Any, Any]

# What an annotation may name, if it is only known as text
KINDS: dict[str, Any] = {
    "Callable": Callable,
    "Space": gym.Space,
    "str": str,
    "list": list,
    "tuple": tuple,
    "ndarray": np.ndarray,
}

# Wrappers that keep running statistics, and the key of `env.normalize` that does the same
NORMALIZING: dict[type[Any], str] = {
    gym.wrappers.NormalizeObservation: "observations",
    gym.wrappers.NormalizeReward: "rewards",
    gym.wrappers.vector.NormalizeObservation: "observations",
    gym.wrappers.vector.NormalizeReward: "rewards",
}


def apply_wrapper(env: AnyEnv, config: WrapperConfig) -> AnyEnv:
    """Put a wrapper on an environment, with the arguments of the config.

    :raises EnvError: if the wrapper, or what one of its arguments names, cannot be imported; and
        whatever the wrapper raises
    """
    wrapper = load_wrapper(config)
    wanted = _wanted_types(wrapper)
    arguments = {
        name: _argument(env, config, name, value, wanted.get(name, ()))
        for name, value in config.kwargs.items()
    }
    return wrapper(env, **arguments)


def load_wrapper(config: WrapperConfig) -> Callable[..., AnyEnv]:
    """Import a Gymnasium wrapper by its dotted name.

    :raises EnvError: if it cannot be imported or is not a wrapper, with the nearest name
    """
    cure = "Wrappers of all copies together belong in `env.vec_wrappers`."
    found: type[AnyEnv] = load_class(
        config.name, gym.Wrapper, "a Gymnasium wrapper", "env.wrappers", cure
    )
    return found


def load_vec_wrapper(config: WrapperConfig) -> "type[VecEnvWrapper]":
    """Import a wrapper of all copies, by its dotted name.

    :raises EnvError: if it cannot be imported, is not such a wrapper, or a key of ``env`` does the
        same with what checkpoints and evaluations need
    """
    from stable_baselines3.common.vec_env import VecEnvWrapper, VecFrameStack, VecNormalize

    cure = "Wrappers of single copies belong in `env.wrappers`."
    kind = "a `VecEnvWrapper` of stable-baselines3"
    found: type[VecEnvWrapper] = load_class(
        config.name, VecEnvWrapper, kind, "env.vec_wrappers", cure
    )
    for known, key in {VecNormalize: "normalize: true", VecFrameStack: "frame_stack: 4"}.items():
        if issubclass(found, known):
            what = f"No checkpoint holds what `{config.name}` remembers, nor does an evaluation."
            raise EnvError(Problem(what, "env.vec_wrappers", f"Use `env.{key}` instead."))
    return found


def load_class(name: str, base: type[Any], kind: str, key: str, cure: str = "") -> Any:
    """Import a class by its dotted name, ``module.Class`` or ``module:Class``.

    :param base: which it has to extend
    :param kind: what it should be, for the message
    :param key: the config's key that names it
    :param cure: what to do if it is something else, and no similar name fits
    :raises EnvError: if it cannot be imported or does not extend ``base``, with the nearest name
    """
    # Import its module.
    module_name, _, class_name = name.replace(":", ".").rpartition(".")
    try:
        module = import_named(module_name, key)
    except CodeError as error:
        what = f"`{name}` cannot be imported."
        problems = (Problem(f"{what} {p.what}", p.where, p.cure) for p in error.problems)
        raise CodeError(*problems) from error.__cause__
    # Refuse what is of another kind.
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, base)):
        others = [
            each
            for each, value in vars(module).items()
            if isinstance(value, type) and issubclass(value, base) and value is not base
        ]
        what = f"`{name}` is not {kind}."
        raise EnvError(Problem(what, key, did_you_mean(class_name, others) or cure))
    return found


def apply_vec_wrapper(venv: "VecEnv", config: WrapperConfig) -> "VecEnv":
    """Put a wrapper on all copies together, with the arguments of the config.

    :raises EnvError: as :func:`load_vec_wrapper` does; and whatever the wrapper raises
    """
    wrapper = load_vec_wrapper(config)
    return wrapper(venv, **fitted_arguments(wrapper, config.kwargs))


def fitted_arguments(creator: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments from YAML as a signature asks for them: lists become tuples or arrays."""
    wanted = _wanted_types(creator)
    return {name: _as_sequence(value, wanted.get(name, ())) for name, value in arguments.items()}


def _as_sequence(value: Any, wanted: tuple[Any, ...]) -> Any:
    """Return a list as a tuple or an array, if one is asked for and a list is not."""
    if isinstance(value, list) and list not in wanted:
        if tuple in wanted:
            return tuple(_as_sequence(each, (tuple,)) for each in value)
        if np.ndarray in wanted:
            return np.asarray(value)
    return value


def refuse_running_statistics(env: Any, name: str, key: str) -> None:
    """Refuse an environment if any of its layers normalises with statistics of its own.

    :param env: a single copy, or a batch of copies; it is closed if it is refused
    :param name: what put the layer there, for the message: an environment's id or a wrapper's name
    :param key: the config's key that names it
    :raises EnvError: with the key of ``env.normalize`` that does the same
    """
    for layer in _layers(env):
        for kind, part in NORMALIZING.items():
            if not isinstance(layer, kind):
                continue
            env.close()
            package = kind.__module__.rpartition(".")[0]
            inside = f"{package}.{kind.__name__}"
            is_itself = name.replace(":", ".") == inside
            subject = f"`{name}`" if is_itself else f"`{name}` contains `{inside}`, which"
            what = (
                f"{subject} keeps statistics that no checkpoint holds and no evaluation shares: "
                "what is evaluated would not be what was trained."
            )
            cure = f"Use `env.normalize: {{{part}: true}}`, whose statistics are saved and shared."
            if not is_itself:
                cure = f"Leave that wrapper out. {cure}"
            raise EnvError(Problem(what, key, cure))


def _layers(env: Any) -> Iterator[Any]:
    """Yield an environment and those inside it, from the outside to the inside.

    An environment that is not a wrapper may keep another one as ``env`` too.
    """
    seen: set[int] = set()
    while isinstance(env, gym.Env | gym.vector.VectorEnv) and id(env) not in seen:
        seen.add(id(env))
        yield env
        env = vars(env).get("env")


def _wanted_types(wrapper: Any) -> dict[str, tuple[Any, ...]]:
    """Return the types that each argument of a wrapper may have, as far as its signature says."""
    parameters = inspect.signature(wrapper).parameters
    try:
        is_class = isinstance(wrapper, type)
        hints = typing.get_type_hints(wrapper.__init__ if is_class else wrapper)
    except Exception:  # noqa: BLE001 - names that are imported for type checkers only, and the like
        hints = {name: parameter.annotation for name, parameter in parameters.items()}
    wanted = {name: _members(hint) for name, hint in hints.items()}
    # Without an annotation, a default says it.
    for name, parameter in parameters.items():
        if parameter.annotation is parameter.empty and isinstance(parameter.default, tuple):
            wanted[name] = (tuple,)
    return wanted


def _members(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union, each without its parameters."""
    if isinstance(hint, str):  # it cannot be evaluated
        return tuple(kind for word, kind in KINDS.items() if re.search(rf"\b{word}\b", hint))
    is_union = typing.get_origin(hint) in {typing.Union, types.UnionType}
    members = typing.get_args(hint) if is_union else (hint,)
    return tuple(typing.get_origin(member) or member for member in members)


def _argument(
    env: AnyEnv, config: WrapperConfig, name: str, value: Any, wanted: tuple[Any, ...]
) -> Any:
    """Return what a value of a config stands for as an argument of a wrapper."""
    takes_function = Callable in wanted
    takes_space = any(isinstance(kind, type) and issubclass(kind, gym.Space) for kind in wanted)
    if isinstance(value, str) and (takes_function or takes_space):
        if ":" in value or "." in value:
            kind = "a function" if takes_function else "a space"
            return _named_object(config, name, value, kind)
        if str not in wanted:
            kind = "a function" if takes_function else "a space"
            what = f"`{name}` of the wrapper `{config.name}` takes {kind}, not the text `{value}`."
            cure = f"Name {kind} of a module: `{name}: module:name`."
            raise EnvError(Problem(what, "env.wrappers", cure))
        return _method(env, config, name, value)
    return _as_sequence(value, wanted)


def _named_object(config: WrapperConfig, argument: str, name: str, kind: str) -> Any:
    """Import what `module:name` names, and check that it is what the argument takes."""
    module_name, _, attribute = name.replace(":", ".").rpartition(".")
    module = import_named(module_name, "env.wrappers")
    found = getattr(module, attribute, None)
    fits = callable(found) if kind == "a function" else isinstance(found, gym.Space)
    if not fits:
        state = f"has no `{attribute}`" if found is None else f"has `{attribute}`, which is not one"
        what = f"`{argument}` of the wrapper `{config.name}` takes {kind}; `{module_name}` {state}."
        raise EnvError(Problem(what, "env.wrappers", did_you_mean(attribute, dir(module))))
    return found


def _method(env: AnyEnv, config: WrapperConfig, argument: str, name: str) -> Any:
    """Return a function that calls a method of the environment, which lies below other wrappers.

    sb3_contrib's ``ActionMasker`` looks for the method on the outermost wrapper only.
    """
    if not env.has_wrapper_attr(name) or not callable(env.get_wrapper_attr(name)):
        what = f"`{argument}` of the wrapper `{config.name}`: the environment has no method "
        what += f"`{name}`."
        cure = f"Name one that it has, or a function of a module: `{argument}: module:name`."
        nearest = did_you_mean(name, dir(env.unwrapped))
        raise EnvError(Problem(what, "env.wrappers", f"{nearest} {cure}".strip()))
    return lambda wrapped: wrapped.get_wrapper_attr(name)()
