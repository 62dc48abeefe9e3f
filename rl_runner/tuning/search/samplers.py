"""Samplers choose the next trial's hyperparameters; pruners end trials that are hopeless early.

Pruners decide from learning curves. Their steps are timesteps counted through all seeds of a
trial, see :mod:`rl_runner.tuning.search.running_trial`.
"""

import copy
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna import pruners, samplers
from optuna.trial import FrozenTrial

from rl_runner.config import ExperimentConfig
from rl_runner.config.tune import TuneConfig
from rl_runner.tuning.optuna_log import optuna_silenced
from rl_runner.tuning.space.search_space import SearchSpace, Values

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


WARM_UP = 1 / 3  # the share of a run in which no learning curve is judged


def build_pruner(tune: TuneConfig, start: ExperimentConfig) -> pruners.BasePruner:
    """Build the pruner that a ``tune`` section names.

    :param start: the resolved starting config
    """
    total_timesteps = start.train.total_timesteps
    every = start.eval.every or total_timesteps
    with optuna_silenced():
        match tune.pruner:
            case "median":
                median = pruners.MedianPruner(n_startup_trials=tune.startup_trials)
                return CurrentSeedPruner(median, total_timesteps)
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


class CurrentSeedPruner(pruners.BasePruner):
    """Shows a pruner the learning curve of the current seed only, without its first third.

    A percentile pruner judges a trial by its best value so far. A good value of an earlier seed
    would protect the current one.

    :param inner: the pruner that decides
    :param total_timesteps: of the run of one seed
    """

    def __init__(self, inner: pruners.BasePruner, total_timesteps: int) -> None:
        self.inner = inner
        self.total = total_timesteps

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Return whether the trial is hopeless; during the warm-up it never is."""
        last = trial.last_step
        if last is None:
            return False
        seed_start = (math.ceil(last / self.total) - 1) * self.total
        if last - seed_start <= WARM_UP * self.total:
            return False
        current = copy.copy(trial)
        current.intermediate_values = {
            step: value for step, value in trial.intermediate_values.items() if step > seed_start
        }
        return self.inner.prune(study, current)


def build_sampler(tune: TuneConfig, space: SearchSpace, index: int) -> samplers.BaseSampler:
    """Build the sampler for one trial.

    Every trial has a sampler of its own, seeded by ``index``. A study that was interrupted
    therefore resumes with the trials that it would have had.

    :param index: how many trials were drawn before this one
    :raises ConfigError: if a grid is asked for and a parameter has no finite set of values
    """
    # A seed that depends on the trial alone.
    sequence = np.random.SeedSequence(tune.seed, spawn_key=(index,))
    seed = int(sequence.generate_state(1)[0])
    startup = tune.startup_trials
    with optuna_silenced():
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
            case "qmc":  # one scrambled sequence for the whole study: the same seed for every trial
                return samplers.QMCSampler(
                    seed=tune.seed,
                    scramble=True,
                    independent_sampler=samplers.RandomSampler(seed=seed),
                    warn_independent_sampling=False,
                )
            case "grid":
                return GridSampler(shuffled_grid(tune, space), index)


def shuffled_grid(tune: TuneConfig, space: SearchSpace) -> list[Values]:
    """Return the grid's points in the order in which this study tries them."""
    points = space.grid()
    order = np.random.default_rng(tune.seed).permutation(len(points))
    return [points[i] for i in order]


class GridSampler(samplers.BaseSampler):
    """Gives a trial its point of the grid.

    Optuna's own grid sampler does not support conditional parameters.

    :param points: of the grid, see :func:`shuffled_grid`
    :param index: how many trials were drawn before this one; after the last point the grid repeats
    """

    def __init__(self, points: list[Values], index: int) -> None:
        self.point = points[index % len(points)]

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> "dict[str, BaseDistribution]":
        """Return no joint search space: each parameter is looked up on its own."""
        del study, trial
        return {}

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: "dict[str, BaseDistribution]",
    ) -> dict[str, Any]:
        """Return no values, since there is no joint search space."""
        del study, trial, search_space
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: "BaseDistribution",
    ) -> Any:
        """Return the parameter's value at this trial's point; raises KeyError if it is inactive."""
        del study, trial, param_distribution
        return self.point[param_name]
