"""Environments by the names that a config gives them, and errors that say the cure."""

import contextlib
import re
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium as gym

from rl_runner.config.environment import EnvConfig
from rl_runner.envs.arguments import argument_to_blame
from rl_runner.errors import (
    EnvError,
    Problem,
    describe_exception,
    did_you_mean,
    users_place_of,
)
from rl_runner.local_code import KNOWN_PACKAGES, import_named, is_local

DEFAULT_TIME_LIMIT = 1000  # steps, for environments that never truncate an episode themselves

AnyEnv = gym.Env[Any, Any]


def find_spec(config: EnvConfig) -> gym.envs.registration.EnvSpec:
    """Return Gymnasium's registry entry for ``env.id``, or an equivalent of ``env.entry_point``.

    :raises EnvError: if there is no such environment
    """
    with explained(config, "found"):
        if config.entry_point is not None:
            return _spec_of_entry_point(config, config.entry_point)
        # gym.make imports the package of "package:Env-v0" to let it register its environments;
        # gym.spec alone does not.
        module, _, env_id = config.id.rpartition(":")
        if module:
            _import_environments(module)
        if env_id not in gym.registry and "-v" not in env_id:
            raise gym.error.NameNotFound(env_id)  # gym.spec raises a bare gym.error.Error here
        with without_advice():
            return gym.spec(env_id)


def _spec_of_entry_point(config: EnvConfig, entry_point: str) -> gym.envs.registration.EnvSpec:
    """Return what the registry would hold if the class were registered under ``env.id``.

    :raises EnvError: if there is nothing of this name that builds an environment
    """
    if config.id in gym.registry:
        what = f"`{config.id}` is registered already, as another environment."
        cure = "Leave out `env.id`, or call your environment something else."
        raise EnvError(Problem(what, "env.id", cure))
    module_name, _, name = entry_point.partition(":")
    module = import_named(module_name, "env.entry_point")
    found = getattr(module, name, None)
    if not callable(found):
        what = f"The module `{module_name}` ({module.__file__}) has no class `{name}`."
        known = [each for each, value in vars(module).items() if is_env_class(value)]
        listed = f"Its environments are: {', '.join(f'`{each}`' for each in known)}."
        cure = did_you_mean(name, known) or (listed if known else f"Define `class {name}` in it.")
        raise EnvError(Problem(what, "env.entry_point", cure))
    if isinstance(found, type) and not issubclass(found, gym.Env):
        what = f"`{entry_point}` is a class, but does not extend `gymnasium.Env`."
        cure = f"Write `class {name}(gymnasium.Env):`, with `reset(seed, options)` and `step`."
        if any(base.__module__.partition(".")[0] == "gym" for base in found.__mro__):
            what = f"`{entry_point}` extends `Env` of the old package `gym`, not of Gymnasium."
            cure = "Replace `import gym` by `import gymnasium as gym`, return `(obs, info)` from "
            cure += "`reset` and `(obs, reward, terminated, truncated, info)` from `step`. Or "
            cure += "leave it as it is, and let shimmy convert it: docs/your-own.md shows how."
        raise EnvError(Problem(what, "env.entry_point", cure))
    return gym.envs.registration.EnvSpec(id=config.id, entry_point=entry_point)


def is_env_class(value: object) -> bool:
    """Whether this is a class of environments, not of wrappers."""
    bases = (gym.Env, gym.Wrapper)
    return isinstance(value, type) and issubclass(value, gym.Env) and value not in bases


_registered_by: dict[str, list[str]] = {}  # module → the ids that appeared while it was imported


def _import_environments(module: str) -> None:
    """Import a module that registers environments, and remember which.

    :raises CodeError: if it cannot be imported
    """
    before = set(gym.registry)
    import_named(module)
    new = [env_id for env_id in gym.registry if env_id not in before]
    _registered_by.setdefault(module, []).extend(new)


@contextlib.contextmanager
def without_advice() -> Iterator[None]:
    """Silence Gymnasium's advice to upgrade an old id; :func:`newer_version` gives it instead."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is out of date")
        yield


def newer_version(config: EnvConfig) -> str | None:
    """Return the id of the newest version of an environment, if ``env.id`` is an older one."""
    if config.entry_point is not None:
        return None
    spec = find_spec(config)
    versions = [
        other
        for other in gym.registry.values()
        if (other.namespace, other.name) == (spec.namespace, spec.name) and other.version
    ]
    newest = max(versions, key=lambda other: other.version or 0, default=spec)
    return newest.id if (newest.version or 0) > (spec.version or 0) else None


def time_limit_of(config: EnvConfig) -> tuple[int, bool]:
    """Return the steps after which an episode is truncated, and whether the number is ours.

    The config's ``time_limit`` comes first, then the environment's own. An environment without one
    (CliffWalking) gets :data:`DEFAULT_TIME_LIMIT`: a policy that walks in circles would otherwise
    never finish an evaluation.

    :raises EnvError: if there is no such environment
    """
    if config.time_limit is not None:
        return config.time_limit, False
    own = find_spec(config).max_episode_steps
    return (own, False) if own is not None else (DEFAULT_TIME_LIMIT, True)


@contextlib.contextmanager
def explained(config: EnvConfig, action: str) -> Iterator[None]:
    """Turn every exception raised inside into an :class:`EnvError` that says what to do.

    :param action: what is being done to the environment, for the message: ``"built"``
    """
    place = "env.id" if config.entry_point is None else "env.entry_point"
    try:
        yield
    except EnvError:
        raise
    # A package that is missing: name the one to install.
    except ModuleNotFoundError as error:
        missing = error.name or "unknown"
        what = f"`{config.id}` needs the Python package `{missing}`, which is not installed."
        top = missing.partition(".")[0]
        cure = f"Install the package that has it, for the Python at {sys.executable}."
        if top in KNOWN_PACKAGES:
            cure = f"Install it: `pip install {KNOWN_PACKAGES[top]}`."
        raise EnvError(Problem(what, place, cure)) from None
    # An id that Gymnasium does not know, or no longer.
    except gym.error.DeprecatedEnv as error:
        known = did_you_mean(config.id.rpartition(":")[2], gym.registry)
        what = f"`{config.id}` is an old version that Gymnasium no longer has."
        named = re.search(r"use (`[^`]+`)", str(error))
        cure = f"Use {named[1]}." if named else known or "`rl envs` lists what is installed."
        raise EnvError(Problem(what, place, cure)) from None
    except gym.error.UnregisteredEnv:
        raise _no_such_environment(config) from None
    except gym.error.DependencyNotInstalled as error:
        what = f"`{config.id}` needs a package that is not installed."
        raise EnvError(Problem(what, place, str(error))) from None
    # Anything that its own code raises.
    except (Exception, SystemExit) as error:
        what = f"`{config.id}` could not be {action}: {describe_exception(error)}"
        if users := users_place_of(error):
            what += f" ({users})"
        cure = argument_to_blame(config, _spec_if_any(config), error)
        keys = [place, *(f"env.kwargs.{name}" for name in config.kwargs), "env.wrappers"]
        cure = cure or f"Check {', '.join(f'`{key}`' for key in keys)}."
        raise EnvError(Problem(what, "env", cure)) from error


def _spec_if_any(config: EnvConfig) -> gym.envs.registration.EnvSpec | None:
    """Return what is known of an environment that could not be built."""
    if config.entry_point is not None:
        return gym.envs.registration.EnvSpec(id=config.id, entry_point=config.entry_point)
    return gym.registry.get(config.id.rpartition(":")[2])


# The modules that register the ids of known packages, by how the ids begin or end.
_MODULE_OF_PREFIX = {
    "ALE/": "ale_py",
    "MiniGrid-": "minigrid",
    "BabyAI-": "minigrid",
    "MiniWorld-": "miniworld",
    "highway-": "highway_env",
    "merge-v": "highway_env",
    "roundabout-": "highway_env",
    "parking-": "highway_env",
    "intersection-": "highway_env",
    "racetrack-": "highway_env",
    "Fetch": "gymnasium_robotics",
    "HandManipulate": "gymnasium_robotics",
    "HandReach": "gymnasium_robotics",
    "AntMaze": "gymnasium_robotics",
    "PointMaze": "gymnasium_robotics",
    "Adroit": "gymnasium_robotics",
    "FrankaKitchen": "gymnasium_robotics",
    "Panda": "panda_gym",
    "GymV21": "shimmy",
    "GymV26": "shimmy",
    "dm_control/": "shimmy",
    "mo-": "mo_gymnasium",
    "Vizdoom": "vizdoom",
}
_MODULE_OF_ATARI = re.compile(r"(NoFrameskip|Deterministic|-ram).*-v\d+\Z")


def _no_such_environment(config: EnvConfig) -> EnvError:
    """Return the error for an id that nothing has registered, with the ids it may have meant."""
    module, _, env_id = config.id.rpartition(":")
    what = f"There is no environment `{config.id}`."
    # An id without a module: another package may have it, or it is misspelt.
    if not module:
        home = _home_of(env_id)
        if home is not None:
            cure = f"Its package registers it when it is imported: `env.id: {home}:{env_id}`."
        elif re.search(r"\.py\b|/.*:", config.id) or "." in env_id or is_local(env_id):
            cure = "Name the module and the class, `env.entry_point: my_env:MyEnv`. Or let the "
            cure += "module register it with `gymnasium.register`: `env.id: my_env:MyEnv-v0`."
        else:
            cure = did_you_mean(env_id, gym.registry) or "`rl envs` lists what is installed."
        return EnvError(Problem(what, "env.id", cure))
    # An id with a module: compare it with what that module has registered.
    own = _ids_of(module)
    if isinstance(getattr(sys.modules.get(module), env_id, None), type):
        cure = f"It is a class there: write `env.entry_point: {module}:{env_id}` instead of `id`."
    elif guess := did_you_mean(env_id, own):
        cure = guess.replace("`", f"`{module}:", 1)
    elif own:
        cure = f"It has registered: {', '.join(f'`{each}`' for each in own[:10])}."
    else:
        cure = f"It has registered none: call `gymnasium.register` in {module}. "
        cure = (cure + did_you_mean(env_id, gym.registry)).strip()
    what = f"The module `{module}` was imported, but has not registered `{env_id}`."
    return EnvError(Problem(what, "env.id", cure))


def _ids_of(module: str) -> list[str]:
    """Return the ids that a module registered while it was imported, or of its own classes."""
    own = _registered_by.get(module, [])
    for spec in gym.registry.values():
        entry_point = spec.entry_point
        place = getattr(entry_point, "__module__", None) or str(entry_point).partition(":")[0]
        if place == module and spec.id not in own:
            own = [*own, spec.id]
    return own


def _home_of(env_id: str) -> str | None:
    """Return the module that registers the id of a well-known package; None for other ids."""
    if _MODULE_OF_ATARI.search(env_id):
        return "ale_py"
    return next((m for start, m in _MODULE_OF_PREFIX.items() if env_id.startswith(start)), None)
