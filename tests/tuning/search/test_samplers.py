from collections.abc import Callable
from typing import Any, get_args

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from rl_runner.config.tune import Pruner, Sampler, TuneConfig
from rl_runner.tuning.optuna_log import optuna_silenced
from rl_runner.tuning.search.samplers import CurrentSeedPruner, build_pruner, build_sampler
from rl_runner.tuning.space.search_space import SearchSpace, parents_first

SPACE: dict[str, Any] = {
    "gamma": {"type": "categorical", "choices": [0.9, 0.95, 0.99]},
    "n_epochs": {"type": "int", "low": 1, "high": 4},
    "vf_coef": {"type": "float", "low": 0.0, "high": 1.0, "step": 0.5},
}
ConfigOf = Callable[..., Any]


def searched(tune: TuneConfig, n: int) -> list[dict[str, Any]]:
    """Search for the largest ``vf_coef``, each trial with a sampler of its own."""
    space = SearchSpace(parents_first(tune.parameters))
    with optuna_silenced():
        study = optuna.create_study(direction="maximize")
        found = []
        for index in range(n):
            trial = study.ask()
            study.sampler = build_sampler(tune, space, index)
            values = space.suggest(trial)
            study.tell(trial, values["vf_coef"])
            found.append(values)
    return found


@pytest.mark.parametrize("name", get_args(Sampler))
def test_the_same_seed_gives_the_same_trials_and_another_seed_others(name: Any):
    tune = TuneConfig.model_validate(
        {"sampler": name, "search_space": SPACE, "seed": 3, "startup_trials": 4}
    )
    first = searched(tune, 9)
    assert searched(tune, 9) == first
    assert searched(tune.model_copy(update={"seed": 4}), 9) != first


def test_a_grid_visits_every_point_once():
    tune = TuneConfig.model_validate({"sampler": "grid", "search_space": SPACE})
    points = searched(tune, 36)
    assert len({str(point) for point in points}) == 36


@pytest.mark.parametrize("name", get_args(Pruner))
def test_every_pruner_can_be_built_and_prunes_a_lone_trial_never(pole: ConfigOf, name: Any):
    start = pole(pruner=name)
    pruner = build_pruner(start.tune, start)
    with optuna_silenced():
        study = optuna.create_study(direction="maximize", pruner=pruner)
        trial = study.ask()
        trial.report(1.0, 64)
        assert not trial.should_prune()


def finished(curve: dict[int, float]) -> FrozenTrial:
    return create_trial(state=TrialState.COMPLETE, value=0.0, intermediate_values=curve)


def under_way(curve: dict[int, float]) -> FrozenTrial:
    return create_trial(state=TrialState.RUNNING, intermediate_values=curve)


@pytest.fixture
def others() -> optuna.Study:
    """Give a study with three complete trials: two seeds of 90 timesteps, three evaluations."""
    with optuna_silenced():
        study = optuna.create_study(direction="maximize")
    for score in (4.0, 5.0, 6.0):
        study.add_trial(finished(dict.fromkeys((30, 60, 90, 120, 150, 180), score)))
    return study


@pytest.fixture
def pruner() -> CurrentSeedPruner:
    return CurrentSeedPruner(optuna.pruners.MedianPruner(n_startup_trials=3), total_timesteps=90)


def test_a_curve_below_the_median_is_hopeless(others: optuna.Study, pruner: CurrentSeedPruner):
    assert pruner.prune(others, under_way({30: 1.0, 60: 1.0}))
    assert not pruner.prune(others, under_way({30: 5.5, 60: 5.5}))


def test_the_first_third_of_a_seed_is_not_judged(others: optuna.Study, pruner: CurrentSeedPruner):
    assert not pruner.prune(others, under_way({30: 1.0}))
    assert not pruner.prune(others, under_way({30: 9.0, 60: 9.0, 90: 9.0, 120: 1.0}))


def test_a_good_first_seed_does_not_shield_the_second(
    others: optuna.Study, pruner: CurrentSeedPruner
):
    good_then_bad = {30: 9.0, 60: 9.0, 90: 9.0, 120: 1.0, 150: 1.0}
    assert pruner.prune(others, under_way(good_then_bad))
    assert not pruner.inner.prune(others, under_way(good_then_bad))


def test_a_trial_that_has_reported_nothing_is_not_hopeless(
    others: optuna.Study, pruner: CurrentSeedPruner
):
    assert not pruner.prune(others, under_way({}))
