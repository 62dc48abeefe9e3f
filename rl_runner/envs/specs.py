"""Environments and wrappers by the names that a config gives them, and errors that say the cure."""

import contextlib
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym

from rl_runner.config.schema import EnvConfig, WrapperConfig
from rl_runner.errors import EnvError, Problem, describe_exception, did_you_mean

DEFAULT_TIME_LIMIT = 1000  # steps, for environments that never truncate an episode themselves

AnyEnv = gym.Env[Any, Any]

# Wrappers that keep running statistics, and the key of `env.normalize` that does the same
NORMALIZING: dict[type[gym.Wrapper[Any, Any, Any, Any]], str] = {
    gym.wrappers.NormalizeObservation: "observations",
    gym.wrappers.NormalizeReward: "rewards",
}


def find_spec(config: EnvConfig) -> gym.envs.registration.EnvSpec:
    """Return Gymnasium's registry entry for ``env.id``.

    :raises EnvError: if there is no such environment
    """
    with explained(config, "found"):
        # gym.make imports the package of "package:Env-v0" to let it register its environments;
        # gym.spec alone does not.
        module, _, env_id = config.id.rpartition(":")
        if module:
            importlib.import_module(module)
        if env_id not in gym.registry and "-v" not in env_id:
            raise gym.error.NameNotFound(env_id)  # gym.spec raises a bare gym.error.Error here
        return gym.spec(env_id)


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


def load_wrapper(config: WrapperConfig) -> Callable[..., AnyEnv]:
    """Import a Gymnasium wrapper by its dotted name.

    :raises EnvError: if it cannot be imported or is not a wrapper, with the nearest name
    """
    module_name, _, class_name = config.name.replace(":", ".").rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        what = f"The wrapper `{config.name}` cannot be imported: {error}."
        raise EnvError(Problem(what, "env.wrappers")) from None
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, gym.Wrapper)):
        what = f"`{config.name}` is not a Gymnasium wrapper."
        raise EnvError(Problem(what, "env.wrappers", did_you_mean(class_name, dir(module))))
    for kind, key in NORMALIZING.items():
        if issubclass(found, kind):
            what = (
                f"`{config.name}` keeps statistics that no checkpoint holds and no evaluation "
                "shares: what is evaluated would not be what was trained."
            )
            cure = f"Use `env.normalize: {{{key}: true}}`, whose statistics are saved and shared."
            raise EnvError(Problem(what, "env.wrappers", cure))
    return found


@contextlib.contextmanager
def explained(config: EnvConfig, action: str) -> Iterator[None]:
    """Turn every exception raised inside into an :class:`EnvError` that says what to do.

    :param action: what is being done to the environment, for the message: ``"built"``
    """
    try:
        yield
    except EnvError:
        raise
    except ModuleNotFoundError as error:
        what = f"`{config.id}` needs the Python package `{error.name}`, which is not installed."
        cure = f"Install it (`pip install {(error.name or '').partition('.')[0]}`) or check the id."
        raise EnvError(Problem(what, "env.id", cure)) from None
    except gym.error.UnregisteredEnv:
        # Suggest ids in the form in which they were written, with the package before the colon.
        prefix = "".join(config.id.rpartition(":")[:2])
        cure = (
            did_you_mean(config.id, [prefix + known for known in gym.registry])
            or "`rl envs` lists what is installed."
        )
        what = f"There is no environment `{config.id}`."
        raise EnvError(Problem(what, "env.id", cure)) from None
    except gym.error.DependencyNotInstalled as error:
        what = f"`{config.id}` needs a package that is not installed."
        raise EnvError(Problem(what, "env.id", str(error))) from None
    except Exception as error:
        what = f"`{config.id}` could not be {action}: {describe_exception(error)}"
        cure = "Check `env.id`, `env.kwargs` and `env.wrappers`."
        raise EnvError(Problem(what, "env", cure)) from error
