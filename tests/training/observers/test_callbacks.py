from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger

import rl_runner.training.observers.callbacks as module
from rl_runner.config import EnvConfig
from rl_runner.config.schema import EvalConfig
from rl_runner.envs import build_env
from rl_runner.evaluation.play.episodes import Episodes
from rl_runner.runs.folder import RunFolder
from rl_runner.seeding import SeedTree
from rl_runner.training.observers.callbacks import (
    EveryTimesteps,
    GridPolicyPicture,
    PeriodicEvaluation,
    ProgressTicker,
)


class Bell(EveryTimesteps):
    """Writes down when it rings."""

    def __init__(self, every: int) -> None:
        super().__init__(every)
        self.rung: list[int] = []

    def _on_time(self) -> None:
        self.rung.append(self.num_timesteps)


def _fake_model() -> Any:
    return SimpleNamespace(
        num_timesteps=0, get_env=lambda: None, logger=Logger(None, []), ep_info_buffer=[]
    )


def _learn(callback: Any, n_envs: int, total_timesteps: int) -> None:
    """Call back as SB3 does: once per step of all environments."""
    model = _fake_model()
    callback.init_callback(model)
    callback.on_training_start({}, {})
    while model.num_timesteps < total_timesteps:
        model.num_timesteps += n_envs
        assert callback.on_step()
    callback.on_training_end()


@settings(deadline=None)
@given(every=st.integers(1, 60), n_envs=st.integers(1, 40), total_timesteps=st.integers(1, 300))
def test_it_rings_at_the_first_step_past_each_multiple_and_at_the_end(
    every: int, n_envs: int, total_timesteps: int
):
    bell = Bell(every)
    _learn(bell, n_envs, total_timesteps)
    steps = list(range(n_envs, total_timesteps + n_envs, n_envs))
    end = steps[-1]
    passed_a_multiple = [t for t in steps if t // every > (t - n_envs) // every]
    assert bell.rung == sorted({*passed_a_multiple, end})


@settings(deadline=None)
@given(every=st.integers(1, 60), n_envs=st.integers(1, 40), rounds=st.integers(1, 10))
def test_it_rings_exactly_at_the_multiples_if_n_envs_divides_them(
    every: int, n_envs: int, rounds: int
):
    bell = Bell(every * n_envs)
    _learn(bell, n_envs, every * n_envs * rounds)
    assert bell.rung == [every * n_envs * k for k in range(1, rounds + 1)]


def test_the_end_is_reported_once():
    bell = Bell(10)
    _learn(bell, 1, 20)
    assert bell.rung == [10, 20]


def test_a_budget_below_the_interval_still_ends_with_a_ring():
    bell = Bell(1000)
    _learn(bell, 4, 30)
    assert bell.rung == [32]


def test_timesteps_that_pass_unseen_count_at_the_end():
    bell = Bell(10)
    model = _fake_model()
    bell.init_callback(model)
    bell.on_training_start({}, {})
    model.num_timesteps = 12
    bell.on_step()
    model.num_timesteps = 17  # ARS counts on after its last callback
    bell.on_training_end()
    assert bell.rung == [12, 17]


def test_it_rings_at_the_right_time_while_sb3_learns():
    env = build_env(EnvConfig(id="CartPole-v1"), range(3))
    bell = Bell(20)
    agent = PPO("MlpPolicy", env, n_steps=10, batch_size=30, n_epochs=1, device="cpu")
    agent.set_logger(Logger(None, []))
    agent.learn(70, bell)
    env.close()
    assert bell.rung == [21, 42, 60, 81, 90]


# --- the periodic evaluation ----------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    folder = RunFolder(tmp_path / "seed-0", "agent.txt")
    folder.claim()
    yield folder
    folder.release()


class _Saver:
    """An agent that writes down when it was saved."""

    def __init__(self) -> None:
        self.num_timesteps = 0
        self.logger = Logger(None, [])

    def get_env(self) -> None:
        return None

    def get_vec_normalize_env(self) -> None:
        return None

    def save(self, path: str) -> None:
        Path(path).write_text(f"agent at {self.num_timesteps}")


def _evaluation(run: RunFolder, **options: Any) -> PeriodicEvaluation:
    env: Any = SimpleNamespace(unwrapped=None)
    config = EvalConfig(n_episodes=3, final_episodes=3)
    return PeriodicEvaluation(env, run, SeedTree(0), every=10, config=config, **options)


def _evaluate_at(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, means: list[float], *, untrained: bool = False
) -> PeriodicEvaluation:
    """Let the evaluations at 10, 20, … have these means; the first one at 0 if ``untrained``."""
    coming = iter(means)

    def play(_agent: object, _env: object, seeds: list[int], **_: object) -> Episodes:
        n = len(seeds)
        return Episodes(
            np.array(seeds), np.full(n, next(coming)), np.full(n, 7), np.full(n, np.nan)
        )

    monkeypatch.setattr(module, "play_episodes", play)
    evaluation = _evaluation(run)
    model: Any = _Saver()
    evaluation.init_callback(model)
    if untrained:
        evaluation.evaluate_untrained(model)
    evaluation.on_training_start({}, {})
    for _ in means[untrained:]:
        model.num_timesteps += 10
        evaluation.on_step()
    evaluation.on_training_end()
    return evaluation


@pytest.mark.parametrize(
    ("means", "best"),
    [
        ([1.0, 3.0, 2.0], 20),
        ([1.0, 2.0, 3.0], 30),
        ([-5.0, -9.0], 10),
        ([2.0, 2.0, 2.0], 10),  # of equals, the first
        ([0.0], 10),
    ],
)
def test_the_agent_with_the_best_evaluation_is_kept(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, means: list[float], best: int
):
    evaluation = _evaluate_at(run, monkeypatch, means)
    assert evaluation.best_timesteps == best
    assert evaluation.best_mean_reward == max(means)
    assert evaluation.last_mean_reward == means[-1]
    assert (run.agents.find("best") / "agent.txt").read_text() == f"agent at {best}"


def test_the_untrained_agent_is_evaluated_and_is_not_the_best(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
):
    evaluation = _evaluate_at(run, monkeypatch, [9.0, 1.0, 3.0], untrained=True)
    assert run.measurements.load_evaluations()["timesteps"].tolist() == [0, 10, 20]
    assert (evaluation.best_timesteps, evaluation.best_mean_reward) == (20, 3.0)
    told: list[int] = []
    after = _evaluation(run, report=lambda timesteps, _: told.append(timesteps))
    after.restore_arrays(evaluation.arrays(), kept_best=20)
    assert (after.best_timesteps, after.best_mean_reward) == (20, 3.0)
    assert told == [10, 20]


def test_an_untrained_agent_with_a_return_that_is_not_finite_is_left_out(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
):
    evaluation = _evaluate_at(run, monkeypatch, [-np.inf, 1.0], untrained=True)
    assert run.measurements.load_evaluations()["timesteps"].tolist() == [10]
    assert evaluation.best_timesteps == 10


def test_an_evaluation_that_is_not_a_number_ends_the_run(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(FloatingPointError):
        _evaluate_at(run, monkeypatch, [1.0, np.nan, 2.0])
    assert run.measurements.load_evaluations()["timesteps"].tolist() == [10]
    assert (run.agents.find("best") / "agent.txt").read_text() == "agent at 10"


def test_every_evaluation_is_on_disk_as_soon_as_it_is_made(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
):
    seen: list[list[int]] = []
    save_best = run.agents.save_best

    def look(timesteps: int, save: Any) -> None:
        seen.append(run.measurements.load_evaluations()["timesteps"].tolist())
        save_best(timesteps, save)

    monkeypatch.setattr(run.agents, "save_best", look)
    _evaluate_at(run, monkeypatch, [1.0, 2.0, 3.0])
    assert seen == [[10], [10, 20], [10, 20, 30]]
    arrays = run.measurements.load_evaluations()
    assert arrays["returns"].tolist() == [[1.0] * 3, [2.0] * 3, [3.0] * 3]
    assert arrays["lengths"].tolist() == [[7] * 3] * 3
    assert arrays["seeds"].tolist() == SeedTree(0).evaluation(3)


def test_a_resumed_run_reports_its_earlier_evaluations_again(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
):
    before = _evaluate_at(run, monkeypatch, [1.0, 3.0, 2.0])
    reported: list[tuple[int, float]] = []
    after = _evaluation(run, report=lambda timesteps, mean: reported.append((timesteps, mean)))
    after.restore_arrays(before.arrays(), kept_best=20)
    assert reported == [(10, 1.0), (20, 3.0), (30, 2.0)]


def test_before_the_first_evaluation_there_is_no_last_one(run: RunFolder):
    evaluation = _evaluation(run)
    assert evaluation.last_mean_reward is None


# --- pictures and progress ------------------------------------------------------------------------


class _Album(Logger):
    def __init__(self) -> None:
        super().__init__(None, [])
        self.pages: list[tuple[int, dict[str, Any], dict[str, Any]]] = []

    def dump(self, step: int = 0) -> None:
        self.pages.append((step, dict(self.name_to_value), dict(self.name_to_excluded)))
        super().dump(step)


def test_a_table_is_drawn_for_tensorboard_alone():
    album = _Album()
    model: Any = SimpleNamespace(
        num_timesteps=0, get_env=lambda: None, logger=album, q_table=np.eye(4)
    )
    picture = GridPolicyPicture(np.array([[b"S", b"F"], [b"H", b"G"]]), every=10)
    picture.init_callback(model)
    model.num_timesteps = 10
    picture.on_step()
    ((step, values, excluded),) = album.pages
    assert step == 10
    assert set(values) == {"q_table/policy"}
    assert "stdout" in excluded["q_table/policy"]
    assert "tensorboard" not in excluded["q_table/policy"]


def test_an_agent_without_a_table_is_not_drawn():
    album = _Album()
    model: Any = SimpleNamespace(num_timesteps=0, get_env=lambda: None, logger=album)
    picture = GridPolicyPicture(np.array([[b"S", b"G"]]), every=10)
    picture.init_callback(model)
    model.num_timesteps = 10
    picture.on_step()
    picture.on_training_end()
    assert album.pages == []


def test_progress_is_reported_a_few_times_a_second_and_not_more(monkeypatch: pytest.MonkeyPatch):
    clock = iter(np.arange(0, 1000, 0.01))
    now = [0.0]

    def tick() -> float:
        now[0] = float(next(clock))
        return now[0]

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=tick))
    reported: list[tuple[int, float]] = []
    ticker = ProgressTicker(400, lambda timesteps, rate: reported.append((timesteps, rate)))
    _learn(ticker, 4, 400)  # a hundred calls in a second
    assert 4 <= len(reported) <= 5
    timesteps = [t for t, _ in reported]
    assert timesteps == sorted(timesteps)
    assert all(rate == pytest.approx(400, rel=0.2) for _, rate in reported)


def test_steps_per_second_count_what_lies_between_segments_too(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    reported: list[tuple[int, float]] = []
    ticker = ProgressTicker(400, lambda timesteps, rate: reported.append((timesteps, rate)))
    model = _fake_model()
    ticker.init_callback(model)
    for segment in range(2):
        model.num_timesteps = 200 * segment
        ticker.on_training_start({}, {})
        now[0] += 1.0  # a rollout
        model.num_timesteps += 100
        ticker.on_step()
        now[0] += 9.0  # an update, an evaluation, a checkpoint
    assert reported == [(100, 100.0), (300, pytest.approx(300 / 11))]
