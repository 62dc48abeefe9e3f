"""Optuna's samplers and pruners as this study uses them."""

import contextlib
import copy
import math
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna import pruners, samplers
from optuna.trial import FrozenTrial

from rl_runner.config import ExperimentConfig
from rl_runner.config.tune import TuneConfig
from rl_runner.tuning.space.search_space import SearchSpace, Values

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

WARM_UP = 1 / 3  # of a run, in which no learning curve is judged hopeless


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Leave out Optuna's log, and its warnings that a feature is experimental."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def build_sampler(tune: TuneConfig, space: SearchSpace, index: int) -> samplers.BaseSampler:
    """Build the sampler of the trial before which there were ``index`` others.

    Every trial has one of its own, seeded by that number, so that a study that was stopped goes on
    with the trials it would have had.
    """
    sequence = np.random.SeedSequence(tune.seed, spawn_key=(index,))
    seed = int(sequence.generate_state(1)[0])
    startup = tune.startup_trials
    with quietly():
        match tune.sampler:
            case "tpe":
                return samplers.TPESampler(seed=seed, n_startup_trials=startup)
            case "random":
                return samplers.RandomSampler(seed=seed)
            case "cmaes":
                return samplers.CmaEsSampler(
                    seed=seed, n_startup_trials=startup, warn_independent_sampling=False
                )
            case "gp":
                return samplers.GPSampler(
                    seed=seed, n_startup_trials=startup, warn_independent_sampling=False
                )
            case "qmc":  # one scrambled sequence for the whole study
                return samplers.QMCSampler(
                    seed=tune.seed,
                    scramble=True,
                    independent_sampler=samplers.RandomSampler(seed=seed),
                    warn_independent_sampling=False,
                )
            case "grid":
                return GridOfActive(shuffled_grid(tune, space), index)


def shuffled_grid(tune: TuneConfig, space: SearchSpace) -> list[Values]:
    """Return the grid's points in the order in which this study tries them."""
    points = space.grid()
    order = np.random.default_rng(tune.seed).permutation(len(points))
    return [points[i] for i in order]


class GridOfActive(samplers.BaseSampler):
    """Gives a trial its point of a grid (Optuna's own sampler knows no conditional parameters)."""

    def __init__(self, points: list[Values], index: int) -> None:
        self.point = points[index % len(points)]

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> "dict[str, BaseDistribution]":
        """Nothing is sampled together."""
        del study, trial
        return {}

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: "dict[str, BaseDistribution]",
    ) -> dict[str, Any]:
        """Nothing is sampled together."""
        del study, trial, search_space
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: "BaseDistribution",
    ) -> Any:
        """Look the value up."""
        del study, trial, param_distribution
        return self.point[param_name]


def build_pruner(tune: TuneConfig, start: ExperimentConfig) -> pruners.BasePruner:
    """Build the pruner, whose steps are timesteps counted through all seeds of a trial.

    :param start: the resolved starting config
    """
    total_timesteps = start.train.total_timesteps
    every = start.eval.every or total_timesteps
    with quietly():
        match tune.pruner:
            case "median":
                median = pruners.MedianPruner(n_startup_trials=tune.startup_trials)
                return WithinSeed(median, total_timesteps)
            case "asha":
                return pruners.SuccessiveHalvingPruner(min_resource=every, reduction_factor=3)
            case "hyperband":
                return pruners.HyperbandPruner(
                    min_resource=every, max_resource=total_timesteps * tune.seeds
                )
            case "wilcoxon":
                return pruners.WilcoxonPruner(n_startup_steps=3)
            case "none":
                return pruners.NopPruner()


class WithinSeed(pruners.BasePruner):
    """Shows a pruner the learning curve since the present seed began, and not its first third.

    A percentile pruner judges a trial by its best value so far; the best of an earlier seed would
    shield the present one.
    """

    def __init__(self, inner: pruners.BasePruner, total_timesteps: int) -> None:
        self.inner = inner
        self.total = total_timesteps

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Tell whether the trial is hopeless."""
        last = trial.last_step
        if last is None:
            return False
        begin = (math.ceil(last / self.total) - 1) * self.total
        if last - begin <= WARM_UP * self.total:
            return False
        present = copy.copy(trial)
        present.intermediate_values = {
            step: value for step, value in trial.intermediate_values.items() if step > begin
        }
        return self.inner.prune(study, present)
