from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rl_runner.config import (
    ExperimentConfig,
    config_from_dict,
    dump_config,
    experiment_hash,
    load_config,
)
from rl_runner.errors import ConfigError, Problem

WriteYaml = Callable[..., Path]
ReadTune = Callable[[str], ExperimentConfig]

HEAD = """\
env: {id: FrozenLake-v1}
algo: {name: q_learning}
train: {total_timesteps: 300}
"""


@pytest.fixture
def read(write_yaml: WriteYaml) -> ReadTune:
    """Load a config whose tune section is this text."""

    def load(text: str) -> ExperimentConfig:
        return load_config(write_yaml(HEAD + text, "tuned.yaml"))

    return load


def refused(read: ReadTune, text: str) -> Problem:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return caught.value.problems[0]


def space_of(config: ExperimentConfig) -> dict[str, Any]:
    assert config.tune is not None
    return {
        name: parameter.model_dump(exclude_defaults=True)
        for name, parameter in config.tune.parameters.items()
    }


def test_a_search_space_may_be_dotted_or_nested(read: ReadTune):
    dotted = read(
        "tune:\n  search_space:\n"
        "    gamma: {type: float, low: 0.9, high: 0.999}\n"
        "    policy_kwargs.net_arch: {type: categorical, choices: [[64], [64, 64]]}\n"
    )
    nested = read(
        "tune:\n  search_space:\n"
        "    gamma: {type: float, low: 0.9, high: 0.999}\n"
        "    policy_kwargs:\n"
        "      net_arch: {type: categorical, choices: [[64], [64, 64]]}\n"
    )
    assert space_of(dotted) == space_of(nested)
    assert list(space_of(dotted)) == ["gamma", "policy_kwargs.net_arch"]


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ("{type: float, low: 0.9, high: 0.5}", "`low` 0.9 is above `high` 0.5"),
        ("{type: float, low: 0.9}", "needs `low` and `high`"),
        ("{type: int, low: 1.5, high: 3}", "whole numbers"),
        ("{type: float, low: 0.0, high: 1.0, log: true}", "above 0"),
        ("{type: float, low: 0.1, high: 1.0, log: true, step: 0.1}", "`log` or `step`"),
        ("{type: float, choices: [1, 2]}", "belong to `type: categorical`"),
        ("{type: float, low: 0.1, high: 0.2, step: 0.5}", "larger than the range"),
        ("{type: categorical, choices: []}", "at least one"),
        ("{type: categorical, low: 1, high: 2}", "has `choices`"),
        ("{type: categorical, choices: [a], log: true}", "no `log` scale"),
        ("{type: categorical, choices: [[1], [1]]}", "listed twice"),
        ("{type: categorical, choices: [1, true]}", "listed twice"),
        ("{type: categorical, choices: [[1], '[1]']}", "listed twice"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(read: ReadTune, parameter: str, message: str):
    problem = refused(read, f"tune:\n  search_space:\n    gamma: {parameter}\n")
    assert message in problem.what
    assert "tuned.yaml:6" in problem.where
    assert "tune.search_space.gamma" in problem.where


def test_a_misspelt_key_is_met_with_the_right_one(read: ReadTune):
    problem = refused(read, "tune:\n  search_space:\n    gamma: {type: float, lo: 1, high: 2}\n")
    assert "Unknown key `lo`" in problem.what
    assert "`low`" in problem.cure
    assert "`trials`" in refused(read, "tune: {trails: 5}\n").cure


def test_a_misspelt_type_is_met_with_the_right_one(read: ReadTune):
    problem = refused(read, "tune:\n  search_space:\n    gamma: {type: flaot, low: 1, high: 2}\n")
    assert "`float`" in problem.cure


def test_an_empty_space_is_refused(read: ReadTune):
    problem = refused(read, "tune: {search_space: {}}\n")
    assert "empty" in problem.what
    assert "`tune.search_space`" in problem.where


@pytest.mark.parametrize(
    "text",
    [
        "{sampler: tpee}",
        "{objective: finale}",
        "{trials: 0}",
        "{seeds: 0}",
        "{objective: []}",
        "{objective: {measure: final, threshold: 3}}",
        "{objective: {measure: final, last: 5}}",
        "{confirm: {seeds: 0}}",
    ],
)
def test_values_out_of_range_are_refused(read: ReadTune, text: str):
    assert "tune" in refused(read, f"tune: {text}\n").where


def test_objectives_may_be_a_name_a_mapping_or_a_list(read: ReadTune):
    one = read("tune: {objective: best}\n").tune
    two = read("tune: {objective: [final, {measure: wall_time, over_seeds: median}]}\n").tune
    assert one is not None
    assert two is not None
    assert [o.measure for o in one.objective] == ["best"]
    assert [o.measure for o in two.objective] == ["final", "wall_time"]
    assert [o.maximized for o in two.objective] == [True, False]


def test_a_search_space_is_nested_as_deep_as_one_likes(read: ReadTune, recwarn: Any):
    deep = read(
        "tune:\n  search_space:\n    policy_kwargs:\n      optimizer_kwargs:\n"
        "        eps: {type: float, low: 1e-8, high: 1e-3, log: true}\n"
        "      net_arch: {type: categorical, choices: [{pi: [8], vf: [9]}, [8]]}\n"
    )
    assert deep.tune is not None
    names = {"policy_kwargs.optimizer_kwargs.eps", "policy_kwargs.net_arch"}
    assert set(deep.tune.parameters) == names
    assert config_from_dict(deep.to_dict()) == deep
    assert not recwarn.list


def test_a_mistake_deep_in_the_space_is_placed(read: ReadTune):
    problem = refused(
        read,
        "tune:\n  search_space:\n    gamma: {type: float, low: 0, high: 1}\n    policy_kwargs:\n"
        "      log_std_init: {type: float, low: 1, high: 0}\n",
    )
    assert "above" in problem.what
    assert "tuned.yaml:8" in problem.where
    assert "tune.search_space.policy_kwargs.log_std_init" in problem.where


def test_a_parameter_written_twice_is_refused(read: ReadTune):
    what = refused(
        read,
        "tune:\n  search_space:\n    policy_kwargs.log_std_init: {type: float, low: 0, high: 1}\n"
        "    policy_kwargs: {log_std_init: {type: float, low: 0, high: 2}}\n",
    ).what
    assert "`policy_kwargs.log_std_init` is given twice" in what


@pytest.mark.parametrize("low", [".nan", "-.inf", "true", "few"])
def test_a_value_that_is_not_a_number_is_reported_once(read: ReadTune, low: str):
    with pytest.raises(ConfigError) as caught:
        read(f"tune:\n  search_space:\n    gamma: {{type: float, low: {low}, high: 1}}\n")
    (problem,) = caught.value.problems
    assert "expected a finite number" in problem.what
    assert "low" in problem.where


def test_two_objectives_are_not_the_same(read: ReadTune):
    problem = refused(read, "tune: {objective: [final, final]}\n")
    assert "named twice" in problem.what
    assert "`tune.objective`" in problem.where


def test_the_tune_section_changes_no_experiment(read: ReadTune):
    assert experiment_hash(read("")) == experiment_hash(read("tune: {trials: 7}\n"))


def test_a_config_with_a_tune_section_is_read_back_as_it_was_written(
    read: ReadTune, write_yaml: WriteYaml
):
    config = read(
        "tune:\n  objective: {measure: time_to_threshold, threshold: 0.5}\n  search_space:\n"
        "    gamma: {type: float, low: 0.9, high: 0.999, when: {exploration: [ucb]}}\n"
        "    exploration: {type: categorical, choices: [epsilon_greedy, ucb]}\n"
    )
    assert load_config(write_yaml(dump_config(config), "again.yaml")) == config
