import dataclasses
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import pytest
from gymnasium import spaces
from stable_baselines3 import DQN

import rl_runner.training.commands.check as module
from rl_runner import config_from_dict, train
from rl_runner.config import ExperimentConfig
from rl_runner.errors import EnvError
from rl_runner.training.commands.check import CheckReport, check_experiment
from rl_runner.training.resolve import resolve

ConfigOf = Callable[..., ExperimentConfig]


class Slow(gym.Env[int, int]):
    """Takes five milliseconds a step."""

    def __init__(self, render_mode: str | None = None) -> None:
        self.observation_space = spaces.Discrete(4)
        self.action_space = spaces.Discrete(2)
        self.render_mode = render_mode

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        time.sleep(0.005)
        return action, 0.0, False, False, {}


gym.register("CheckTestSlow-v0", entry_point=Slow, max_episode_steps=10)


@pytest.fixture(autouse=True)
def _a_short_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.3)
    monkeypatch.setattr(module, "MAX_PROBE_SECONDS", 2.0)


def check(config: ExperimentConfig) -> CheckReport:
    return check_experiment(resolve(config))


def _files_and_folders(path: Path) -> list[Path]:
    return sorted(path.rglob("*"))


@pytest.mark.parametrize("name", ["cliff", "ppo"])
def test_checking_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config_of: ConfigOf, name: str
):
    check(config_of(name))  # the first time, torch makes a cache of its own
    for folder in ("here", "temporary"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    before = _files_and_folders(tmp_path)
    check(config_of(name))
    assert _files_and_folders(tmp_path) == before


def test_the_report_describes_the_experiment_as_it_will_be_trained(
    tmp_path: Path, config_of: ConfigOf
):
    config = config_of("ppo", train={"seeds": [0, 1, 2]})
    report = check(config)
    assert report.experiment == train(config, runs_dir=tmp_path, seeds=[0]).path.name
    assert (report.env, report.algo) == ("CartPole-v1", "ppo")
    assert (report.observation_space, report.action_space) == ("Box(4,)", "Discrete(2)")
    assert (report.time_limit, report.time_limit_is_ours) == (500, False)
    assert (report.total_timesteps, report.n_runs) == (256, 3)


def test_a_time_limit_of_ours_is_reported_as_such():
    raw = {
        "env": {"id": "CliffWalking-v1"},
        "algo": {"name": "q_learning"},
        "train": {"total_timesteps": 100},
    }
    report = check(config_from_dict(raw))
    assert (report.time_limit, report.time_limit_is_ours) == (1000, True)
    raw["env"] = {"id": "CliffWalking-v1", "time_limit": 30}
    report = check(config_from_dict(raw))
    assert (report.time_limit, report.time_limit_is_ours) == (30, False)


@pytest.mark.parametrize("name", ["cliff", "ppo", "reinforce"])
def test_the_numbers_are_plausible(config_of: ConfigOf, name: str):
    report = check(config_of(name, train={"total_timesteps": 1_000_000}))
    assert 0 < report.steps_per_second < 1e8
    assert report.seconds_per_run == pytest.approx(1_000_000 / report.steps_per_second)
    assert 50 < report.megabytes < 20_000
    assert all(math.isfinite(v) for v in dataclasses.astuple(report) if isinstance(v, float))


@pytest.mark.parametrize(
    ("n_envs", "algo"),
    [
        (1, {"name": "q_learning"}),
        (4, {"name": "q_learning"}),
        (1, {"name": "ppo", "n_steps": 16, "batch_size": 16, "n_epochs": 1}),
    ],
)
def test_the_rate_is_that_of_the_environment_where_that_is_what_takes_time(
    n_envs: int, algo: dict[str, Any]
):
    raw = {
        "env": {"id": "CheckTestSlow-v0", "n_envs": n_envs},
        "algo": algo,
        "train": {"total_timesteps": 100_000},
    }
    report = check(config_from_dict(raw))
    assert 0 < report.steps_per_second < 200  # the copies sleep one after the other


def test_updates_are_part_of_the_rate_although_learning_starts_late(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(DQN, "train", lambda *_, **__: time.sleep(0.02))
    algo = {"name": "dqn", "learning_starts": 50_000, "batch_size": 8, "train_freq": 1}
    algo |= {"engine": "stock"}  # whose update is replaced above
    raw = {
        "env": {"id": "CartPole-v1"},
        "algo": {**algo, "policy_kwargs": {"net_arch": [8]}},
        "train": {"total_timesteps": 100_000},
    }
    assert 0 < check(config_from_dict(raw)).steps_per_second < 100  # each update sleeps


def test_a_full_replay_buffer_is_counted_although_it_is_still_empty():
    def megabytes(buffer_size: int) -> float:
        algo = {"name": "dqn", "buffer_size": buffer_size, "policy_kwargs": {"net_arch": [8]}}
        raw = {
            "env": {"id": "CartPole-v1"},
            "algo": {**algo, "learning_starts": 100},
            "train": {"total_timesteps": 100_000},
        }
        return check(config_from_dict(raw)).megabytes

    small, large = megabytes(1_000), megabytes(2_000_000)
    an_entry = 2 * 4 * 4 + 8 + 4 + 4 + 4  # observations, action, reward, done, timeout
    assert large - small > 0.95 * 2e6 * an_entry / 2**20


@pytest.mark.parametrize("budget", [1, 5])
def test_a_budget_shorter_than_the_look_is_no_problem(config_of: ConfigOf, budget: int):
    report = check(config_of("cliff", train={"total_timesteps": budget}))
    assert report.steps_per_second > 0


def test_what_is_not_in_the_space_is_refused(config_of: ConfigOf):
    class Wrong(Slow):
        def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
            _, reward, terminated, truncated, info = super().step(action)
            return 99, reward, terminated, truncated, info

    gym.register("CheckTestWrong-v0", entry_point=Wrong, max_episode_steps=10)
    try:
        with pytest.raises(EnvError, match="whole numbers 0 to 3"):
            check(config_of("cliff", env={"id": "CheckTestWrong-v0"}))
    finally:
        del gym.registry["CheckTestWrong-v0"]


def test_a_first_cycle_that_compiles_does_not_count(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    stopwatch = module._Stopwatch()
    stopwatch.model = SimpleNamespace(num_timesteps=0)  # type: ignore[assignment]
    for seconds, timesteps in [(0.0, 0), (20.0, 100), (20.5, 200), (21.0, 300)]:
        now[0], stopwatch.model.num_timesteps = seconds, timesteps
        stopwatch._on_rollout_start()
    assert stopwatch.steps_per_second == 200


def test_compiled_code_takes_as_many_steps_at_once_as_in_training():
    assert module._Stopwatch().next_timestep == math.inf
