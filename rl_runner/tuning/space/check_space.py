"""The search space checked against the algorithm, before anything is trained or written."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import optuna

from rl_runner.agents.hyperparameters.combinations import impossible_combinations
from rl_runner.agents.hyperparameters.constructor import (
    check_hyperparameters,
    check_policy_name,
    hyperparameters_of,
)
from rl_runner.agents.registry import find_algorithm
from rl_runner.config import ExperimentConfig
from rl_runner.config.section import unknown_key
from rl_runner.config.tune import ParameterConfig, TuneConfig
from rl_runner.config.yaml_text import SourceMap
from rl_runner.errors import ConfigError, Problem
from rl_runner.tuning.objective import complete_objective
from rl_runner.tuning.optuna_log import optuna_silenced
from rl_runner.tuning.search.samplers import shuffled_grid
from rl_runner.tuning.space.default_spaces import default_space
from rl_runner.tuning.space.search_space import SearchSpace, Values, parents_first, set_values
from rl_runner.tuning.trial_runs import config_with_values

PROBES = 200  # combinations drawn to check whether any can be trained


def complete_tuning(start: ExperimentConfig) -> TuneConfig:
    """Return a resolved config's ``tune`` section with all of its defaults filled in.

    :raises ConfigError: if the space does not fit the algorithm, or no combination can be trained
    """
    tune = start.tune or TuneConfig()
    # CMA-ES has one objective.
    if tune.sampler == "cmaes" and len(tune.objective) > 1:
        where = start.source.locate(("tune", "sampler"))
        cure = "Use `tpe`, `gp`, `random`, `qmc` or `grid`, or name one objective."
        raise ConfigError(Problem("CMA-ES takes a single objective.", where, cure))
    # Each parameter must exist, and its extreme values must be accepted.
    parameters = tune.parameters if tune.search_space is not None else default_space(start)
    problems = [p for item in parameters.items() for p in _problems(*item, start)]
    problems += _overlaps(parameters, start.source)
    if problems:
        raise ConfigError(*problems)
    # Conditions must make sense, a grid must be finite, and some combination must be possible.
    try:
        space = SearchSpace(parents_first(parameters))
        if tune.sampler == "grid":
            shuffled_grid(tune, space)
    except ConfigError as error:
        raise _with_places(error, start.source) from None
    _check_possible(space, start)
    objectives = tuple(complete_objective(objective, start) for objective in tune.objective)
    update = {"search_space": dict(space.parameters), "objective": objectives}
    return tune.model_copy(update=update)


def place_of(name: str, source: SourceMap) -> str:
    """Return the place of a parameter in its file, whether its key is dotted or nested."""
    nested = ("tune", "search_space", *name.split("."))
    return source.locate(nested if nested in source.places else ("tune", "search_space", name))


def _problems(name: str, parameter: ParameterConfig, start: ExperimentConfig) -> Iterator[Problem]:
    where = place_of(name, start.source)
    head, _, rest = name.partition(".")
    known = hyperparameters_of(find_algorithm(start.algo.name))
    if head not in known:
        yield unknown_key(head, known, where)
        return
    if rest and not isinstance(start.algo.hyperparameters[head], Mapping | type(None)):
        what = f"`{head}` is {start.algo.hyperparameters[head]!r}, which has no `{rest}`."
        yield Problem(what, where, f"Search `{head}` itself, or give it as a mapping in `algo`.")
        return
    seen = set()
    for value in _extremes(parameter):
        for problem in _refusals(start, name, value, where):
            if problem not in seen:
                seen.add(problem)
                yield problem


def _overlaps(parameters: Iterable[str], source: SourceMap) -> Iterator[Problem]:
    """Yield a problem for each parameter that is part of another: one would overwrite the other."""
    for whole, part in itertools.permutations(parameters, 2):
        if part.startswith(f"{whole}."):
            what = f"`{part}` is part of `{whole}`, and both are searched."
            yield Problem(what, place_of(part, source), "Remove one of the two.")


def _extremes(parameter: ParameterConfig) -> list[Any]:
    if parameter.type == "categorical":
        return list(parameter.choices or ())
    kind = float if parameter.type == "float" else int
    return [kind(parameter.low or 0), kind(parameter.high or 0)]


def _refusals(start: ExperimentConfig, name: str, value: Any, where: str) -> Iterator[Problem]:
    """Yield why the algorithm refuses a value, with the place in the search space."""
    algorithm = find_algorithm(start.algo.name)
    hyperparameters = set_values(start.algo.hyperparameters, {name: value})
    try:
        checked = check_hyperparameters(algorithm, hyperparameters, SourceMap())
        if name == "policy":
            check_policy_name(algorithm, checked["policy"], "")
    except ConfigError as error:
        for problem in error.problems:
            yield Problem(f"{algorithm.name}: {problem.what}", where, problem.cure)


def _check_possible(space: SearchSpace, start: ExperimentConfig) -> None:
    """Raise ConfigError if none of many drawn combinations can be trained."""
    with optuna_silenced():
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    problems: tuple[Problem, ...] = ()
    seen: list[Values] = []
    for _ in range(PROBES):
        values = space.suggest(study.ask())
        if values in seen:
            continue
        seen.append(values)
        problems = _why_impossible(start, values)
        if not problems:
            return
    where = start.source.locate(("tune", "search_space"))
    what = f"None of {PROBES} combinations drawn from the search space can be trained."
    raise ConfigError(Problem(what, where, f"The last one: {problems[0].what}"))


def _why_impossible(start: ExperimentConfig, values: Values) -> tuple[Problem, ...]:
    """Return why a combination cannot be trained; empty if it can.

    Building the agent is slow, so it is tried last.
    """
    algorithm = find_algorithm(start.algo.name)
    hyperparameters = set_values(start.algo.hyperparameters, values)
    checked = check_hyperparameters(algorithm, hyperparameters, SourceMap())
    if problems := tuple(impossible_combinations(start, checked)):
        return problems
    try:
        config_with_values(start, values)
    except ConfigError as error:
        return error.problems
    return ()


def _with_places(error: ConfigError, source: SourceMap) -> ConfigError:
    """Return the error with the file and line of each key instead of the bare key."""
    prefix = "tune.search_space"
    return ConfigError(
        *(
            Problem(
                problem.what,
                place_of(problem.where.removeprefix(f"{prefix}."), source)
                if problem.where.startswith(f"{prefix}.")
                else source.locate(("tune", "search_space")),
                problem.cure,
            )
            for problem in error.problems
        )
    )
