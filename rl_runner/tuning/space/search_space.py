"""The search space: which hyperparameters are varied, and how.

Parameters are named by dotted paths below ``algo``: ``gamma``, ``learning_rate.initial``,
``policy_kwargs.net_arch``.
"""

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from optuna import Trial
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from rl_runner.config.tune import ParameterConfig
from rl_runner.errors import ConfigError, Problem, did_you_mean

Values = dict[str, Any]
SCALARS = (bool, int, float, str, type(None))
MAX_GRID = 100_000


@dataclass(frozen=True)
class SearchSpace:
    """Parameters by dotted name, each after those that its ``when`` depends on."""

    parameters: Mapping[str, ParameterConfig]

    def suggest(self, trial: Trial) -> Values:
        """Let a trial draw a value for each parameter that is active in it."""
        values: Values = {}
        for name, parameter in self.parameters.items():
            if _is_active(parameter, values):
                values[name] = value_of(parameter, _suggest(trial, name, parameter))
        return values

    def values_of(self, params: Mapping[str, Any]) -> Values:
        """Return a trial's values from the parameters that Optuna recorded."""
        return {
            name: value_of(parameter, params[name])
            for name, parameter in self.parameters.items()
            if name in params
        }

    def grid(self) -> list[Values]:
        """Return every combination, as Optuna's parameters; inactive parameters are left out.

        :raises ConfigError: if a parameter has no finite set of values, or there are too many
        """
        axes = {name: grid_axis(name, parameter) for name, parameter in self.parameters.items()}
        points = list(itertools.islice(self._combinations(axes, {}), MAX_GRID + 1))
        if len(points) > MAX_GRID:
            raise _too_many_points()
        return points

    def _combinations(self, axes: Mapping[str, list[Any]], chosen: Values) -> Iterator[Values]:
        if len(chosen) == len(self.parameters):
            yield {name: axes[name][i] for name, i in chosen.items() if i is not None}
            return
        name = list(self.parameters)[len(chosen)]
        parameter = self.parameters[name]
        values = {
            other: value_of(self.parameters[other], axes[other][i])
            for other, i in chosen.items()
            if i is not None
        }
        choices = range(len(axes[name])) if _is_active(parameter, values) else (None,)
        for i in choices:
            yield from self._combinations(axes, {**chosen, name: i})


def parents_first(parameters: Mapping[str, ParameterConfig]) -> dict[str, ParameterConfig]:
    """Return parameters in such an order that those named in a ``when`` come before it.

    :raises ConfigError: if a condition names something that is not a categorical parameter of the
        space, a value that is not one of its choices, or if conditions are circular
    """
    ordered: dict[str, ParameterConfig] = {}
    waiting = dict(parameters)
    if problems := [
        problem
        for name, parameter in parameters.items()
        for problem in _problems_of_conditions(name, parameter, parameters)
    ]:
        raise ConfigError(*problems)
    while waiting:
        ready = [name for name, p in waiting.items() if ordered.keys() >= p.when.keys()]
        if not ready:
            what = "`when` is circular: it leads back to the parameter itself."
            raise ConfigError(*(Problem(what, f"tune.search_space.{name}") for name in waiting))
        ordered |= {name: waiting.pop(name) for name in ready}
    return ordered


def _problems_of_conditions(
    name: str, parameter: ParameterConfig, parameters: Mapping[str, ParameterConfig]
) -> Iterator[Problem]:
    """Yield why a condition can never hold, so that the parameter would never be varied."""
    where = f"tune.search_space.{name}"
    for parent, wanted in parameter.when.items():
        if parent not in parameters:
            cure = "A condition names another parameter of the search space."
            yield Problem(f"`when` names `{parent}`, which is not searched.", where, cure)
            continue
        choices = parameters[parent].choices
        if choices is None:
            cure = f"A condition names a parameter of `type: categorical`; give `{parent}` choices."
            yield Problem(f"`when` names `{parent}`, which has a range of values.", where, cure)
            continue
        known = [label_of(choice) for choice in choices]
        for value in _allowed(wanted):
            if label_of(value) not in known:
                what = f"`when` requires {value!r}, which is not a choice of `{parent}`."
                cure = did_you_mean(value, map(str, known))
                yield Problem(what, where, cure or f"Its choices are {list(choices)}.")


def _suggest(trial: Trial, name: str, parameter: ParameterConfig) -> Any:
    match distribution_of(parameter):
        case CategoricalDistribution() as d:
            return trial.suggest_categorical(name, d.choices)
        case IntDistribution() as d:
            return trial.suggest_int(name, d.low, d.high, step=d.step, log=d.log)
        case FloatDistribution() as d:
            return trial.suggest_float(name, d.low, d.high, step=d.step, log=d.log)


def _is_active(parameter: ParameterConfig, values: Values) -> bool:
    return all(
        parent in values and values[parent] in _allowed(wanted)
        for parent, wanted in parameter.when.items()
    )


def _allowed(wanted: Any) -> list[Any]:
    return wanted if isinstance(wanted, list) else [wanted]


def distribution_of(
    parameter: ParameterConfig,
) -> CategoricalDistribution | IntDistribution | FloatDistribution:
    """Return Optuna's distribution of a parameter."""
    if parameter.type == "categorical":
        return CategoricalDistribution([label_of(choice) for choice in parameter.choices or ()])
    low, high = parameter.low, parameter.high
    if parameter.type == "int":
        step = int(parameter.step or 1)
        return IntDistribution(int(low or 0), int(high or 0), log=parameter.log, step=step)
    return FloatDistribution(
        float(low or 0), float(high or 0), log=parameter.log, step=parameter.step
    )


def label_of(choice: Any) -> bool | int | float | str | None:
    """Return what Optuna stores for a choice: itself, or its JSON if it is a list or mapping."""
    return choice if isinstance(choice, SCALARS) else json.dumps(choice)


def value_of(parameter: ParameterConfig, chosen: Any) -> Any:
    """Return the config value that Optuna's ``chosen`` stands for."""
    if parameter.type != "categorical":
        return chosen
    choices = parameter.choices or ()
    return next(choice for choice in choices if label_of(choice) == chosen)


def grid_axis(name: str, parameter: ParameterConfig) -> list[Any]:
    """Return all values of a parameter, as Optuna stores them.

    :raises ConfigError: if there are infinitely many, or more than a grid may have
    """
    distribution = distribution_of(parameter)
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if distribution.single():
        return [parameter.low]
    if distribution.step and not distribution.log:
        # In decimals, as the numbers are written: as floats, 0.1 + 2 × 0.1 is not 0.3.
        low, high, step = (
            Decimal(str(number))
            for number in (distribution.low, distribution.high, distribution.step)
        )
        n_steps = round((high - low) / step)
        if n_steps >= MAX_GRID:
            raise _too_many_points()
        number = int if isinstance(distribution, IntDistribution) else float
        return [number(low + i * step) for i in range(n_steps + 1)]
    what = f"A grid needs a finite number of values for `{name}`."
    cure = "Give it `step: …` or `type: categorical` with `choices: […]`."
    raise ConfigError(Problem(what, f"tune.search_space.{name}", cure))


def _too_many_points() -> ConfigError:
    what = f"The grid has more than {MAX_GRID:,} points."
    cure = "Give fewer values, larger steps, or another `--sampler`."
    return ConfigError(Problem(what, "tune.search_space", cure))


def set_values(hyperparameters: Mapping[str, Any], values: Values) -> dict[str, Any]:
    """Return a copy of the hyperparameters in which the values of dotted names are set."""
    changed = dict(hyperparameters)
    for name, value in values.items():
        head, _, rest = name.partition(".")
        inner = changed.get(head)
        changed[head] = (
            set_values(inner if isinstance(inner, Mapping) else {}, {rest: value})
            if rest
            else value
        )
    return changed
