"""Python's annotations and YAML's values: what a constructor's types look like in a config.

A signature's types are mapped to what YAML can say::

    float | Schedule            1e-3   or   {schedule: linear, initial: 1e-3}
    type[nn.Module]             Tanh   or   torch.nn.Tanh
    ActionNoise                 {noise: normal, sigma: 0.1}
    int | tuple[int, str]       4      or   [1, episode]

:func:`config_type` gives the pydantic type that checks such values; :func:`build_value` turns a
checked value into the object that the constructor takes.
"""

import functools
import inspect
import re
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    Tag,
    model_serializer,
    model_validator,
)

from rl_runner.agents.schedules import build_schedule
from rl_runner.config.environment import DOTTED_NAME
from rl_runner.config.schedules import ScheduleConfig
from rl_runner.config.section import Section, text_like
from rl_runner.envs.wrappers import fitted_arguments
from rl_runner.errors import CodeError, did_you_mean
from rl_runner.local_code import import_named

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
    "batch_norm_momentum": {"gt": 0, "le": 1},
    "clip_range": {"gt": 0},
    "clip_range_vf": {"gt": 0},
    "delta_std": {"gt": 0},
    "exploration_decay": {"gt": 0, "le": 1},
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


KNOWN_NOISES = ("normal", "ornstein_uhlenbeck")


def _names_noise(name: str) -> str:
    if name in KNOWN_NOISES:
        return name
    if re.fullmatch(DOTTED_NAME, name) is None:
        listed = " or ".join(f"'{each}'" for each in KNOWN_NOISES)
        guess = did_you_mean(name, KNOWN_NOISES)
        message = f"expected {listed}, or a class of your own, 'module:Class'. {guess}".strip()
        raise ValueError(message)
    from stable_baselines3.common.noise import ActionNoise

    return _names_subclass_of(ActionNoise)(name)


class NoiseConfig(Section):
    """``{noise: normal, sigma: 0.1}``: noise added to the actions of DDPG, TD3 and the like.

    A class of the user's own, ``{noise: my_noise:Pink, kwargs: {beta: 1.0}}``, is given the
    ``kwargs``, and ``mean`` and ``sigma`` as arrays of the actions' shape if it has such arguments.
    """

    noise: Annotated[str, AfterValidator(_names_noise)]
    sigma: Annotated[float, Field(ge=0)] | None = None
    mean: float = 0.0
    kwargs: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if self.noise in KNOWN_NOISES and self.sigma is None:
            message = f"`{self.noise}` noise needs `sigma`, its standard deviation"
            raise ValueError(message)
        if self.noise in KNOWN_NOISES and self.kwargs:
            message = f"`{self.noise}` noise takes `sigma` and `mean`, and no `kwargs`"
            raise ValueError(message)
        return self

    @model_serializer
    def _as_written(self) -> dict[str, Any]:
        plain = {"noise": self.noise, "sigma": self.sigma, "mean": self.mean}
        return {**plain, "kwargs": self.kwargs} if self.kwargs else plain


def _members(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union (or the one type), ``None`` last."""
    origin = typing.get_origin(annotation)
    members = (
        typing.get_args(annotation) if origin in {typing.Union, types.UnionType} else (annotation,)
    )
    return tuple(sorted(members, key=lambda member: member is type(None)))


def config_type(name: str, annotation: Any) -> Any:
    """Return the pydantic type that YAML values of this parameter must have.

    A union is decided by the YAML shape of the value, so that a mistake inside a schedule is
    reported as such, and not as one failure per member.
    """
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
    """Return the pydantic type of one member of a union."""
    origin = typing.get_origin(member) or member
    if origin in {bool, type(None), Literal}:
        return member
    if origin in {int, float}:
        return Annotated[origin, _range_of(name, origin)]
    if origin in {list, tuple, dict}:
        return _container_type(origin, member)
    if origin is Callable:
        return Annotated[ScheduleConfig, AfterValidator(_schedule_in_range(name))]
    return NoiseConfig if _is_noise(origin) else _text_type(name, origin, member)


def _range_of(name: str, number: type[Any]) -> Any:
    limits: dict[str, Any] = {"ge": 1, "le": BIGGEST} if number is int else {"ge": 0}
    if name in RANGES:
        limits = RANGES[name] if number is float else {"le": BIGGEST, **RANGES[name]}
    return Field(**limits)


def _container_type(origin: Any, member: Any) -> Any:
    widths = list[Annotated[int, Field(ge=1, le=100_000)]]  # of layers
    if origin is list:
        return widths
    if origin is tuple:  # SB3's train_freq
        frequency = tuple[Annotated[int, Field(ge=1)], Literal["step", "episode"]]
        return Annotated[frequency, Field(strict=False)]
    values = typing.get_args(member)[1]
    return dict[str, widths if typing.get_origin(values) is list else Any]  # type: ignore[misc]


def _text_type(name: str, origin: Any, member: Any) -> Any:
    if origin is type:
        return Annotated[str, AfterValidator(_names_subclass_of(typing.get_args(member)[0]))]
    if name == "device":
        form = text_like(r"auto|cpu|mps|cuda(:\d+)?", "auto, cpu, mps, cuda or e.g. cuda:0")
        return Annotated[str, form]
    if name in {"ent_coef", "target_entropy"}:
        return Annotated[str, text_like(r"auto(_\d+(\.\d+)?)?", "a number, auto, or e.g. auto_0.1")]
    return str


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
        try:
            found, reason = find_class(name), ""
        except CodeError as error:
            found, reason = None, "".join(f". {p.what} {p.cure}" for p in error.problems)
        if not (isinstance(found, type) and issubclass(found, base)):
            message = (
                f"`{name}` is not a {base.__name__}; give a class name such as "
                f"package.module.Class{reason.removesuffix('.')}"
            )
            raise ValueError(message)
        return name

    return check


def find_class(name: str) -> type[Any] | None:
    """Return the class behind a dotted name, or behind a short one known to torch or SB3.

    :raises CodeError: if its module cannot be imported
    """
    module_name, _, class_name = name.replace(":", ".").rpartition(".")
    for home in (module_name,) if module_name else CLASS_HOMES:
        try:
            found: type[Any] | None = getattr(import_named(home, "algo"), class_name, None)
        except (ValueError, TypeError):
            continue
        if found is not None:
            return found
    return None


def describe_type(annotation: Any) -> str:
    """Return a type in the words of a config, e.g. ``float | schedule``."""
    return " | ".join(_member_name(member) for member in _members(annotation))


def _member_name(member: Any) -> str:
    origin = typing.get_origin(member) or member
    names: dict[Any, str] = {
        type(None): "null",
        Callable: "schedule",
        type: "class name",
        dict: "mapping",
        list: "list",
        tuple: "[int, step|episode]",
    }
    if origin is Literal:
        return " | ".join(map(str, typing.get_args(member)))
    if _is_noise(origin):
        return "noise"
    return names.get(origin, str(getattr(origin, "__name__", origin)))


def build_value(value: Any, annotation: Any, action_shape: tuple[int, ...]) -> Any:
    """Build what a plain value stands for; most values stand for themselves.

    :param action_shape: of one action, for action noise
    """
    kinds = {_kind_of_type(member): member for member in _members(annotation)}
    member = kinds.get(_kind_of_value(value))
    wanted = typing.get_origin(member) or member
    if wanted is Callable:
        return build_schedule(ScheduleConfig.model_validate(value))
    if wanted is type:
        return find_class(value)
    if wanted is not None and _is_noise(wanted):
        return _build_noise(NoiseConfig.model_validate(value), action_shape)
    if wanted is tuple:
        return tuple(value)
    return value


def _build_noise(config: NoiseConfig, action_shape: tuple[int, ...]) -> object:
    import numpy as np
    from stable_baselines3.common import noise

    mean, sigma = np.full(action_shape, config.mean), np.full(action_shape, config.sigma or 0.0)
    if config.noise not in KNOWN_NOISES:
        found: Any = find_class(config.noise)
        taken = inspect.signature(found).parameters
        own = {"mean": mean, "sigma": None if config.sigma is None else sigma}
        given = {k: value for k, value in own.items() if k in taken and value is not None}
        return found(**given, **fitted_arguments(found, config.kwargs))
    if config.noise == "ornstein_uhlenbeck":
        return noise.OrnsteinUhlenbeckActionNoise(mean, sigma)
    if not action_shape:
        # SB3's NormalActionNoise cannot be a single number. An Ornstein-Uhlenbeck process with
        # θ = 1 and dt = 1 forgets its last value: it draws from N(mean, sigma²) as well.
        return noise.OrnsteinUhlenbeckActionNoise(mean, sigma, theta=1.0, dt=1.0)
    return noise.NormalActionNoise(mean, sigma)
