import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
import torch
from small_experiments import fitting_env

import rl_runner
import rl_runner.training.experiment as experiment_module
import rl_runner.training.resolve as resolve_module
import rl_runner.training.train as train_module
from rl_runner import config_from_dict, load_config
from rl_runner.agents.hyperparameters.constructor import hyperparameters_of
from rl_runner.agents.protocol import Agent
from rl_runner.agents.registry import ALGORITHMS, Algorithm, find_algorithm
from rl_runner.config import ExperimentConfig, dump_config, experiment_hash
from rl_runner.envs import build_env
from rl_runner.errors import ConfigError, EnvError
from rl_runner.training.resolve import build_config_agent, resolve

CONFIGS = Path(rl_runner.__file__).parents[1] / "configs"
SHIPPED = [file for file in sorted(CONFIGS.glob("**/*.yaml")) if load_config(file).data is None]

ConfigOf = Callable[..., ExperimentConfig]


def _minimal(algo: str) -> dict[str, Any]:
    """Write the least that a person could write for this algorithm."""
    env, train_section = fitting_env(algo), {"total_timesteps": 100_000}
    return {"env": env, "algo": {"name": algo}, "train": train_section}


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_every_default_is_filled_in(algo: str):
    resolved = resolve(config_from_dict(_minimal(algo))).config
    known = hyperparameters_of(find_algorithm(algo))
    assert list(resolved.algo.hyperparameters) == list(known)
    for name in ("gamma", "learning_rate", "ent_coef", "tau", "n_delta", "initial_q"):
        if name in known and isinstance(known[name].default, int | float | str):
            assert resolved.algo.hyperparameters[name] == known[name].default
    assert resolved.env.time_limit is not None
    assert resolved.eval.every == 10_000
    if "policy" in known:
        assert resolved.algo.hyperparameters["policy"] != "auto"


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_resolving_a_resolved_config_changes_nothing(algo: str):
    once = resolve(config_from_dict(_minimal(algo))).config
    twice = resolve(once).config
    assert twice == once
    assert dump_config(twice) == dump_config(once)
    assert experiment_hash(twice) == experiment_hash(once)


@pytest.mark.parametrize("file", SHIPPED, ids=[str(f.relative_to(CONFIGS)) for f in SHIPPED])
def test_every_shipped_config_resolves_and_reloads_to_an_equal_one(file: Path, tmp_path: Path):
    resolved = resolve(load_config(file)).config
    (tmp_path / "config.yaml").write_text(dump_config(resolved), encoding="utf-8")
    reloaded = load_config(tmp_path)
    assert reloaded == resolved
    assert reloaded.to_dict() == resolved.to_dict()
    assert experiment_hash(reloaded) == experiment_hash(resolved)
    assert resolve(reloaded).config == resolved
    assert len(resolved.train.seeds) >= 5


def test_there_are_shipped_configs():
    assert len(SHIPPED) >= 10


def test_the_names_of_shipped_experiments_differ():
    names = [load_config(file).name for file in SHIPPED]
    assert len(set(names)) == len(names)


def test_what_is_written_out_by_hand_is_the_same_experiment():
    brief = config_from_dict(_minimal("ppo"))
    raw = _minimal("ppo")
    raw["algo"] |= {"gamma": 0.99, "n_steps": 2048, "policy": "MlpPolicy"}
    raw["env"]["time_limit"] = 500
    raw["eval"] = {"every": 10_000}
    assert experiment_hash(resolve(config_from_dict(raw)).config) == experiment_hash(
        resolve(brief).config
    )


def test_other_seeds_and_another_name_are_the_same_experiment():
    raw = _minimal("ppo")
    digest = experiment_hash(resolve(config_from_dict(raw)).config)
    raw |= {"name": "other", "description": "the same again"}
    raw["train"]["seeds"] = [7]
    raw["env"]["vec"] = "subproc"
    assert experiment_hash(resolve(config_from_dict(raw)).config) == digest


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("algo", {"gamma": 0.98}),
        ("env", {"n_envs": 2}),
        ("env", {"time_limit": 100}),
        ("env", {"normalize": True}),
        ("train", {"total_timesteps": 200_000}),
        ("eval", {"every": 5000}),
        ("eval", {"final_episodes": 99}),
        ("eval", {"deterministic": False}),
    ],
)
def test_whatever_changes_results_is_another_experiment(section: str, change: dict[str, Any]):
    raw = _minimal("a2c")
    digest = experiment_hash(resolve(config_from_dict(raw)).config)
    raw[section] = {**raw.get(section, {}), **change}
    assert experiment_hash(resolve(config_from_dict(raw)).config) != digest


def test_the_policy_follows_the_observations():
    raw = _minimal("dqn")
    assert resolve(config_from_dict(raw)).config.algo.hyperparameters["policy"] == "MlpPolicy"
    raw["env"] = {"id": "BitFlipping-v0"}
    raw["algo"] |= {"learning_starts": 100}
    assert (
        resolve(config_from_dict(raw)).config.algo.hyperparameters["policy"] == "MultiInputPolicy"
    )


@pytest.mark.parametrize(("budget", "every"), [(5, 1), (10, 1), (99, 9), (1000, 100)])
def test_a_tenth_of_the_budget_lies_between_evaluations(
    config_of: ConfigOf, budget: int, every: int
):
    config = config_of("cliff", train={"total_timesteps": budget}, eval={"every": None})
    assert resolve(config).config.eval.every == every


def test_the_config_that_is_resolved_stays_as_it_was(config_of: ConfigOf):
    config = config_of("ppo")
    before = config.to_dict()
    resolve(config)
    assert config.to_dict() == before
    assert config.env.time_limit is None


def test_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config_of: ConfigOf):
    resolve(config_of("ppo"))  # the first time, torch makes a cache of its own
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    resolve(config_of("ppo"))
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_hyperparameter_is_located_and_guessed(tmp_path: Path):
    file = tmp_path / "exp.yaml"
    file.write_text(
        "env: {id: CartPole-v1}\nalgo:\n  name: ppo\n  gama: 0.9\ntrain: {total_timesteps: 100}\n"
    )
    with pytest.raises(ConfigError) as caught:
        resolve(load_config(file))
    (problem,) = caught.value.problems
    assert f"{file}:4" in problem.where
    assert "Did you mean `gamma`?" in problem.cure


def test_an_unknown_environment_is_located_and_guessed(tmp_path: Path):
    file = tmp_path / "exp.yaml"
    file.write_text("env:\n  id: CartPol-v1\nalgo: {name: ppo}\ntrain: {total_timesteps: 100}\n")
    with pytest.raises(EnvError) as caught:
        resolve(load_config(file))
    (problem,) = caught.value.problems
    assert f"{file}:2" in problem.where
    assert "Did you mean `CartPole-v1`?" in problem.cure


def test_an_algorithm_that_does_not_fit_names_those_that_do():
    raw = {**_minimal("sac"), "env": {"id": "CartPole-v1"}}
    with pytest.raises(ConfigError) as caught:
        resolve(config_from_dict(raw))
    (problem,) = caught.value.problems
    assert "sac cannot be trained on CartPole-v1" in problem.what
    fitting = problem.cure.removeprefix("These can: ").removesuffix(".").split(", ")
    assert {"ppo", "dqn", "a2c", "reinforce"} <= set(fitting)
    assert {"sac", "td3", "q_learning"}.isdisjoint(fitting)


def test_actions_of_several_dimensions_are_refused_with_the_cure():
    raw = {**_minimal("ppo"), "env": {"id": "board_envs:Board-v0"}}
    with pytest.raises(ConfigError) as caught:
        resolve(config_from_dict(raw))
    (problem,) = caught.value.problems
    assert "MultiDiscrete actions of one dimension" in problem.what
    assert "`MultiDiscrete(nvec.ravel())`, of shape (6,)" in problem.cure
    assert "reshape them to (2, 3) in `step`" in problem.cure


def test_the_cure_for_actions_of_several_dimensions_is_taken():
    kwargs = {"func": "board_envs:to_board", "action_space": "board_envs:IN_ONE_ROW"}
    wrapper = {"name": "gymnasium.wrappers.TransformAction", "kwargs": kwargs}
    raw = {**_minimal("ppo"), "env": {"id": "board_envs:Board-v0", "wrappers": [wrapper]}}
    resolved = resolve(config_from_dict(raw)).config
    with contextlib.closing(build_env(resolved.env, [0])) as env:
        env.reset()
        _, rewards, _, _ = env.step([np.array([0, 1, 2, 3, 0, 1])])
    assert rewards.tolist() == [7.0]  # the sum of what reached the board


def test_an_algorithm_that_needs_masks_is_refused_where_there_are_none():
    raw = {**_minimal("maskable_ppo"), "env": {"id": "CartPole-v1"}}
    with pytest.raises(ConfigError, match="action_masks"):
        resolve(config_from_dict(raw))


def test_the_agent_of_a_resolved_config_has_its_hyperparameters(config_of: ConfigOf):
    resolved = resolve(config_of("ppo", algo={"gamma": 0.9})).config
    env = build_env(resolved.env, [0, 1])
    agent: Any = build_config_agent(resolved, env, seed=5)
    env.close()
    assert (agent.gamma, agent.n_steps, agent.seed) == (0.9, 32, 5)


def test_a_gpu_in_the_machine_is_no_reason_against_the_compiled_twin(
    config_of: ConfigOf, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # it is not: building there fails
    resolution = resolve(config_of("ppo"))
    resolved = resolution.config
    assert resolved.algo.engine == "fast"
    assert resolved.algo.hyperparameters["device"] == "auto"
    assert resolution.stock_reason is None
    assert resolution.notes == ()


# --- what else is learned on the way --------------------------------------------------------------


def test_choices_that_a_user_may_not_expect_are_noted():
    raw = _minimal("ppo")
    assert resolve(config_from_dict(raw)).notes == ()
    raw["env"] = {"id": "CliffWalking-v1"}
    raw["algo"] |= {"use_sde": False, "policy_kwargs": {"optimizer_class": "torch.optim.SGD"}}
    resolution = resolve(config_from_dict(raw))
    assert (resolution.time_limit, resolution.time_limit_is_ours) == (1000, True)
    limit_note, stock_note = resolution.notes
    assert (
        limit_note == "CliffWalking-v1 has no time limit; episodes are truncated after 1000 steps."
    )
    assert stock_note == f"Trained by the stock engine: {resolution.stock_reason}."
    assert resolution.config.algo.engine == "stock"


def test_an_algorithm_without_a_twin_gives_no_reason_for_the_stock_engine():
    resolution = resolve(config_from_dict(_minimal("trpo")))
    assert resolution.config.algo.engine == "stock"
    assert resolution.stock_reason is None


class Counted(gym.Env[int, int]):
    """Counts how often it is built."""

    built: ClassVar[int] = 0

    def __init__(self, render_mode: str | None = None) -> None:
        self.observation_space = gym.spaces.Discrete(4)
        self.action_space = gym.spaces.Discrete(2)
        self.render_mode = render_mode
        Counted.built += 1

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        return action, 1.0, False, False, {}


gym.register("ResolveTestCounted-v0", entry_point=Counted)  # without a time limit


@pytest.fixture
def agents_built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the names of the algorithms whose agents :mod:`.resolve` has built."""
    built: list[str] = []
    build = resolve_module.build_agent

    def count(algorithm: Algorithm, *arguments: Any, **options: Any) -> Agent:
        built.append(algorithm.name)
        return build(algorithm, *arguments, **options)

    monkeypatch.setattr(resolve_module, "build_agent", count)
    monkeypatch.setattr(Counted, "built", 0)
    return built


@pytest.fixture
def counted() -> ExperimentConfig:
    """Give a config whose resolution has both notes."""
    raw = _minimal("ppo")
    raw["env"] = {"id": "ResolveTestCounted-v0", "n_envs": 2}
    raw["algo"] |= {"policy_kwargs": {"optimizer_class": "torch.optim.SGD"}}
    return config_from_dict(raw)


def test_environment_and_agent_are_built_once(counted: ExperimentConfig, agents_built: list[str]):
    assert len(resolve(counted).notes) == 2
    assert Counted.built == counted.env.n_envs
    assert agents_built == ["ppo"]


def test_a_command_builds_nothing_more_to_report_its_notes(
    counted: ExperimentConfig,
    agents_built: list[str],
    tmp_path: Path,
    witness: Any,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(experiment_module, "run_here", lambda tasks, _: [None] * len(tasks))
    monkeypatch.setattr(experiment_module, "refresh_result", lambda result, _: result)
    options = {"fresh": False, "jobs": None, "reporter": witness}
    train_module.train_many([counted], runs_dir=tmp_path, **options)
    assert len(witness.reports("note")) == 2
    assert Counted.built == counted.env.n_envs
    assert agents_built == ["ppo"]
