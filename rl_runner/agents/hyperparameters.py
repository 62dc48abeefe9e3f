"""Hyperparameters, read from an algorithm's own constructor.

Names, types, defaults and descriptions come from the signature and docstring of the class, so a
new SB3 release needs no change here. A signature's Python types are mapped to what YAML can say::

    float | Schedule            1e-3   or   {schedule: linear, initial: 1e-3}
    type[nn.Module]             Tanh   or   torch.nn.Tanh
    ActionNoise                 {noise: normal, sigma: 0.1}
    int | tuple[int, str]       4      or   [1, episode]

:func:`check_hyperparameters` validates plain values; :func:`build_keywords` turns validated plain
values into the objects that the constructor takes.
"""

import functools
import importlib
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Discriminator, Field, Tag, create_model

from rl_runner.agents.registry import Algorithm
from rl_runner.agents.schedules import build_schedule
from rl_runner.config.schedules import ScheduleConfig
from rl_runner.config.section import Section
from rl_runner.config.source import Path, SourceMap
from rl_runner.config.validation import validate_section
from rl_runner.errors import ConfigError, Problem, did_you_mean

# Constructor parameters that belong to the runner, and where the user says the same thing.
OWNED_BY_RUNNER = {
    "env": "the `env` section",
    "seed": "`train.seeds`",
    "tensorboard_log": "`--runs-dir`",
    "verbose": "`-q` and `-v`",
    "_init_setup_model": "nothing",
}

# Where short class names such as `Tanh` or `HerReplayBuffer` are looked up.
CLASS_HOMES = (
    "torch.nn",
    "torch.optim",
    "stable_baselines3.her",
    "stable_baselines3.common.buffers",
    "stable_baselines3.common.torch_layers",
    "stable_baselines3.common.sb2_compat.rmsprop_tf_like",
)

# Ranges by name; SB3 itself checks few of them. Whole numbers are otherwise at least 1, other
# numbers at least 0.
RANGES: dict[str, dict[str, float]] = {
    "alive_bonus_offset": {},
    "clip_range": {"gt": 0},
    "clip_range_vf": {"gt": 0},
    "delta_std": {"gt": 0},
    "exploration_final_eps": {"ge": 0, "le": 1},
    "exploration_fraction": {"gt": 0, "le": 1},
    "exploration_initial_eps": {"ge": 0, "le": 1},
    "gae_lambda": {"ge": 0, "le": 1},
    "gamma": {"ge": 0, "le": 1},
    "gradient_steps": {"ge": -1},
    "initial_q": {},
    "learning_rate": {"gt": 0},
    "learning_starts": {"ge": 0},
    "line_search_shrinking_factor": {"gt": 0, "lt": 1},
    "log_std_init": {},
    "max_grad_norm": {"gt": 0},
    "sde_sample_freq": {"ge": -1},
    "target_entropy": {},
    "target_kl": {"gt": 0},
    "tau": {"ge": 0, "le": 1},
    "top_quantiles_to_drop_per_net": {"ge": 0},
}
BIGGEST = 10**12


class NoiseConfig(Section):
    """``{noise: normal, sigma: 0.1}``: noise added to the actions of DDPG, TD3 and the like."""

    noise: Literal["normal", "ornstein_uhlenbeck"]
    sigma: Annotated[float, Field(ge=0)]
    mean: float = 0.0


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
        return " | ".join(_member_name(member) for member in _members(self.annotation))


def hyperparameters_of(algorithm: Algorithm) -> dict[str, Hyperparameter]:
    """Return what a config may set for the algorithm, in the constructor's order."""
    cls = algorithm.load_class()
    found = _keywords_of(cls, tuple(OWNED_BY_RUNNER))
    if "policy" in found:
        found["policy"] = Hyperparameter(
            "policy", str, "auto", "which of the algorithm's policies; auto: by the observations"
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
    """Refuse a policy that the algorithm does not have."""
    aliases = algorithm.load_class().policy_aliases
    if policy not in aliases:
        what = f"{algorithm.name} has no policy `{policy}`."
        cure = f"{did_you_mean(policy, aliases)} It has: auto, {', '.join(aliases)}."
        raise ConfigError(Problem(what, where, cure.strip()))


def build_keywords(algorithm: Algorithm, checked: Mapping[str, Any], n_actions: int) -> dict[str, Any]:
    """Turn validated plain values into what the constructor takes.

    :param n_actions: the length of an action vector, for action noise
    """
    known = hyperparameters_of(algorithm)
    keywords = {
        name: _built(value, known[name].annotation, n_actions) for name, value in checked.items()
    }
    if keywords.get("policy_kwargs"):
        described = _policy_keywords(algorithm, keywords["policy"])
        keywords["policy_kwargs"] = {
            name: _built(value, described[name].annotation, n_actions)
            for name, value in keywords["policy_kwargs"].items()
        }
    return keywords


# --- from a signature to a pydantic section -------------------------------------------------


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
        for parameter in inspect.signature(cls).parameters.values()
        if parameter.name not in leave_out
        and parameter.kind not in {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    }


def _described_parameters(cls: type[Any]) -> dict[str, str]:
    """Read ``:param name: text`` from the class's docstring, as one line each."""
    text = inspect.cleandoc(cls.__doc__ or "")
    matches = re.findall(r":param (\w+):\s*(.*?)(?=\n:|\n\n|\Z)", text, flags=re.DOTALL)
    return {name: " ".join(body.split()) for name, body in matches}


@functools.cache
def _section_for(title: str, known: tuple[Hyperparameter, ...]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        item.name: (
            _config_type(item.name, item.annotation),
            Field(item.default, validate_default=not isinstance(item.default, type)),
        )
        for item in known
    }
    return create_model(title, __base__=Section, **fields)


def _members(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union (or the one type), ``None`` last."""
    origin = typing.get_origin(annotation)
    members = (
        typing.get_args(annotation) if origin in {typing.Union, types.UnionType} else (annotation,)
    )
    return tuple(sorted(members, key=lambda member: member is type(None)))


def _config_type(name: str, annotation: Any) -> Any:
    """Return the pydantic type that YAML values of this parameter must have."""
    choices: dict[str, Any] = {}
    for member in _members(annotation):
        choices.setdefault(_kind_of_type(member), _member_type(name, member))
    if len(choices) == 1:
        return next(iter(choices.values()))
    first = next(iter(choices))

    def kind_of_value(value: object) -> str:
        kind = _kind_of_value(value)
        return kind if kind in choices else first

    tagged = [Annotated[choice, Tag(kind)] for kind, choice in choices.items()]
    return Annotated[functools.reduce(lambda a, b: a | b, tagged), Discriminator(kind_of_value)]


def _kind_of_type(member: Any) -> str:
    """Name the YAML shape of a type: flag, number, text, list, mapping or nothing."""
    origin = typing.get_origin(member) or member
    if origin is type(None):
        return "nothing"
    if origin is bool:
        return "flag"
    if origin in {int, float}:
        return "number"
    if origin in {list, tuple}:
        return "list"
    if origin is dict or origin is Callable or _is_noise(origin):
        return "mapping"
    return "text"


def _kind_of_value(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "flag"
        case int() | float():
            return "number"
        case list() | tuple():
            return "list"
        case dict() | Section():
            return "mapping"
    return "text"


def _member_type(name: str, member: Any) -> Any:
    origin = typing.get_origin(member) or member
    if origin in {bool, type(None)}:
        return origin
    if origin is int:
        return Annotated[int, Field(**{"ge": 1, "le": BIGGEST, **RANGES.get(name, {})})]  # type: ignore[arg-type]
    if origin is float:
        return Annotated[float, Field(**RANGES.get(name, {"ge": 0}))]  # type: ignore[arg-type]
    if origin is Callable:
        return Annotated[ScheduleConfig, AfterValidator(_schedule_in_range(name))]
    if _is_noise(origin):
        return NoiseConfig
    if origin is tuple:  # SB3's train_freq
        return Annotated[
            tuple[Annotated[int, Field(ge=1)], Literal["step", "episode"]], Field(strict=False)
        ]
    if origin is list:
        return list[Annotated[int, Field(ge=1, le=100_000)]]
    if origin is dict:
        return _mapping_type(member)
    if origin is type:
        return Annotated[str, AfterValidator(_names_subclass_of(typing.get_args(member)[0]))]
    if getattr(member, "__module__", "") == "torch" or name == "device":
        return Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")]
    if origin is typing.Literal:
        return member
    if name in {"ent_coef", "target_entropy"}:
        return Annotated[str, Field(pattern=r"^auto(_\d+(\.\d+)?)?$")]
    return str


def _mapping_type(member: Any) -> Any:
    arguments = typing.get_args(member)
    if len(arguments) == 2 and typing.get_origin(arguments[1]) is list:
        return dict[str, list[Annotated[int, Field(ge=1, le=100_000)]]]
    return dict[str, Any]


def _is_noise(origin: Any) -> bool:
    return getattr(origin, "__name__", "") == "ActionNoise"


def _schedule_in_range(name: str) -> Callable[[ScheduleConfig], ScheduleConfig]:
    limits = RANGES.get(name, {"ge": 0})

    def check(schedule: ScheduleConfig) -> ScheduleConfig:
        lowest = 0 if limits else -float("inf")
        if min(schedule.initial, schedule.final) < lowest or schedule.initial == 0:
            message = "a schedule starts above 0 and never goes below it"
            raise ValueError(message)
        return schedule

    return check


def _names_subclass_of(base: type[Any]) -> Callable[[str], str]:
    def check(name: str) -> str:
        found = _find_class(name)
        if not (isinstance(found, type) and issubclass(found, base)):
            message = f"`{name}` is no {base.__name__}; give a class name such as package.module.Class"
            raise ValueError(message)
        return name

    return check


def _find_class(name: str) -> type[Any] | None:
    """Return the class behind a dotted name, or behind a short one known to torch or SB3."""
    module_name, _, class_name = name.replace(":", ".").rpartition(".")
    for home in (module_name,) if module_name else CLASS_HOMES:
        try:
            found: type[Any] | None = getattr(importlib.import_module(home), class_name, None)
        except (ImportError, ValueError):
            continue
        if found is not None:
            return found
    return None


def _member_name(member: Any) -> str:
    origin = typing.get_origin(member) or member
    if origin is type(None):
        return "null"
    if origin is Callable:
        return "schedule"
    if origin is type:
        return "class name"
    if origin is typing.Literal:
        return " | ".join(map(str, typing.get_args(member)))
    if origin in {dict, list, tuple}:
        return {dict: "mapping", list: "list", tuple: "[int, step|episode]"}[origin]
    if _is_noise(origin):
        return "noise"
    return str(getattr(origin, "__name__", origin))


# --- policy_kwargs ------------------------------------------------------------------------


def _policy_keywords(algorithm: Algorithm, policy: str) -> dict[str, Hyperparameter]:
    cls = algorithm.load_class()
    policy_class = cls.policy_aliases[policy]
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


# --- from plain values to objects ------------------------------------------------------------


def _built(value: Any, annotation: Any, n_actions: int) -> Any:
    """Build what a plain value stands for; most values stand for themselves."""
    kinds = {_kind_of_type(member): typing.get_origin(member) or member for member in _members(annotation)}
    wanted = kinds.get(_kind_of_value(value))
    if wanted is Callable:
        return build_schedule(ScheduleConfig.model_validate(value))
    if wanted is type:
        return _find_class(value)
    if wanted is not None and _is_noise(wanted):
        return _build_noise(NoiseConfig.model_validate(value), n_actions)
    if wanted is tuple:
        return tuple(value)
    return value


def _build_noise(config: NoiseConfig, n_actions: int) -> object:
    import numpy as np
    from stable_baselines3.common import noise

    mean, sigma = np.full(n_actions, config.mean), np.full(n_actions, config.sigma)
    if config.noise == "normal":
        return noise.NormalActionNoise(mean, sigma)
    return noise.OrnsteinUhlenbeckActionNoise(mean, sigma)
