import importlib.util
import inspect
import re
from typing import Any

import pytest
from stable_baselines3.common.vec_env import DummyVecEnv
from tiny_envs import Aim, Corridor, Masked

from rl_runner.agents.build import build_agent
from rl_runner.agents.handwritten import HandwrittenAgent
from rl_runner.agents.hyperparameters.constructor import (
    OWNED_BY_RUNNER,
    build_keywords,
    check_hyperparameters,
    hyperparameters_of,
)
from rl_runner.agents.protocol import Agent
from rl_runner.agents.registry import ALGORITHMS, Algorithm, find_algorithm
from rl_runner.agents.spaces import policy_for, supported_spaces
from rl_runner.config.yaml_text import SourceMap
from rl_runner.errors import ConfigError

every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=list(ALGORITHMS))
METHODS = [name for name in dir(Agent) if not name.startswith("_") and name != "num_timesteps"]


def fitting_env(algorithm: Algorithm) -> DummyVecEnv:
    observations, actions = supported_spaces(algorithm.name)
    if "Discrete" not in actions:
        return DummyVecEnv([Aim])
    return DummyVecEnv([Masked if "Box" in observations else Corridor])


def build_small(algorithm: Algorithm) -> tuple[Any, DummyVecEnv]:
    env = fitting_env(algorithm)
    checked = check_hyperparameters(algorithm, {}, SourceMap())
    if "policy" in checked:
        checked["policy"] = policy_for(algorithm, env.observation_space)
    if "buffer_size" in checked:
        checked["buffer_size"] = 10
    return build_agent(algorithm, checked, env, seed=1), env


@every_algorithm
def test_the_class_loads_and_has_the_methods_of_an_agent(algorithm: Algorithm) -> None:
    cls = algorithm.load_class()
    assert inspect.isclass(cls)
    assert [name for name in METHODS if not hasattr(cls, name)] == []


@every_algorithm
@pytest.mark.parametrize("method", ["learn", "predict", "save"])
def test_methods_take_the_protocols_arguments(algorithm: Algorithm, method: str) -> None:
    protocol = inspect.signature(getattr(Agent, method)).parameters
    wanted = list(protocol)
    taken = list(inspect.signature(getattr(algorithm.load_class(), method)).parameters)
    assert set(wanted) <= set(taken)
    positional = [
        name for name in wanted if protocol[name].kind is not inspect.Parameter.KEYWORD_ONLY
    ]
    assert taken[: len(positional)] == positional


@every_algorithm
def test_the_package_is_where_the_class_comes_from(algorithm: Algorithm) -> None:
    assert algorithm.load_class().__module__.partition(".")[0] == algorithm.package


@every_algorithm
def test_only_handwritten_algorithms_save_something_else_than_a_zip(algorithm: Algorithm) -> None:
    assert (algorithm.weights_file == "model.zip") == (
        not issubclass(algorithm.load_class(), HandwrittenAgent)
    )


@every_algorithm
def test_a_reference_names_authors_and_year(algorithm: Algorithm) -> None:
    assert re.fullmatch(r"[^\d]+ (19|20)\d\d", algorithm.reference)


@every_algorithm
def test_every_default_is_valid_and_complete(algorithm: Algorithm) -> None:
    checked = check_hyperparameters(algorithm, {}, SourceMap())
    assert list(checked) == list(hyperparameters_of(algorithm))
    assert not set(checked) & set(OWNED_BY_RUNNER)


@every_algorithm
def test_defaults_are_the_constructors_own(algorithm: Algorithm) -> None:
    checked = check_hyperparameters(algorithm, {}, SourceMap())
    parameters = inspect.signature(algorithm.load_class()).parameters
    for name, value in checked.items():
        if name != "policy":
            assert value == parameters[name].default, name


@every_algorithm
def test_defaults_become_keywords_of_the_constructor(algorithm: Algorithm) -> None:
    checked = check_hyperparameters(algorithm, {}, SourceMap())
    keywords = build_keywords(algorithm, checked, action_shape=(2,))
    inspect.signature(algorithm.load_class()).bind(env=None, seed=0, **keywords)
    assert keywords == checked


@every_algorithm
def test_an_agent_of_defaults_is_built_and_acts(algorithm: Algorithm) -> None:
    agent, env = build_small(algorithm)
    assert isinstance(agent, algorithm.load_class())
    assert agent.num_timesteps == 0
    assert agent.get_env().num_envs == 1
    assert agent.get_vec_normalize_env() is None
    actions, _ = agent.predict(env.reset(), deterministic=True)
    assert env.action_space.contains(actions[0])


@pytest.mark.parametrize(
    ("name", "written", "make"),
    [
        ("ppo", {"policy": "NoSuchPolicy"}, Masked),
        ("q_learning", {}, Masked),
        ("reinforce", {"n_episodes": 3}, Corridor),
        ("sac", {"policy": "MlpPolicy", "ent_coef": "auto_0"}, Aim),
    ],
)
def test_what_only_the_constructor_can_refuse_becomes_a_config_error(
    name: str, written: dict[str, Any], make: type[Any]
) -> None:
    algorithm = ALGORITHMS[name]
    checked = check_hyperparameters(algorithm, written, SourceMap())
    with pytest.raises(ConfigError, match=f"{name} refuses this configuration") as caught:
        build_agent(algorithm, checked, DummyVecEnv([make] * 2), seed=0)
    assert caught.value.problems[0].cure == f"See `rl algos {name}`."


def test_a_known_name_is_found() -> None:
    assert find_algorithm("ppo").import_path == "stable_baselines3:PPO"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("PPO", "ppo"),
        ("Q-Learning", "q_learning"),
        ("qlearning", "q_learning"),
        ("maskableppo", "maskable_ppo"),
        ("reinforc", "reinforce"),
        ("QR-DQN", "qrdqn"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_name_meant(written: str, meant: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_algorithm(written, "a.yaml:3")
    (problem,) = caught.value.problems
    assert problem.what == f"There is no algorithm `{written}`."
    assert problem.where == "a.yaml:3"
    assert f"Did you mean `{meant}`?" in problem.cure


def test_a_name_like_no_other_gets_the_whole_list() -> None:
    with pytest.raises(ConfigError) as caught:
        find_algorithm("xyzzy")
    (problem,) = caught.value.problems
    assert problem.cure == f"Algorithms: {', '.join(ALGORITHMS)}."


def test_what_runs_share_depends_on_the_engine() -> None:
    ppo = ALGORITHMS["ppo"]
    assert ppo.modules_to_share("stock") == ["torch._dynamo"]
    for engine in ("auto", "fast"):
        assert ppo.modules_to_share(engine) == [
            "rl_runner.agents.fast.on_policy",
            "rl_runner.agents.fast.warm_up",
        ]
    assert ALGORITHMS["sac"].modules_to_share("auto") == ["torch._dynamo"]
    assert ALGORITHMS["ars"].modules_to_share("auto") == []
    assert ALGORITHMS["q_learning"].modules_to_share("stock") == []


def test_what_runs_share_can_be_imported() -> None:
    for algorithm in ALGORITHMS.values():
        for module in algorithm.modules_to_share("auto"):
            assert importlib.util.find_spec(module) is not None


@pytest.mark.parametrize("name", ["ars", "q_learning"])
def test_an_algorithm_without_a_torch_optimiser_declares_it(name: str) -> None:
    source = inspect.getsource(inspect.getmodule(ALGORITHMS[name].load_class()))
    assert "torch.optim" not in source
    assert not ALGORITHMS[name].optimizer
