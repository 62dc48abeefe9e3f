"""What a config says about tuning: the search space, what is looked for, and how."""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from rl_runner.config.section import Section

Sampler = Literal["tpe", "random", "cmaes", "gp", "qmc", "grid"]
Pruner = Literal["median", "hyperband", "asha", "wilcoxon", "none"]
Measure = Literal["final", "best", "last_mean", "time_to_threshold", "wall_time"]

MAXIMIZED: tuple[Measure, ...] = ("final", "best", "last_mean")

Number = int | float
Scalar = bool | int | float | str | None


class ParameterConfig(Section):
    """What a hyperparameter may become.

    ``float`` and ``int`` lie between ``low`` and ``high``, both included, on a logarithmic scale
    (``log``) or in steps (``step``); ``categorical`` is one of ``choices``. With ``when`` it is
    varied only while other parameters of the space have one of the named values, and otherwise
    stays as the config has it: ``when: {exploration: epsilon_greedy}``.
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
        return "a categorical parameter has no scale"
    if not parameter.choices:
        return "a categorical parameter needs at least one of `choices: […]`"
    texts = [json.dumps(choice, sort_keys=True, default=repr) for choice in parameter.choices]
    return "one of the `choices` is listed twice" if len(set(texts)) < len(texts) else ""


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
    return ""


def _shape_of_node(value: object) -> str:
    """Tell a parameter from a mapping of parameters, such as ``policy_kwargs: {net_arch: …}``."""
    nested = isinstance(value, dict) and value and all(isinstance(v, dict) for v in value.values())
    return "nested" if nested else "parameter"


_Node = Annotated[
    Annotated[ParameterConfig, Tag("parameter")]
    | Annotated[dict[str, ParameterConfig], Tag("nested")],
    Discriminator(_shape_of_node),
]


def _measure_from_name(value: object) -> object:
    return {"measure": value} if isinstance(value, str) else value


class ObjectiveConfig(Section):
    """What makes a trial good, from each of its seeds, and how the seeds are taken together.

    ``final`` and ``best`` are the mean return of the last and of the best agent over held-out
    episodes, ``last_mean`` that of the last ``last`` periodic evaluations. ``time_to_threshold`` is
    after how many timesteps an evaluation reached ``threshold`` (by default the environment's own
    ``reward_threshold``); a run that never did counts as twice its budget. ``wall_time`` is the
    training's duration in seconds.
    """

    measure: Measure = "final"
    last: Annotated[int, Field(ge=1, le=10_000)] = 3
    threshold: float | None = None
    over_seeds: Literal["mean", "median", "iqm", "worst"] = "mean"

    @property
    def maximized(self) -> bool:
        """Whether more is better."""
        return self.measure in MAXIMIZED


def _list_from_one(value: object) -> object:
    if isinstance(value, list | tuple):
        return tuple(value)
    return (value,)


Objectives = Annotated[
    tuple[Annotated[ObjectiveConfig, BeforeValidator(_measure_from_name)], ...],
    BeforeValidator(_list_from_one),
    Field(min_length=1, max_length=3),
]


class ConfirmConfig(Section):
    """The best ``trials`` and the starting config are trained on ``seeds`` fresh seeds."""

    trials: Annotated[int, Field(ge=0, le=1000)] = 3
    seeds: Annotated[int, Field(ge=1, le=1000)] = 5


class TuneConfig(Section):
    """How `rl tune` looks for better hyperparameters; `rl train` ignores it.

    ``trials`` is how many settings are tried in all, each on up to ``seeds`` seeds. ``seed`` makes
    the search repeatable. ``final_episodes`` are played at the end of each run of the search
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
    search_space: dict[str, _Node] | None = None

    @model_validator(mode="after")
    def _something_to_search(self) -> Self:
        if self.search_space is not None and not self.search_space:
            message = "the search space is empty; name a parameter, or leave `search_space` out"
            raise ValueError(message)
        return self

    @property
    def parameters(self) -> dict[str, ParameterConfig]:
        """The search space by dotted names, ``policy_kwargs.net_arch``."""
        flat: dict[str, ParameterConfig] = {}
        for name, node in (self.search_space or {}).items():
            if isinstance(node, ParameterConfig):
                flat[name] = node
            else:
                flat |= {f"{name}.{inner}": parameter for inner, parameter in node.items()}
        return flat
