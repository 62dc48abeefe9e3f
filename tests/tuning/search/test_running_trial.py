from typing import Any

import optuna
import pytest

from rl_runner.config.tune import TuneConfig
from rl_runner.training.reporting import Evaluated, RunId
from rl_runner.tuning.objective import RunOutcome
from rl_runner.tuning.search.running_trial import Race
from rl_runner.tuning.search.samplers import quietly

RUN = RunId("pole-trial-0", 0)


def race(pole: Any, **tune: Any) -> Race:
    """Give a race of two seeds of 128 timesteps each, evaluated every 64."""
    start = pole()
    config = start.model_copy(update={"train": start.train.model_copy(update={"seeds": (7, 8)})})
    maximized = tune.get("objective", "final") != "wall_time"
    with quietly():
        study = optuna.create_study(direction="maximize" if maximized else "minimize")
    settings = TuneConfig.model_validate({"seeds": 2, **tune})
    folder: Any = None
    return Race(study.ask(), 0, {}, config, settings, folder)


def hear(racing: Race, *evaluations: tuple[int, float]) -> dict[int, float]:
    """Let the present seed report, and return what the study knows of the trial."""
    for timesteps, mean in evaluations:
        racing.hear(Evaluated(RUN, timesteps, mean))
    (trial,) = racing.trial.study.trials
    return trial.intermediate_values


def test_a_trial_reports_the_mean_of_its_seeds_so_far(pole: Any):
    racing = race(pole)
    assert hear(racing, (64, 1.0), (128, 3.0)) == {64: 1.0, 128: 3.0}
    assert not racing.seed_finished(RunOutcome(3.0, 3.0, 1.0, {64: 1.0, 128: 3.0}))
    assert hear(racing, (64, 5.0), (128, 7.0)) == {64: 1.0, 128: 3.0, 192: 3.0, 256: 5.0}
    assert racing.seed_finished(RunOutcome(7.0, 7.0, 1.0, {64: 5.0, 128: 7.0}))
    assert racing.scores() == [5.0]
    assert racing.attributes()["seeds"] == [7, 8]


@pytest.mark.parametrize(
    ("timesteps", "due"), [(64, 64), (66, 64), (126, 64), (128, 128), (150, 128)]
)
def test_an_evaluation_counts_when_it_was_due(pole: Any, timesteps: int, due: int):
    assert race(pole).nominal(timesteps) == due


def test_what_is_told_twice_counts_once(pole: Any):
    racing = race(pole)
    assert hear(racing, (64, 1.0), (64, 9.0), (128, 3.0), (150, 9.0)) == {64: 1.0, 128: 3.0}


def test_a_curve_is_turned_round_where_less_is_better(pole: Any):
    assert hear(race(pole, objective="wall_time"), (64, 5.0)) == {64: -5.0}


def test_a_curve_is_kept_although_nothing_is_pruned(pole: Any):
    assert hear(race(pole, pruner="none"), (64, 5.0)) == {64: 5.0}


def test_several_objectives_have_no_curve(pole: Any):
    assert hear(race(pole, objective=["final", "wall_time"]), (64, 5.0)) == {}


def test_a_trial_at_its_end_is_not_hopeless(pole: Any):
    racing = race(pole)
    assert hear(racing, (64, 5.0), (128, 5.0)) == {64: 5.0, 128: 5.0}
    racing.seed_finished(RunOutcome(5.0, 5.0, 1.0, {64: 5.0, 128: 5.0}))
    racing.trial.study.pruner = optuna.pruners.ThresholdPruner(lower=2.0)
    assert not racing.hear(Evaluated(RUN, 128, -9.0))
    assert not racing.hopeless


def test_a_hopeless_trial_hears_no_more(pole: Any):
    racing = race(pole)
    racing.trial.study.pruner = optuna.pruners.ThresholdPruner(lower=2.0)
    assert racing.hear(Evaluated(RUN, 64, 1.0))
    assert not racing.hear(Evaluated(RUN, 128, 1.0))
    assert racing.hopeless
