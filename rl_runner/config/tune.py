"""The `tune` section: the search space, the objectives, and how to search."""

import json
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from rl_runner.config.section import Section

Sampler = Literal["tpe", "random", "cmaes", "gp", "qmc", "grid"]
Pruner = Literal["median", "hyperband", "asha", "wilcoxon", "none"]
Measure = Literal["final", "best", "last_mean", "time_to_threshold", "wall_time"]

_LAST = 3  # evaluations averaged by `last_mean`
_NESTED = (dict, list, tuple)
MAXIMIZED: tuple[Measure, ...] = ("final", "best", "last_mean")


def _finite_number(value: object) -> object:
    """Refuse it once; pydantic alone would report it twice, as an int and as a float."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        message = "expected a finite number"
        raise ValueError(message)
    return value


Number = Annotated[int | float, BeforeValidator(_finite_number)]


class ParameterConfig(Section):
    """The values that a hyperparameter may take.

    ``float`` and ``int`` lie between ``low`` and ``high``, both included, on a logarithmic scale
    (``log``) or in steps (``step``); ``categorical`` is one of ``choices``. With ``when`` it is
    varied only while other parameters of the space have one of the named values; otherwise it
    keeps the config's value: ``when: {exploration: epsilon_greedy}``.
    """

    type: Literal["float", "int", "categorical"]
    low: Number | None = None
    high: Number | None = None
    log: bool = False
    step: Annotated[Number, Field(gt=0)] | None = None
    choices: Annotated[tuple[Any, ...], Field(strict=False)] | None = None
    when: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        problem = (
            _problem_of_choices(self) if self.type == "categorical" else _problem_of_range(self)
        )
        if problem:
            raise ValueError(problem)
        return self


def _problem_of_choices(parameter: ParameterConfig) -> str:
    if parameter.low is not None or parameter.high is not None or parameter.step is not None:
        return "a categorical parameter has `choices`, not `low`, `high` or `step`"
    if parameter.log:
        return "a categorical parameter has no `log` scale"
    if not parameter.choices:
        return "a categorical parameter needs at least one of `choices: […]`"
    # Storages keep lists and mappings as text, and take 1, 1.0 and true for the same.
    kept = {
        json.dumps(choice, sort_keys=True, default=repr) if isinstance(choice, _NESTED) else choice
        for choice in parameter.choices
    }
    return "one of the `choices` is listed twice" if len(kept) < len(parameter.choices) else ""


def _problem_of_range(parameter: ParameterConfig) -> str:
    low, high = parameter.low, parameter.high
    if parameter.choices is not None:
        return f"`choices` belong to `type: categorical`, not to `type: {parameter.type}`"
    if low is None or high is None:
        return f"a parameter of `type: {parameter.type}` needs `low` and `high`"
    return _problem_of_ends(parameter, low, high)


def _problem_of_ends(parameter: ParameterConfig, low: Number, high: Number) -> str:
    if low > high:
        return f"`low` {low} is above `high` {high}"
    if parameter.type == "int" and any(isinstance(x, float) for x in (low, high, parameter.step)):
        return "a parameter of `type: int` has whole numbers as `low`, `high` and `step`"
    if parameter.log and low <= 0:
        return f"a logarithmic scale needs `low` above 0, not {low}"
    if parameter.log and parameter.step is not None:
        return "give `log` or `step`, not both"
    return "" if parameter.step is None else _problem_of_step(parameter.step, low, high)


def _problem_of_step(step: Number, low: Number, high: Number) -> str:
    """Return why steps from ``low`` never reach ``high``; empty if they do."""
    # In decimals, as the numbers are written: 0.3 is three steps of 0.1.
    first, size, end = (Decimal(str(number)) for number in (low, step, high))
    if not (end - first) % size:
        return ""
    if size > end - first:
        return f"`step` {step} is larger than the range from `low` {low} to `high` {high}"
    last = first + (end - first) // size * size
    return (
        f"steps of {step} from `low` {low} do not reach `high` {high}: the last value would be "
        f"{last}; write `high: {last}`, `high: {last + size}` or another `step`"
    )


def _with_dotted_names(value: object) -> object:
    """Write ``policy_kwargs: {net_arch: …}`` as ``policy_kwargs.net_arch: …``, however deep."""
    if not isinstance(value, Mapping):
        return value
    flat: dict[str, object] = {}
    for name, parameter in _leaves(value):
        if name in flat:
            message = f"`{name}` is given twice, nested and as a dotted name"
            raise ValueError(message)
        flat[name] = parameter
    return flat


def _leaves(space: Mapping[Any, object]) -> Iterator[tuple[str, object]]:
    """Yield parameters by dotted name; a mapping that contains only mappings is not a parameter."""
    for name, value in space.items():
        if isinstance(value, dict) and value and all(isinstance(v, dict) for v in value.values()):
            yield from ((f"{name}.{inner}", leaf) for inner, leaf in _leaves(value))
        else:
            yield name, value


def _not_empty(space: dict[str, ParameterConfig]) -> dict[str, ParameterConfig]:
    if not space:
        message = "the search space is empty; name a parameter, or leave `search_space` out"
        raise ValueError(message)
    return space


_SearchSpace = Annotated[
    dict[str, ParameterConfig], BeforeValidator(_with_dotted_names), AfterValidator(_not_empty)
]


def _measure_from_name(value: object) -> object:
    return {"measure": value} if isinstance(value, str) else value


class ObjectiveConfig(Section):
    """The score of a trial: the measure of each seed, and how seeds are combined.

    ``final`` and ``best`` are the mean return of the last and of the best agent over held-out
    episodes; ``last_mean`` is that of the last ``last`` periodic evaluations. ``time_to_threshold``
    is the number of timesteps until an evaluation reached ``threshold`` (default: the
    environment's ``reward_threshold``); a run that never reached it counts as twice its budget.
    ``wall_time`` is the duration of training in seconds.
    """

    measure: Measure = "final"
    last: Annotated[int, Field(ge=1, le=10_000)] = _LAST
    threshold: float | None = None
    over_seeds: Literal["mean", "median", "iqm", "worst"] = "mean"

    @model_validator(mode="after")
    def _settings_of_its_measure(self) -> Self:
        if self.threshold is not None and self.measure != "time_to_threshold":
            message = f"`threshold` belongs to `measure: time_to_threshold`, not to {self.measure}"
            raise ValueError(message)
        if self.last != _LAST and self.measure != "last_mean":
            message = f"`last` belongs to `measure: last_mean`, not to {self.measure}"
            raise ValueError(message)
        return self

    @property
    def maximized(self) -> bool:
        """Whether a higher score is better."""
        return self.measure in MAXIMIZED


def _list_from_one(value: object) -> object:
    if isinstance(value, list | tuple):
        return tuple(value)
    return (value,)


def _of_different_measures(objectives: tuple[ObjectiveConfig, ...]) -> tuple[ObjectiveConfig, ...]:
    if len({objective.measure for objective in objectives}) < len(objectives):
        message = "an `objective` is named twice; name different ones"
        raise ValueError(message)
    return objectives


Objectives = Annotated[
    tuple[Annotated[ObjectiveConfig, BeforeValidator(_measure_from_name)], ...],
    BeforeValidator(_list_from_one),
    Field(min_length=1, max_length=3),
    AfterValidator(_of_different_measures),
]


class ConfirmConfig(Section):
    """The best ``trials`` and the starting config are trained on ``seeds`` fresh seeds."""

    trials: Annotated[int, Field(ge=0, le=1000)] = 3
    seeds: Annotated[int, Field(ge=1, le=1000)] = 5


class TuneConfig(Section):
    """How `rl tune` searches for better hyperparameters; `rl train` ignores it.

    ``trials`` is the total number of trials, each on up to ``seeds`` seeds. ``seed`` makes the
    search repeatable. ``final_episodes`` are played at the end of each run of the search
    (default: ``eval.n_episodes``); confirming plays ``eval.final_episodes``. Without a
    ``search_space`` the algorithm's default is searched.
    """

    trials: Annotated[int, Field(ge=1, le=100_000)] = 50
    seeds: Annotated[int, Field(ge=1, le=1000)] = 3
    objective: Objectives = (ObjectiveConfig(),)
    sampler: Sampler = "tpe"
    pruner: Pruner = "median"
    startup_trials: Annotated[int, Field(ge=1, le=10_000)] = 5
    seed: Annotated[int, Field(ge=0, lt=10**8)] = 0
    confirm: ConfirmConfig = ConfirmConfig()
    final_episodes: Annotated[int, Field(ge=1, le=10**6)] | None = None
    search_space: _SearchSpace | None = None

    @property
    def parameters(self) -> dict[str, ParameterConfig]:
        """The search space by dotted names, ``policy_kwargs.net_arch`` (empty: the default)."""
        return self.search_space or {}
