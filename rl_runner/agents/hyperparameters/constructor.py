"""Hyperparameters, read from an algorithm's own constructor.

Names, types, defaults and descriptions come from the signature and docstring of the class, so a
new SB3 release needs no change here.

:func:`check_hyperparameters` validates plain values; :func:`build_keywords` turns validated plain
values into the objects that the constructor takes.
"""

import copy
import functools
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, Field, create_model

from rl_runner.agents.hyperparameters.yaml_types import (
    build_value,
    config_type,
    describe_type,
    find_class,
)
from rl_runner.agents.registry import Algorithm
from rl_runner.config.section import Section, validate_section
from rl_runner.config.yaml_text import Path, SourceMap
from rl_runner.envs.wrappers import fitted_arguments
from rl_runner.errors import ConfigError, Problem, did_you_mean

# Constructor parameters that rl_runner sets itself, and where the user sets them instead.
OWNED_BY_RUNNER = {
    "env": "the `env` section",
    "seed": "`train.seeds`",
    "tensorboard_log": "`--runs-dir`",
    "verbose": "`-q` and `-v`",
    "_init_setup_model": "nothing",
}

NETWORK = ("class", "kwargs")  # the ends of `policy_kwargs.features_extractor_…`


@dataclass(frozen=True)
class Hyperparameter:
    """One keyword of an algorithm's constructor."""

    name: str
    annotation: Any
    default: Any
    description: str

    @property
    def type_name(self) -> str:
        """The type in the words of a config."""
        return describe_type(self.annotation)


def hyperparameters_of(algorithm: Algorithm) -> dict[str, Hyperparameter]:
    """Return what a config may set for the algorithm, in the constructor's order."""
    cls = algorithm.load_class()
    found = _keywords_of(cls, tuple(OWNED_BY_RUNNER))
    if "policy" in found:
        found["policy"] = Hyperparameter(
            "policy", str, "auto", "the policy class; auto chooses it by the observation space"
        )
    return found


def check_hyperparameters(
    algorithm: Algorithm, raw: Mapping[str, Any], source: SourceMap
) -> dict[str, Any]:
    """Return the complete, normalised hyperparameters: what is written, and the defaults.

    :raises ConfigError: on an unknown key, a wrong type or a value out of range
    """
    known = hyperparameters_of(algorithm)
    at: Path = ("algo",)
    for key in raw:
        if key in OWNED_BY_RUNNER:
            problem = Problem(
                f"`{key}` is not a hyperparameter.",
                source.locate((*at, key)),
                f"It is set by {OWNED_BY_RUNNER[key]}.",
            )
            raise ConfigError(problem)
    model = _section_for(f"{algorithm.name} hyperparameters", tuple(known.values()))
    complete = validate_section(model, raw, source, at).model_dump()
    if complete.get("policy_kwargs"):
        complete["policy_kwargs"] = _check_policy_kwargs(algorithm, complete, source)
    return complete


def check_policy_name(algorithm: Algorithm, policy: str, where: str) -> None:
    """Refuse a policy that the algorithm does not have, unless a module has it (``nets:Mine``).

    :raises ConfigError: also for a class that does not extend one of the algorithm's policies
    :raises CodeError: if its module cannot be imported
    """
    aliases = algorithm.load_class().policy_aliases
    if policy in aliases:
        return
    if not _names_a_module(policy):
        what = f"{algorithm.name} has no policy `{policy}`."
        cure = f"{did_you_mean(policy, aliases)} It has: auto, {', '.join(aliases)}."
        cure = f"{cure.strip()} A class of your own has its module before it: `nets:MyPolicy`."
        raise ConfigError(Problem(what, where, cure))
    found = find_class(policy)
    # Every policy of an algorithm extends its first one, or is another implementation of it.
    base = next(iter(aliases.values()))
    if found is None or not issubclass(found, base):
        what = f"`{policy}` is not a policy for {algorithm.name}."
        cure = f"Name a class that extends `{base.__module__}.{base.__name__}`."
        raise ConfigError(Problem(what, where, cure))


def _names_a_module(policy: str) -> bool:
    return "." in policy or ":" in policy


def load_policy(algorithm: Algorithm, policy: str) -> type[Any]:
    """Return the class of a policy that :func:`check_policy_name` accepts."""
    aliases = algorithm.load_class().policy_aliases
    found = aliases.get(policy) or find_class(policy)
    if found is None:
        raise ConfigError(Problem(f"There is no policy `{policy}`.", "algo.policy"))
    return cast("type[Any]", found)


def build_keywords(
    algorithm: Algorithm, checked: Mapping[str, Any], action_shape: tuple[int, ...]
) -> dict[str, Any]:
    """Turn validated plain values into what the constructor takes.

    :param action_shape: of one action, for action noise
    """
    known = hyperparameters_of(algorithm)
    checked = copy.deepcopy(dict(checked))  # SB3 writes into the dictionaries it is given
    keywords = {
        name: build_value(value, known[name].annotation, action_shape)
        for name, value in checked.items()
    }
    if keywords.get("policy_kwargs"):
        described = _policy_keywords(algorithm, keywords["policy"])
        policy_keywords = {
            name: build_value(value, described[name].annotation, action_shape)
            for name, value in keywords["policy_kwargs"].items()
        }
        # Arguments of a network of the user's own.
        network, arguments = (policy_keywords.get(f"features_extractor_{k}") for k in NETWORK)
        if network is not None and arguments:
            policy_keywords["features_extractor_kwargs"] = fitted_arguments(network, arguments)
        keywords["policy_kwargs"] = policy_keywords
    if _names_a_module(str(keywords.get("policy"))):
        keywords["policy"] = load_policy(algorithm, keywords["policy"])
    return keywords


def _policy_keywords(algorithm: Algorithm, policy: str) -> dict[str, Hyperparameter]:
    policy_class = load_policy(algorithm, policy)
    given_by_algorithm = ("observation_space", "action_space", "lr_schedule", "use_sde")
    return _keywords_of(policy_class, given_by_algorithm)


def _check_policy_kwargs(
    algorithm: Algorithm, complete: Mapping[str, Any], source: SourceMap
) -> dict[str, Any]:
    """Check ``policy_kwargs`` against the policy's constructor; only what is written is kept."""
    policy = complete["policy"]
    if policy == "auto":
        policy = next(iter(algorithm.load_class().policy_aliases))
    check_policy_name(algorithm, policy, source.locate(("algo", "policy")))
    known = _policy_keywords(algorithm, policy)
    model = _section_for(f"{algorithm.name} {policy}", tuple(known.values()))
    at: Path = ("algo", "policy_kwargs")
    section = validate_section(model, complete["policy_kwargs"], source, at)
    return section.model_dump(include=section.model_fields_set)


def _keywords_of(cls: type[Any], leave_out: Sequence[str]) -> dict[str, Hyperparameter]:
    """Return the constructor's keywords with types, defaults and docstring descriptions."""
    descriptions = _described_parameters(cls)
    return {
        parameter.name: Hyperparameter(
            parameter.name,
            parameter.annotation,
            parameter.default,
            descriptions.get(parameter.name, ""),
        )
        for parameter in _parameters_of(cls)
        if parameter.name not in leave_out
        and parameter.kind not in {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    }


def _parameters_of(cls: type[Any]) -> Sequence[inspect.Parameter]:
    """Return a constructor's parameters; behind ``**kwargs`` there are those of the parent class.

    Subclasses usually pass on what they do not know: ``def __init__(self, *args, **kwargs)``.
    """
    found: dict[str, inspect.Parameter] = {}
    for each in cls.__mro__:
        if "__init__" not in vars(each):
            continue
        parameters = list(inspect.signature(each).parameters.values())
        found = {**{parameter.name: parameter for parameter in parameters}, **found}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return tuple(found.values())


def _described_parameters(cls: type[Any]) -> dict[str, str]:
    """Read ``:param name: text`` from the class's docstring, as one line each.

    They are shown in a terminal and in YAML comments, where code stands in single backticks.
    """
    text = inspect.cleandoc(cls.__doc__ or "").replace("``", "`")
    matches = re.findall(r":param (\w+):\s*(.*?)(?=\n:|\n\n|\Z)", text, flags=re.DOTALL)
    return {name: " ".join(body.split()) for name, body in matches}


@functools.cache
def _section_for(title: str, known: tuple[Hyperparameter, ...]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        item.name: (
            config_type(item.name, item.annotation),
            Field(item.default, validate_default=not isinstance(item.default, type)),
        )
        for item in known
    }
    return create_model(title, __base__=Section, **fields)
