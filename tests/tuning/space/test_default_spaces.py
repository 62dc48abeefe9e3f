from pathlib import Path

import optuna
import pytest

from rl_runner.agents.registry import ALGORITHMS
from rl_runner.config import ExperimentConfig, load_config
from rl_runner.training.resolve import resolve
from rl_runner.tuning.optuna_log import optuna_silenced
from rl_runner.tuning.space.check_space import complete_tuning
from rl_runner.tuning.space.default_spaces import DEFAULT_SPACES, default_space
from rl_runner.tuning.space.search_space import SearchSpace, parents_first
from rl_runner.tuning.trial_runs import config_with_values

CONFIGS = sorted((Path(__file__).parents[3] / "configs").rglob("*.yaml"))


def shipped(algorithm: str) -> ExperimentConfig:
    """Give the first shipped config of an algorithm, resolved."""
    loaded = (load_config(path) for path in CONFIGS)
    return resolve(next(config for config in loaded if config.algo.name == algorithm)).config


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_has_a_default_space_that_suits_it(name: str):
    assert name in DEFAULT_SPACES, f"give {name} a row in tuning/space/default_spaces.py"
    start = shipped(name)
    tune = complete_tuning(start)
    assert tune.parameters
    space = SearchSpace(parents_first(tune.parameters))
    with optuna_silenced():
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(3):
        values = space.suggest(study.ask())
        assert config_with_values(start, values) != start  # raises ConfigError if it is infeasible


def test_no_space_is_left_over():
    assert set(DEFAULT_SPACES) == set(ALGORITHMS)


@pytest.mark.parametrize("n_envs", [1, 2, 3, 6, 8, 12, 100])
@pytest.mark.parametrize("total_timesteps", [100, 2_000, 1_000_000])
def test_every_minibatch_divides_every_rollout(n_envs: int, total_timesteps: int):
    start = shipped("ppo")
    start = start.model_copy(
        update={
            "env": start.env.model_copy(update={"n_envs": n_envs}),
            "train": start.train.model_copy(update={"total_timesteps": total_timesteps}),
        }
    )
    space = default_space(start)
    for n_steps in space["n_steps"].choices or ():
        assert n_steps * n_envs > 1
        for batch_size in space["batch_size"].choices or ():
            assert (n_steps * n_envs) % batch_size == 0


def test_what_is_no_hyperparameter_is_kept():
    start = shipped("ppo")
    algo = start.algo.model_copy(update={"engine": "stock"})
    changed = config_with_values(start.model_copy(update={"algo": algo}), {"n_epochs": 3})
    assert changed.algo.engine == "stock"
    assert changed.algo.hyperparameters["n_epochs"] == 3


def test_a_schedule_keeps_its_course():
    start = shipped("ppo")
    space = default_space(start)
    assert "learning_rate.initial" in space
    assert "clip_range.initial" in space
    assert "learning_rate" not in space
    changed = config_with_values(start, {"learning_rate.initial": 0.005})
    assert changed.algo.hyperparameters["learning_rate"]["schedule"] == "linear"
    assert changed.algo.hyperparameters["learning_rate"]["initial"] == 0.005
