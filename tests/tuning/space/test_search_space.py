from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_runner.config.tune import ParameterConfig
from rl_runner.errors import ConfigError
from rl_runner.tuning.optuna_log import optuna_silenced
from rl_runner.tuning.space.search_space import (
    SearchSpace,
    Values,
    distribution_of,
    grid_axis,
    parents_first,
    set_values,
)


def choice(*choices: Any, **when: Any) -> ParameterConfig:
    return ParameterConfig(type="categorical", choices=choices, when=when)


def space(**parameters: ParameterConfig) -> SearchSpace:
    return SearchSpace(parents_first(parameters))


def drawn(searched: SearchSpace, n: int) -> list[tuple[Values, dict[str, Any]]]:
    """Draw values, with what Optuna recorded of each draw."""
    with optuna_silenced():
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trials = [study.ask() for _ in range(n)]
    return [(searched.suggest(trial), trial.params) for trial in trials]


def test_values_lie_in_their_ranges():
    searched = space(
        rate=ParameterConfig(type="float", low=1e-5, high=1e-2, log=True),
        share=ParameterConfig(type="float", low=0.0, high=1.0, step=0.25),
        epochs=ParameterConfig(type="int", low=2, high=8, step=3),
        network=choice([64], [64, 64]),
    )
    values = [values for values, _ in drawn(searched, 60)]
    assert all(1e-5 <= v["rate"] <= 1e-2 for v in values)
    assert sum(v["rate"] < 1e-4 for v in values) > 10  # a third, on a logarithmic scale
    assert {v["share"] for v in values} == {0.0, 0.25, 0.5, 0.75, 1.0}
    assert {v["epochs"] for v in values} == {2, 5, 8}
    assert {tuple(v["network"]) for v in values} == {(64,), (64, 64)}


def test_what_optuna_recorded_gives_the_values_back():
    searched = space(
        network=choice([64], {"pi": [32], "vf": [64]}),
        rate=ParameterConfig(type="float", low=0.1, high=1.0),
        flag=choice(*(True, False), None, "text", 3),
    )
    for values, params in drawn(searched, 20):
        assert searched.values_of(params) == values


def test_a_conditional_parameter_is_there_when_its_condition_holds():
    searched = space(
        eps=ParameterConfig(type="float", low=0.0, high=1.0, when={"kind": ["greedy", "both"]}),
        deep=choice(1, 2, eps_kind="x"),
        eps_kind=choice("x", "y", kind="both"),
        kind=choice("greedy", "ucb", "both"),
    )
    seen = set()
    for values, _ in drawn(searched, 60):
        seen.add(values["kind"])
        assert ("eps" in values) == (values["kind"] in {"greedy", "both"})
        assert ("eps_kind" in values) == (values["kind"] == "both")
        assert ("deep" in values) == (values.get("eps_kind") == "x")
    assert seen == {"greedy", "ucb", "both"}


def test_a_condition_on_nothing_that_is_searched_is_refused():
    with pytest.raises(ConfigError, match="`kind`, which is not searched"):
        space(eps=choice(1, kind="greedy"))


@pytest.mark.parametrize("wanted", ["gredy", ["ucb", "gredy"]])
def test_a_condition_that_never_holds_is_refused(wanted: Any):
    with pytest.raises(ConfigError, match="not a choice of `kind`") as caught:
        space(eps=choice(1, kind=wanted), kind=choice("greedy", "ucb"))
    assert caught.value.problems[0].cure == "Did you mean `greedy`?"


def test_a_condition_on_a_range_is_refused():
    rate = ParameterConfig(type="float", low=0.1, high=1.0)
    with pytest.raises(ConfigError, match="`rate`, which has a range"):
        space(eps=choice(1, rate=0.5), rate=rate)


def test_a_condition_may_name_a_list_among_the_choices():
    searched = space(eps=choice(1, network=[[64]]), network=choice([64], [64, 64]))
    for values, _ in drawn(searched, 10):
        assert ("eps" in values) == (values["network"] == [64])


def test_circular_conditions_are_refused():
    with pytest.raises(ConfigError, match="leads back"):
        space(a=choice(1, b=1), b=choice(1, a=1))


def test_a_grid_has_every_combination_once_and_no_inactive_parameter():
    searched = space(
        kind=choice("greedy", "ucb"),
        eps=ParameterConfig(type="float", low=0.0, high=0.2, step=0.1, when={"kind": "greedy"}),
        epochs=ParameterConfig(type="int", low=1, high=2),
    )
    points = searched.grid()
    assert len(points) == (3 + 1) * 2
    assert len({str(point) for point in points}) == len(points)
    assert all(("eps" in point) == (point["kind"] == "greedy") for point in points)


def test_a_grid_of_continuous_values_is_refused():
    with pytest.raises(ConfigError, match="finite number of values for `rate`"):
        space(rate=ParameterConfig(type="float", low=0.1, high=1.0)).grid()


def test_a_grid_without_end_is_refused():
    parameters = {f"p{i}": choice(*range(10)) for i in range(6)}
    with pytest.raises(ConfigError, match="more than 100,000"):
        SearchSpace(parameters).grid()


@pytest.mark.parametrize(
    "parameter",
    [
        ParameterConfig(type="int", low=1, high=10**12),
        ParameterConfig(type="float", low=0, high=1, step=1e-12),
    ],
)
def test_a_parameter_of_endless_values_is_refused_without_listing_them(parameter: ParameterConfig):
    with pytest.raises(ConfigError, match="more than 100,000"):
        space(x=parameter).grid()


def test_values_are_put_where_their_names_lead():
    before = {"gamma": 0.9, "policy_kwargs": {"ortho_init": False}, "rate": None}
    after = set_values(before, {"gamma": 0.5, "policy_kwargs.net_arch": [8], "rate.initial": 1.0})
    assert after == {
        "gamma": 0.5,
        "policy_kwargs": {"ortho_init": False, "net_arch": [8]},
        "rate": {"initial": 1.0},
    }
    assert before["policy_kwargs"] == {"ortho_init": False}


names = st.text("ab", min_size=1, max_size=2)
trees = st.recursive(st.integers(), lambda inner: st.dictionaries(names, inner, max_size=3))


@given(st.dictionaries(names, trees), st.lists(names, min_size=1, max_size=3), st.integers())
def test_what_was_put_is_found_and_nothing_else_is_changed(tree: Any, path: list[str], value: int):
    changed: Any = set_values(tree, {".".join(path): value})
    found = changed
    for part in path:
        found = found[part]
    assert found == value
    assert {k: v for k, v in changed.items() if k != path[0]} == {
        k: v for k, v in tree.items() if k != path[0]
    }


@given(
    low=st.integers(-300, 300),
    step=st.integers(1, 30),
    n=st.integers(1, 40),
    digits=st.integers(0, 6),
)
def test_the_values_of_a_grid_are_those_that_optuna_accepts(low, step, n, digits):
    def written(number: int) -> float:
        return float(f"{number}e-{digits}")

    parameter = ParameterConfig(
        type="float", low=written(low), high=written(low + n * step), step=written(step)
    )
    axis = grid_axis("x", parameter)
    assert axis == [written(low + i * step) for i in range(n + 1)]
    assert all(distribution_of(parameter)._contains(value) for value in axis)


@given(
    low=st.integers(-50, 50), step=st.integers(1, 9), n=st.integers(1, 9), rest=st.integers(1, 8)
)
def test_steps_that_do_not_reach_the_end_are_refused(low, step, n, rest):
    if rest % step:
        with pytest.raises(ValueError, match="do not reach"):
            ParameterConfig(type="int", low=low, high=low + n * step + rest % step, step=step)
