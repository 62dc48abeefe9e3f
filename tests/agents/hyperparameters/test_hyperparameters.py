import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.noise import NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.utils import LinearSchedule

from rl_runner.agents.hyperparameters.constructor import (
    OWNED_BY_RUNNER,
    build_keywords,
    check_hyperparameters,
    check_policy_name,
    hyperparameters_of,
)
from rl_runner.agents.registry import ALGORITHMS
from rl_runner.config.yaml_text import SourceMap
from rl_runner.errors import ConfigError, Problem

Check = Callable[..., dict[str, Any]]


def build(name: str, action_shape: tuple[int, ...] = (2,), **written: Any) -> dict[str, Any]:
    algorithm = ALGORITHMS[name]
    checked = check_hyperparameters(algorithm, {"policy": "MlpPolicy", **written}, SourceMap())
    return build_keywords(algorithm, checked, action_shape)


def refused(name: str, written: dict[str, Any]) -> Problem:
    places = {("algo", key): f"a.yaml:{i}" for i, key in enumerate(written, start=5)}
    with pytest.raises(ConfigError) as caught:
        check_hyperparameters(ALGORITHMS[name], written, SourceMap("a.yaml", places))
    (problem,) = caught.value.problems
    return problem


# --- types and ranges ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("ppo", "gamma", 0),
        ("ppo", "gamma", 1.0),
        ("ppo", "gae_lambda", 0.0),
        ("ppo", "learning_rate", 1),
        ("ppo", "n_steps", 1),
        ("ppo", "target_kl", None),
        ("ppo", "clip_range_vf", 0.1),
        ("ppo", "device", "cuda:1"),
        ("dqn", "tau", 0.0),
        ("dqn", "gradient_steps", -1),
        ("dqn", "learning_starts", 0),
        ("dqn", "exploration_final_eps", 0.0),
        ("sac", "ent_coef", 0.2),
        ("sac", "ent_coef", "auto"),
        ("sac", "ent_coef", "auto_0.1"),
        ("sac", "target_entropy", -3.5),
        ("sac", "sde_sample_freq", -1),
        ("tqc", "top_quantiles_to_drop_per_net", 0),
        ("ars", "alive_bonus_offset", -1.0),
        ("q_learning", "initial_q", -7.5),
        ("q_learning", "exploration", "ucb"),
        ("reinforce", "max_grad_norm", None),
        ("reinforce", "net_arch", []),
    ],
)
def test_a_value_at_the_edge_of_its_range_is_kept(
    check: Check, name: str, key: str, value: object
) -> None:
    assert check(name, **{key: value})[key] == value


@pytest.mark.parametrize(
    ("name", "key", "value", "expected"),
    [
        ("ppo", "gamma", 1.0001, "less than or equal to 1"),
        ("ppo", "gamma", -0.1, "greater than or equal to 0"),
        ("ppo", "gamma", "0.99", "a valid number"),
        ("ppo", "gamma", True, "a valid number"),
        ("ppo", "gamma", None, "a valid number"),
        ("ppo", "gamma", math.nan, "a finite number"),
        ("ppo", "learning_rate", math.inf, "a finite number"),
        ("ppo", "learning_rate", 0, "greater than 0"),
        ("ppo", "learning_rate", -1e-3, "greater than 0"),
        ("ppo", "clip_range", 0.0, "greater than 0"),
        ("ppo", "n_steps", 0, "greater than or equal to 1"),
        ("ppo", "n_steps", 10**13, "less than or equal to 1000000000000"),
        ("ppo", "n_steps", 64.0, "a valid integer"),
        ("ppo", "n_steps", [64], "a valid integer"),
        ("ppo", "normalize_advantage", 1, "a valid boolean"),
        ("ppo", "target_kl", 0.0, "greater than 0"),
        ("ppo", "device", "gpu", "expected auto, cpu, mps"),
        ("dqn", "exploration_fraction", 0.0, "greater than 0"),
        ("dqn", "exploration_initial_eps", 1.5, "less than or equal to 1"),
        ("dqn", "gradient_steps", -2, "greater than or equal to -1"),
        ("sac", "ent_coef", "automatic", "a number, auto, or e.g. auto_0.1"),
        ("sac", "ent_coef", -0.1, "greater than or equal to 0"),
        ("trpo", "line_search_shrinking_factor", 1.0, "less than 1"),
        ("q_learning", "exploration", "greedy", "'epsilon_greedy' or 'ucb'"),
        ("reinforce", "net_arch", [64, 0], "greater than or equal to 1"),
    ],
)
def test_a_value_out_of_type_or_range_is_refused_at_its_line(
    name: str, key: str, value: object, expected: str
) -> None:
    problem = refused(name, {key: value})
    assert expected in problem.what
    assert problem.where.startswith(f"a.yaml:5, key `algo.{key}")


def test_a_misspelt_choice_is_refused_with_the_one_meant() -> None:
    assert refused("reinforce", {"baseline": "men"}).cure == "Did you mean `mean`?"


def test_an_unknown_key_is_refused_with_the_nearest_and_all_known_ones() -> None:
    problem = refused("ppo", {"gama": 0.9})
    assert problem.what == "Unknown key `gama`."
    assert problem.where == "a.yaml:5, key `algo.gama`"
    assert problem.cure.startswith("Did you mean `gamma`? Known keys: batch_size, ")


def test_another_algorithms_key_is_unknown() -> None:
    assert refused("ppo", {"buffer_size": 1000}).what == "Unknown key `buffer_size`."


def test_several_mistakes_are_reported_together() -> None:
    with pytest.raises(ConfigError) as caught:
        check_hyperparameters(ALGORITHMS["ppo"], {"gamma": 2, "n_step": 8}, SourceMap())
    assert [problem.what.split()[0] for problem in caught.value.problems] == ["`2`", "Unknown"]


@pytest.mark.parametrize(
    ("name", "key", "cure"),
    [
        ("ppo", "seed", "It is set by `train.seeds`."),
        ("ppo", "verbose", "It is set by `-q` and `-v`."),
        ("ppo", "tensorboard_log", "It is set by `--runs-dir`."),
        ("q_learning", "env", "It is set by the `env` section."),
        ("reinforce", "seed", "It is set by `train.seeds`."),
        ("dqn", "_init_setup_model", "It is set by nothing."),
    ],
)
def test_what_the_runner_sets_is_refused_with_the_place_to_set_it(
    name: str, key: str, cure: str
) -> None:
    problem = refused(name, {key: 1})
    assert problem == Problem(
        f"`{key}` is not a hyperparameter.", f"a.yaml:5, key `algo.{key}`", cure
    )


# --- schedules ----------------------------------------------------------------------------------


def schedule(**written: Any) -> Callable[[float], float]:
    built: Callable[[float], float] = build("ppo", learning_rate=written)["learning_rate"]
    return built


@pytest.mark.parametrize(
    ("progress", "value"), [(0.0, 1e-3), (0.25, 7.75e-4), (0.5, 5.5e-4), (1.0, 1e-4)]
)
def test_a_linear_schedule_changes_by_equal_differences(progress: float, value: float) -> None:
    linear = schedule(schedule="linear", initial=1e-3, final=1e-4)
    assert linear(1 - progress) == pytest.approx(value)


@pytest.mark.parametrize(
    ("progress", "value"), [(0.0, 1e-2), (0.25, 10**-2.5), (0.5, 1e-3), (1.0, 1e-4)]
)
def test_an_exponential_schedule_changes_by_equal_ratios(progress: float, value: float) -> None:
    exponential = schedule(schedule="exponential", initial=1e-2, final=1e-4)
    assert exponential(1 - progress) == pytest.approx(value)


@pytest.mark.parametrize(
    ("progress", "value"),
    [(0.0, 1.0), (0.25, (1 + math.sqrt(0.5)) / 2), (0.5, 0.5), (0.75, (1 - math.sqrt(0.5)) / 2)],
)
def test_a_cosine_schedule_follows_half_a_cosine(progress: float, value: float) -> None:
    cosine = schedule(schedule="cosine", initial=1.0)
    assert cosine(1 - progress) == pytest.approx(value)
    assert cosine(0.0) == pytest.approx(0.0)


@pytest.mark.parametrize("kind", ["linear", "exponential", "cosine"])
@given(progress=st.floats(0, 1), initial=st.floats(1e-6, 1), final=st.floats(1e-6, 1))
def test_a_schedule_begins_and_ends_at_its_ends_and_stays_between(
    kind: str, progress: float, initial: float, final: float
) -> None:
    built = schedule(schedule=kind, initial=initial, final=final)
    assert built(1.0) == pytest.approx(initial)
    assert built(0.0) == pytest.approx(final)
    low, high = sorted((initial, final))
    assert low * (1 - 1e-9) <= built(1 - progress) <= high * (1 + 1e-9)


@pytest.mark.parametrize("kind", ["linear", "exponential", "cosine"])
def test_a_schedule_stays_at_its_final_value_after_its_fraction(kind: str) -> None:
    built = schedule(schedule=kind, initial=1.0, final=0.25, fraction=0.5)
    assert built(0.75) != pytest.approx(0.25)
    assert [built(remaining) for remaining in (0.49, 0.2, 0.0)] == pytest.approx([0.25] * 3)


def test_a_linear_schedule_is_sb3s_own_so_that_stock_sb3_loads_it() -> None:
    assert type(schedule(schedule="linear", initial=1.0)) is LinearSchedule


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"schedule": "linaer", "initial": 1.0}, "'linear', 'exponential' or 'cosine'"),
        ({"schedule": "linear"}, "The key `initial` is missing."),
        ({"initial": 1.0}, "The key `schedule` is missing."),
        ({"schedule": "linear", "initial": 1.0, "end": 0.1}, "Unknown key `end`."),
        ({"schedule": "linear", "initial": "1.0"}, "a valid number"),
        ({"schedule": "linear", "initial": -1.0}, "never goes below"),
        ({"schedule": "linear", "initial": 0.0, "final": 1.0}, "starts above 0"),
        ({"schedule": "linear", "initial": 1.0, "final": -0.1}, "never goes below"),
        ({"schedule": "linear", "initial": 1.0, "fraction": 0.0}, "greater than 0"),
        ({"schedule": "linear", "initial": 1.0, "fraction": 1.1}, "less than or equal to 1"),
        ({"schedule": "exponential", "initial": 1.0}, "`final` above 0"),
        ({"schedule": "exponential", "initial": 0.0, "final": 1.0}, "above 0"),
        ({"schedule": "cosine", "initial": math.inf}, "a finite number"),
    ],
)
def test_a_bad_schedule_is_refused_for_what_is_wrong_with_it(
    written: dict[str, object], expected: str
) -> None:
    problem = refused("ppo", {"learning_rate": written})
    assert expected in problem.what
    assert "algo.learning_rate" in problem.where


@pytest.mark.parametrize("text", ["linear_1e-3", "lin_0.001", "cosine"])
def test_a_schedule_in_one_word_is_no_schedule(text: str) -> None:
    assert "a valid number" in refused("ppo", {"learning_rate": text}).what


def test_a_number_that_cannot_be_scheduled_takes_no_schedule() -> None:
    problem = refused("ppo", {"gamma": {"schedule": "linear", "initial": 1.0}})
    assert "a valid number" in problem.what


# --- class names --------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["Tanh", "torch.nn.Tanh", "torch.nn:Tanh"])
def test_a_class_is_given_by_its_short_or_its_dotted_name(text: str) -> None:
    built = build("ppo", policy_kwargs={"activation_fn": text})
    assert built["policy_kwargs"] == {"activation_fn": torch.nn.Tanh}


@pytest.mark.parametrize("text", ["HerReplayBuffer", "stable_baselines3.her.HerReplayBuffer"])
def test_the_hindsight_buffer_is_found_by_name(text: str) -> None:
    assert build("dqn", replay_buffer_class=text)["replay_buffer_class"] is HerReplayBuffer


@pytest.mark.parametrize(
    ("key", "text", "base"),
    [
        ("replay_buffer_class", "Tanh", "ReplayBuffer"),
        ("replay_buffer_class", "HerReplayBufer", "ReplayBuffer"),
        ("replay_buffer_class", "no_such_package.Buffer", "ReplayBuffer"),
        ("replay_buffer_class", "os.system", "ReplayBuffer"),
        ("replay_buffer_class", "", "ReplayBuffer"),
        ("replay_buffer_class", "..", "ReplayBuffer"),
    ],
)
def test_a_name_of_no_fitting_class_is_refused(key: str, text: str, base: str) -> None:
    problem = refused("dqn", {key: text})
    assert f"`{text}` is not a {base}; give a class name" in problem.what


def test_an_activation_must_be_a_module() -> None:
    problem = refused("ppo", {"policy_kwargs": {"activation_fn": "Adam"}})
    assert "`Adam` is not a Module" in problem.what
    assert problem.where == "a.yaml:5, key `algo.policy_kwargs.activation_fn`"


# --- action noise, train_freq -------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
@pytest.mark.parametrize("kind", ["normal", "ornstein_uhlenbeck"])
def test_noise_has_the_shape_of_an_action(kind: str, shape: tuple[int, ...]) -> None:
    written = {"noise": kind, "sigma": 0.5, "mean": 2.0}
    noise = build("td3", action_shape=shape, action_noise=written)["action_noise"]
    draws = np.array([noise() for _ in range(2000)])
    assert draws.shape == (2000, *shape)
    assert draws.dtype == np.float32
    if kind == "normal":
        assert draws.mean() == pytest.approx(2.0, abs=0.1)
        assert draws.std() == pytest.approx(0.5, abs=0.05)
        assert abs(np.corrcoef(draws[1:].ravel(), draws[:-1].ravel())[0, 1]) < 0.1


def test_normal_noise_has_one_component_per_action() -> None:
    noise = build("td3", action_shape=(3,), action_noise={"noise": "normal", "sigma": 0.1})[
        "action_noise"
    ]
    assert isinstance(noise, NormalActionNoise)
    np.testing.assert_array_equal(noise._mu, [0.0] * 3)
    np.testing.assert_array_equal(noise._sigma, [0.1] * 3)


def test_ornstein_uhlenbeck_noise_takes_a_mean() -> None:
    written = {"noise": "ornstein_uhlenbeck", "sigma": 0.2, "mean": 0.5}
    noise = build("ddpg", action_shape=(1,), action_noise=written)["action_noise"]
    assert isinstance(noise, OrnsteinUhlenbeckActionNoise)
    np.testing.assert_array_equal(noise._mu, [0.5])
    np.testing.assert_array_equal(noise._sigma, [0.2])


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"noise": "gaussian", "sigma": 0.1}, "'normal' or 'ornstein_uhlenbeck'"),
        ({"noise": "normal", "sigma": -0.1}, "greater than or equal to 0"),
        ({"noise": "normal"}, "`normal` noise needs `sigma`"),
        ({"noise": "normal", "sigma": 0.1, "std": 1.0}, "Unknown key `std`."),
        (0.1, "a mapping"),
    ],
)
def test_bad_noise_is_refused_for_what_is_wrong_with_it(written: object, expected: str) -> None:
    problem = refused("td3", {"action_noise": written})
    assert expected in problem.what
    assert "algo.action_noise" in problem.where


@pytest.mark.parametrize("written", [[1, "episode"], (1, "episode")])
def test_a_training_frequency_may_be_a_count_with_its_unit(written: object) -> None:
    assert build("sac", train_freq=written)["train_freq"] == (1, "episode")


def test_a_complete_config_that_was_read_from_its_file_gives_the_same_keywords() -> None:
    algorithm = ALGORITHMS["sac"]
    written = {"policy": "MlpPolicy", "train_freq": [1, "episode"]}
    checked = check_hyperparameters(algorithm, written, SourceMap())
    from_file = {**checked, "train_freq": [1, "episode"]}  # YAML has lists, no tuples
    expected = build_keywords(algorithm, checked, action_shape=(1,))
    assert build_keywords(algorithm, from_file, action_shape=(1,)) == expected


def test_a_training_frequency_may_be_a_bare_count_of_steps() -> None:
    assert build("sac", train_freq=8)["train_freq"] == 8


@pytest.mark.parametrize("written", [[1], [1, "epoch"], [0, "step"], [1.5, "step"], 0, "step"])
def test_any_other_training_frequency_is_refused(written: object) -> None:
    assert "algo.train_freq" in refused("sac", {"train_freq": written}).where


# --- policies -----------------------------------------------------------------------------------


def test_policy_kwargs_keep_only_what_is_written(check: Check) -> None:
    written = {"net_arch": {"pi": [8], "vf": [16, 16]}, "ortho_init": False}
    assert check("ppo", policy_kwargs=written)["policy_kwargs"] == written


@pytest.mark.parametrize("net_arch", [[32, 32], {"pi": [8], "qf": [16]}, []])
def test_a_network_is_a_list_of_widths_or_one_for_each_part(check: Check, net_arch: object) -> None:
    assert check("sac", policy_kwargs={"net_arch": net_arch})["policy_kwargs"] == {
        "net_arch": net_arch
    }


@pytest.mark.parametrize("net_arch", [[0], [1.5], {"pi": 8}, "64", [200_000]])
def test_any_other_network_is_refused(net_arch: object) -> None:
    problem = refused("sac", {"policy_kwargs": {"net_arch": net_arch}})
    assert "algo.policy_kwargs.net_arch" in problem.where


def test_an_unknown_policy_keyword_is_refused_with_the_nearest() -> None:
    problem = refused("ppo", {"policy_kwargs": {"net_ach": [8]}})
    assert problem.what == "Unknown key `net_ach`."
    assert problem.where == "a.yaml:5, key `algo.policy_kwargs.net_ach`"
    assert problem.cure.startswith("Did you mean `net_arch`? Known keys: ")


@pytest.mark.parametrize("key", ["observation_space", "lr_schedule", "use_sde"])
def test_policy_keywords_that_the_algorithm_gives_cannot_be_written(key: str) -> None:
    assert refused("ppo", {"policy_kwargs": {key: None}}).what == f"Unknown key `{key}`."


def test_policy_kwargs_are_those_of_the_chosen_policy(check: Check) -> None:
    written = {"lstm_hidden_size": 16}
    assert check("recurrent_ppo", policy_kwargs=written)["policy_kwargs"] == written
    assert refused("ppo", {"policy_kwargs": written}).what == "Unknown key `lstm_hidden_size`."


def test_an_unknown_policy_is_refused_with_the_nearest_and_all_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        check_policy_name(ALGORITHMS["ppo"], "MlpPolice", "a.yaml:5")
    (problem,) = caught.value.problems
    assert problem == Problem(
        "ppo has no policy `MlpPolice`.",
        "a.yaml:5",
        "Did you mean `MlpPolicy`? It has: auto, MlpPolicy, CnnPolicy, MultiInputPolicy. A class "
        "of your own has its module before it: `nets:MyPolicy`.",
    )


# --- completeness -------------------------------------------------------------------------------

WRITTEN = {
    "defaults of ppo": ("ppo", {}),
    "schedules": (
        "ppo",
        {
            "learning_rate": {"schedule": "cosine", "initial": 1e-3},
            "clip_range": {"schedule": "linear", "initial": 0.2, "final": 0.1},
            "policy_kwargs": {"activation_fn": "ReLU", "net_arch": [8]},
        },
    ),
    "noise": (
        "td3",
        {"action_noise": {"noise": "normal", "sigma": 0.1}, "train_freq": [2, "step"]},
    ),
    "hindsight": (
        "dqn",
        {
            "replay_buffer_class": "HerReplayBuffer",
            "replay_buffer_kwargs": {"n_sampled_goal": 4, "goal_selection_strategy": "future"},
        },
    ),
    "entropy": ("sac", {"ent_coef": "auto_0.1", "policy_kwargs": {"n_critics": 1}}),
    "table": ("q_learning", {"learning_rate": {"schedule": "linear", "initial": 0.5}}),
    "policy gradient": ("reinforce", {"net_arch": [4], "max_grad_norm": None}),
}


@pytest.mark.parametrize(("name", "written"), WRITTEN.values(), ids=list(WRITTEN))
def test_checking_the_complete_values_again_changes_nothing(
    check: Check, name: str, written: dict[str, Any]
) -> None:
    once = check(name, **written)
    assert check(name, **once) == once


@pytest.mark.parametrize("name", ALGORITHMS)
def test_complete_defaults_are_stable_for_every_algorithm(check: Check, name: str) -> None:
    once = check(name)
    assert check(name, **once) == once


def test_what_is_written_is_not_changed(check: Check) -> None:
    written = {"policy_kwargs": {"net_arch": [8]}, "learning_rate": {"schedule": "linear"}}
    written["learning_rate"]["initial"] = 1e-3
    before = repr(written)
    check("ppo", **written)
    assert repr(written) == before


@pytest.mark.parametrize("name", ["q_learning", "reinforce"])
def test_our_own_algorithms_describe_every_hyperparameter(name: str) -> None:
    described = hyperparameters_of(ALGORITHMS[name])
    assert [key for key, item in described.items() if not item.description] == []


def test_descriptions_are_read_from_sb3s_docstrings() -> None:
    gamma = hyperparameters_of(ALGORITHMS["ppo"])["gamma"]
    assert (gamma.default, gamma.description) == (0.99, "Discount factor")


@pytest.mark.parametrize("name", ALGORITHMS)
def test_no_type_is_named_in_pythons_words(name: str) -> None:
    for item in hyperparameters_of(ALGORITHMS[name]).values():
        assert not re.search(r"<|typing|Callable|NoneType|ForwardRef|type\[", item.type_name)


def test_types_are_named_in_a_configs_words() -> None:
    dqn, td3 = (hyperparameters_of(ALGORITHMS[name]) for name in ("dqn", "td3"))
    assert dqn["learning_rate"].type_name == "float | schedule"
    assert dqn["train_freq"].type_name == "int | [int, step|episode]"
    assert td3["action_noise"].type_name == "noise | null"
    q_learning = hyperparameters_of(ALGORITHMS["q_learning"])
    assert q_learning["exploration"].type_name == "epsilon_greedy | ucb"


def test_owned_keys_are_offered_by_no_algorithm() -> None:
    offered = {key for row in ALGORITHMS.values() for key in hyperparameters_of(row)}
    assert not offered & set(OWNED_BY_RUNNER)
