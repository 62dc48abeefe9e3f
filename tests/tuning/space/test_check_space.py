from typing import TYPE_CHECKING, Any

import pytest

from rl_runner.config import load_config
from rl_runner.errors import ConfigError, Problem
from rl_runner.training.resolve import resolve
from rl_runner.tuning.space.check_space import complete_tuning

if TYPE_CHECKING:
    from pathlib import Path

    from rl_runner.config.tune import TuneConfig

Dict = dict[str, Any]


def problem_of(build: Any, space: Dict, **tune: Any) -> Problem:
    with pytest.raises(ConfigError) as caught:
        complete_tuning(build(search_space=space, **tune))
    return caught.value.problems[0]


def test_an_unknown_parameter_is_met_with_the_right_one(pole: Any):
    problem = problem_of(pole, {"gama": {"type": "float", "low": 0.9, "high": 0.99}})
    assert "Unknown key `gama`" in problem.what
    assert "Did you mean `gamma`?" in problem.cure


def test_an_unknown_policy_parameter_is_met_with_the_right_one(pole: Any):
    arch = {"type": "categorical", "choices": [[8]]}
    problem = problem_of(pole, {"policy_kwargs.net_archh": arch})
    assert "net_archh" in problem.what
    assert "net_arch" in problem.cure


@pytest.mark.parametrize(
    ("name", "parameter", "message"),
    [
        ("gamma", {"type": "float", "low": 0.9, "high": 1.5}, "1.5"),
        ("n_steps", {"type": "float", "low": 8.0, "high": 64.0}, "8.0"),
        ("n_steps", {"type": "int", "low": 0, "high": 64}, "0"),
        ("learning_rate", {"type": "categorical", "choices": [1e-3, "fast"]}, "fast"),
        ("policy", {"type": "categorical", "choices": ["MlpPolicy", "FastPolicy"]}, "FastPolicy"),
        (
            "policy_kwargs.activation_fn",
            {"type": "categorical", "choices": ["Tanh", "Tahn"]},
            "Tahn",
        ),
    ],
)
def test_a_value_that_the_algorithm_cannot_take_is_refused(
    pole: Any, name: str, parameter: Dict, message: str
):
    assert message in problem_of(pole, {name: parameter}).what


def test_a_part_of_a_value_that_has_no_parts_is_refused(pole: Any):
    initial = {"type": "float", "low": 1e-4, "high": 1e-2}
    problem = problem_of(pole, {"learning_rate.initial": initial})
    assert "has no `initial`" in problem.what


@pytest.mark.parametrize("order", [1, -1])
def test_a_parameter_and_a_part_of_it_are_not_both_searched(pole: Any, order: int):
    names = {
        "policy_kwargs": {"type": "categorical", "choices": [{"net_arch": [8]}, {}]},
        "policy_kwargs.net_arch": {"type": "categorical", "choices": [[16], [32]]},
    }
    problem = problem_of(pole, dict([*names.items()][::order]))
    assert "`policy_kwargs.net_arch` is part of `policy_kwargs`" in problem.what
    assert "one of the two" in problem.cure


def test_what_the_runner_owns_is_not_searched(pole: Any):
    problem = problem_of(pole, {"seed": {"type": "int", "low": 0, "high": 9}})
    assert "seed" in problem.what


def test_a_space_without_a_possible_combination_is_refused(pole: Any):
    problem = problem_of(pole, {"batch_size": {"type": "categorical", "choices": [31, 33]}})
    assert "None of" in problem.what
    assert "does not divide" in problem.cure


def test_a_space_that_only_the_algorithm_itself_finds_impossible_is_refused(pole: Any):
    space = {
        "batch_size": {"type": "categorical", "choices": [1]},  # a value by itself, says the type
        "gamma": {"type": "float", "low": 0.9, "high": 0.99},
    }
    problem = problem_of(pole, space)
    assert "None of 200 combinations" in problem.what
    assert "`batch_size` must be greater than 1" in problem.cure


def test_a_grid_of_continuous_values_is_refused(pole: Any):
    gamma = {"type": "float", "low": 0.9, "high": 0.99}
    problem = problem_of(pole, {"gamma": gamma}, sampler="grid")
    assert "finite number of values" in problem.what
    assert "step" in problem.cure


def test_problems_are_reported_where_they_were_written(write_yaml: Any):
    path: Path = write_yaml(
        """
        env: {id: CartPole-v1}
        algo: {name: ppo}
        train: {total_timesteps: 4096}
        tune:
          search_space:
            gamma: {type: float, low: 0.9, high: 1.5}
            policy_kwargs:
              activation_fn: {type: categorical, choices: [Tahn]}
            n_epochs: {type: int, low: 1, high: 2, when: {gama: 1}}
        """
    )
    with pytest.raises(ConfigError) as caught:
        complete_tuning(resolve(load_config(path)).config)
    first, second = (problem.where for problem in caught.value.problems)
    assert "experiment.yaml:6" in first
    assert "experiment.yaml:8" in second


def test_a_condition_is_reported_where_it_was_written(write_yaml: Any):
    path: Path = write_yaml(
        """
        env: {id: FrozenLake-v1}
        algo: {name: q_learning}
        train: {total_timesteps: 100}
        tune:
          search_space:
            ucb_coef: {type: float, low: 0.1, high: 2.0, when: {exploration: ucb}}
        """
    )
    with pytest.raises(ConfigError, match=r"experiment\.yaml:6") as caught:
        complete_tuning(resolve(load_config(path)).config)
    assert "not searched" in str(caught.value)


def test_without_a_space_the_default_is_written_out(cliff: Any):
    tune = complete_tuning(resolve(cliff()).config)
    assert tune.search_space
    assert "learning_rate" in tune.parameters
    assert complete_tuning(resolve(cliff(**tune.model_dump())).config) == tune


def test_a_sampler_of_one_objective_is_not_given_two(cliff: Any):
    with pytest.raises(ConfigError, match="single objective"):
        complete_tuning(resolve(cliff(sampler="cmaes", objective=["final", "wall_time"])).config)


def test_a_threshold_comes_from_the_environment_or_is_asked_for(pole: Any, cliff: Any):
    tune: TuneConfig = complete_tuning(pole(objective="time_to_threshold"))
    assert tune.objective[0].threshold == 475.0
    with pytest.raises(ConfigError, match="threshold"):
        complete_tuning(resolve(cliff(objective="time_to_threshold")).config)
