"""Labels that say what differs between experiments."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_runner.config import ExperimentConfig, config_from_dict
from rl_runner.config.identity import describe_configs


def config(
    name: str = "cart", algo: str = "ppo", steps: int = 1000, **algo_keys: Any
) -> ExperimentConfig:
    return config_from_dict(
        {
            "name": name,
            "env": {"id": "CartPole-v1"},
            "algo": {"name": algo, **algo_keys},
            "train": {"total_timesteps": steps},
            "eval": {"every": max(1, steps // 10)},
        }
    )


def test_names_that_differ_are_enough():
    assert describe_configs([config("a", gamma=0.9), config("b", gamma=0.8)]) == ["a", "b"]


def test_experiments_of_one_name_are_called_by_what_differs():
    assert describe_configs([config(gamma=0.98), config(gamma=0.99)]) == [
        "gamma=0.98",
        "gamma=0.99",
    ]
    assert describe_configs([config(gamma=0.98, n_steps=8), config(gamma=0.99, n_steps=16)]) == [
        "gamma=0.98, n_steps=8",
        "gamma=0.99, n_steps=16",
    ]


def test_beside_other_names_the_name_comes_first():
    labels = describe_configs([config(gamma=0.98), config(gamma=0.99), config("other")])
    assert labels == ["cart, gamma=0.98", "cart, gamma=0.99", "other"]


def test_an_interval_that_follows_from_the_budget_is_not_listed():
    labels = describe_configs([config(), config(steps=50_000)])
    assert labels == ["total_timesteps=1,000", "total_timesteps=50,000"]


def test_another_algorithm_is_called_by_its_name_alone():
    assert describe_configs([config(n_steps=8), config(algo="dqn", tau=0.5)]) == [
        "algo=ppo",
        "algo=dqn",
    ]


def test_of_many_differences_the_fewest_that_suffice_are_listed():
    settings = [{"a": 1, "b": 1, "c": 1, "d": 1}, {"a": 2, "b": 2, "c": 2, "d": 2}]
    assert describe_configs([config(**each) for each in settings]) == ["a=1", "a=2"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "none"), (True, "true"), ([64, 64], "[64, 64]"), (3e-4, "0.0003"), ("relu", "relu")],
)
def test_values_are_written_as_in_a_config(value: object, shown: str):
    assert describe_configs([config(x=value), config(x=7)]) == [f"x={shown}", "x=7"]


def test_keys_that_end_alike_are_written_out():
    nested = [config(x={"y": {"gamma": g}}, gamma=0.5) for g in (1, 2)]
    assert describe_configs(nested) == ["algo.x.y.gamma=1", "algo.x.y.gamma=2"]


SETTINGS = st.fixed_dictionaries(
    {}, optional={key: st.sampled_from([None, 1, 2.5, "z"]) for key in "abcdef"}
)


@given(st.lists(SETTINGS, min_size=1, max_size=6))
def test_experiments_share_a_label_only_if_their_settings_are_equal(settings: list[dict[str, Any]]):
    labels = describe_configs([config(**each) for each in settings])
    known = [{k: v for k, v in each.items() if v is not None} for each in settings]
    for one, label in zip(known, labels, strict=True):
        for other, its in zip(known, labels, strict=True):
            assert (label == its) == (one == other)
