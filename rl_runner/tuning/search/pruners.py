"""Pruners, which decide from learning curves whether a trial is hopeless and ends early.

Steps are timesteps counted through all seeds of a trial, see
:mod:`rl_runner.tuning.search.running_trial`.
"""

import copy
import math

import optuna
from optuna import pruners
from optuna.trial import FrozenTrial

from rl_runner.config import ExperimentConfig
from rl_runner.config.tune import TuneConfig
from rl_runner.tuning.optuna_log import optuna_silenced

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
