from typing import Any

import optuna
import pytest

from rl_runner.config.tune import TuneConfig
from rl_runner.training.reporting import Evaluated, RunId
from rl_runner.tuning.objective import RunOutcome
from rl_runner.tuning.optuna_log import optuna_silenced
from rl_runner.tuning.search.running_trial import RunningTrial

RUN = RunId("pole-trial-0", 0)


def running_trial(pole: Any, **tune: Any) -> RunningTrial:
    """Give a trial of two seeds of 128 timesteps each, evaluated every 64."""
    start = pole()
    config = start.model_copy(update={"train": start.train.model_copy(update={"seeds": (7, 8)})})
    maximized = tune.get("objective", "final") != "wall_time"
    with optuna_silenced():
        study = optuna.create_study(direction="maximize" if maximized else "minimize")
    settings = TuneConfig.model_validate({"seeds": 2, **tune})
    folder: Any = None
    return RunningTrial(study.ask(), 0, {}, config, settings, folder)


def evaluate(running: RunningTrial, *evaluations: tuple[int, float]) -> dict[int, float]:
    """Let the current seed report, and return what the study knows of the trial."""
    for timesteps, mean in evaluations:
        running.add_evaluation(Evaluated(RUN, timesteps, mean))
    (trial,) = running.trial.study.trials
    return trial.intermediate_values


def test_a_trial_reports_the_mean_of_its_seeds_so_far(pole: Any):
    running = running_trial(pole)
    assert evaluate(running, (64, 1.0), (128, 3.0)) == {64: 1.0, 128: 3.0}
    running.add_outcome(RunOutcome(3.0, 3.0, 1.0, {64: 1.0, 128: 3.0}))
    assert not running.is_complete
    assert evaluate(running, (64, 5.0), (128, 7.0)) == {64: 1.0, 128: 3.0, 192: 3.0, 256: 5.0}
    running.add_outcome(RunOutcome(7.0, 7.0, 1.0, {64: 5.0, 128: 7.0}))
    assert running.is_complete
    assert running.scores() == [5.0]
    assert running.attributes()["seeds"] == [7, 8]


@pytest.mark.parametrize(
    ("timesteps", "due"), [(64, 64), (66, 64), (126, 64), (128, 128), (150, 128)]
)
def test_an_evaluation_counts_when_it_was_due(pole: Any, timesteps: int, due: int):
    assert running_trial(pole).due_timestep(timesteps) == due


def test_an_evaluation_that_is_reported_twice_counts_once(pole: Any):
    running = running_trial(pole)
    assert evaluate(running, (64, 1.0), (64, 9.0), (128, 3.0), (150, 9.0)) == {64: 1.0, 128: 3.0}


def test_a_curve_changes_its_sign_where_less_is_better(pole: Any):
    assert evaluate(running_trial(pole, objective="wall_time"), (64, 5.0)) == {64: -5.0}


def test_a_curve_is_kept_although_nothing_is_pruned(pole: Any):
    assert evaluate(running_trial(pole, pruner="none"), (64, 5.0)) == {64: 5.0}


def test_several_objectives_have_no_curve(pole: Any):
    assert evaluate(running_trial(pole, objective=["final", "wall_time"]), (64, 5.0)) == {}


def test_a_trial_at_its_end_is_not_hopeless(pole: Any):
    running = running_trial(pole)
    assert evaluate(running, (64, 5.0), (128, 5.0)) == {64: 5.0, 128: 5.0}
    running.add_outcome(RunOutcome(5.0, 5.0, 1.0, {64: 5.0, 128: 5.0}))
    running.trial.study.pruner = optuna.pruners.ThresholdPruner(lower=2.0)
    assert not running.add_evaluation(Evaluated(RUN, 128, -9.0))
    assert not running.hopeless


def test_a_hopeless_trial_takes_no_more_evaluations(pole: Any):
    running = running_trial(pole)
    running.trial.study.pruner = optuna.pruners.ThresholdPruner(lower=2.0)
    assert running.add_evaluation(Evaluated(RUN, 64, 1.0))
    assert not running.add_evaluation(Evaluated(RUN, 128, 1.0))
    assert running.hopeless
