import itertools
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from small_experiments import EXPERIMENTS, LONG_ROLLOUTS
from tensorboard.summary.writer import event_file_writer

from rl_runner.agents import state
from rl_runner.agents.fast import q_learning as fast_q_learning
from rl_runner.agents.registry import ALGORITHMS
from rl_runner.config import ExperimentConfig, config_from_dict
from rl_runner.evaluation.reproduction import differences
from rl_runner.runs.folder import RunFolder
from rl_runner.training.environment_task import EnvironmentTask
from rl_runner.training.execution import execute
from rl_runner.training.observers import tensorboard
from rl_runner.training.observers.callbacks import ProgressTicker
from rl_runner.training.observers.episode_log import EpisodeRecordingEnv
from rl_runner.training.reporting import Progress, Reporter, StopRequest
from rl_runner.training.resolve import resolve
from rl_runner.training.task import RunResult
from rl_runner.training.train import train

HER = {
    "learning_starts": 30,
    "batch_size": 16,
    "buffer_size": 500,
    "replay_buffer_class": "HerReplayBuffer",
    "policy_kwargs": {"net_arch": [8]},
}
N_STEP = {"learning_starts": 30, "batch_size": 16, "buffer_size": 500, "n_steps": 3}
SDE = {"n_steps": 20, "batch_size": 20, "use_sde": True, "policy_kwargs": {"net_arch": [8]}}
BOX = {"n_steps": 20, "batch_size": 20, "policy_kwargs": {"net_arch": [8]}}
OU = {"noise": "ornstein_uhlenbeck", "sigma": 0.3}

CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], int]] = {
    **{name: (name, *experiment) for name, experiment in EXPERIMENTS.items()},
    **{
        f"{name} on the stock engine": (name, env, {**written, "engine": "stock"}, total)
        for name, (env, written, total) in EXPERIMENTS.items()
        if ALGORITHMS[name].fast_path
    },
    "ppo with box actions": ("ppo", {"id": "Pendulum-v1", "n_envs": 2}, BOX, 120),
    "her": ("dqn", {"id": "BitFlipping-v0"}, HER, 150),
    "n-step replay": ("dqn", {"id": "CartPole-v1"}, N_STEP, 150),
    "a full replay buffer": ("dqn", {"id": "CartPole-v1"}, {**N_STEP, "buffer_size": 70}, 150),
    "gsde": ("ppo", {"id": "Pendulum-v1"}, SDE, 120),
    "action noise": (
        "td3",
        EXPERIMENTS["td3"][0],
        {**EXPERIMENTS["td3"][1], "action_noise": OU},
        120,
    ),
    "normalised": ("ppo", {"id": "Pendulum-v1", "normalize": True, "n_envs": 2}, SDE, 120),
    "scheduled": (
        "ars",
        EXPERIMENTS["ars"][0],
        {"n_delta": 2, "learning_rate": {"schedule": "linear", "initial": 0.05}},
        200,
    ),
    "gsde off-policy": (
        "sac",
        EXPERIMENTS["sac"][0],
        {**EXPERIMENTS["sac"][1], "use_sde": True},
        120,
    ),
    "action noise of two copies, normalised": (
        "td3",
        {**EXPERIMENTS["td3"][0], "n_envs": 2, "normalize": True},
        {**EXPERIMENTS["td3"][1], "action_noise": OU},
        120,
    ),
    "frames stacked when normalised": (
        "ppo",
        {"id": "Pendulum-v1", "normalize": True, "frame_stack": 2},
        BOX,
        120,
    ),
    "stacked frames in a replay buffer, normalised": (
        "dqn",
        {"id": "CartPole-v1", "normalize": True, "frame_stack": 2},
        N_STEP,
        150,
    ),
    "logging every hundred rollouts": ("a2c", EXPERIMENTS["a2c"][0], {"n_steps": 1}, 250),
    "ucb": ("q_learning", {"id": "Blackjack-v1"}, {"exploration": "ucb"}, 200),
}

# Cases that are stopped twice within a segment: one for each way in which agents learn.
TWICE_IN_A_SEGMENT = {
    "ppo",
    "ppo on the stock engine",
    "dqn",
    "dqn on the stock engine",
    "her",
    "q_learning",
    "q_learning on the stock engine",
    "reinforce",
    "sac",
    "normalised",
}


def experiment(case: str) -> ExperimentConfig:
    """Two segments, each of several rollouts."""
    algo, env, hyperparameters, segment = CASES[case]
    if algo in LONG_ROLLOUTS:
        segment = 500
    return config_from_dict(
        {
            "env": env,
            "algo": {"name": algo, **hyperparameters},
            "train": {"total_timesteps": 2 * segment, "seeds": [0]},
            "eval": {"every": segment // 2, "n_episodes": 2, "final_episodes": 3},
            "checkpoint": {"every": segment},
        }
    )


@pytest.fixture(autouse=True)
def _short_strides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let compiled Q-learning, too, come to many points where it can be stopped."""
    monkeypatch.setattr(fast_q_learning, "AT_ONCE", 20)
    monkeypatch.setattr(ProgressTicker, "SECONDS", 0.0)


@pytest.fixture(autouse=True)
def _quick_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin each event file in a second of its own, for which a run would have to wait."""
    seconds = itertools.count(int(time.time()))
    clock = SimpleNamespace(**{**vars(time), "time": lambda: float(next(seconds))})
    monkeypatch.setattr(tensorboard, "time", clock)
    monkeypatch.setattr(event_file_writer, "time", clock)


class Stopper(Reporter):
    """Asks a run to stop when it has come so far."""

    def __init__(self, timesteps: float) -> None:
        self.timesteps = timesteps
        self.stop = StopRequest()
        self.notes: list[str] = []

    def run_progress(self, progress: Progress) -> None:
        if progress.timesteps >= self.timesteps:
            self.stop.set()

    def note(self, text: str) -> None:
        self.notes.append(text)


def stop_at(timesteps: float, config: ExperimentConfig, path: Path) -> RunResult:
    stopper = Stopper(timesteps)
    return execute(EnvironmentTask(resolve(config).config, 0, path), stopper, stopper.stop)


def break_off_at(timestep: int, monkeypatch: pytest.MonkeyPatch) -> None:
    step_wait, record_unseen = EpisodeRecordingEnv.step_wait, EpisodeRecordingEnv.record_unseen

    def break_off() -> None:
        monkeypatch.setattr(EpisodeRecordingEnv, "step_wait", step_wait)
        monkeypatch.setattr(EpisodeRecordingEnv, "record_unseen", record_unseen)
        raise KeyboardInterrupt

    def step_until(self: EpisodeRecordingEnv) -> Any:
        if self._timestep >= timestep:
            break_off()
        return step_wait(self)

    def record_until(self: EpisodeRecordingEnv, episodes: Any) -> None:
        recorded = list(episodes)
        if recorded and recorded[-1][0] >= timestep:
            break_off()
        record_unseen(self, recorded)

    monkeypatch.setattr(EpisodeRecordingEnv, "step_wait", step_until)
    monkeypatch.setattr(EpisodeRecordingEnv, "record_unseen", record_until)


def folder_of(config: ExperimentConfig, path: Path) -> RunFolder:
    return RunFolder(path, ALGORITHMS[config.algo.name].weights_file)


def run_whole_and_in_pieces(
    config: ExperimentConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shares: tuple[float, ...] = (0.1, 1.1, 1.2),
) -> tuple[RunResult, RunResult]:
    """Train once whole, and once stopped at these shares of a segment and killed after each."""
    (whole,) = train(config, runs_dir=tmp_path / "whole").runs
    assert whole.status == "finished", whole.record.traceback
    broken = tmp_path / "broken" / whole.path.parent.name
    segment = config.checkpoint.every or 0
    for share in shares:
        stopped = stop_at(share * segment, config, broken)
        assert stopped.status == "interrupted", stopped.record.traceback
        if share < 1:  # later stops may meet the end of a segment, or the way back into one
            (_,) = broken.glob("seed-0/checkpoints/exit-*")
        break_off_at(int((share + 0.6) * segment), monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            train(config, runs_dir=tmp_path / "broken")
    (resumed,) = train(config, runs_dir=tmp_path / "broken").runs
    assert resumed.status == "finished", resumed.record.traceback
    return whole, resumed


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_run_stopped_and_killed_repeatedly_equals_an_undisturbed_one(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = experiment(case)
    shares = (0.1, 1.1, 1.2) if case in TWICE_IN_A_SEGMENT else (0.1, 1.1)
    whole, resumed = run_whole_and_in_pieces(config, tmp_path, monkeypatch, shares)
    assert resumed.record.results == whole.record.results
    assert differences(folder_of(config, whole.path), folder_of(config, resumed.path)) == []


@pytest.mark.parametrize(
    ("algo", "callback", "engine"),
    [
        ("ppo", "own_callbacks:Nudge", "fast"),
        ("ppo", "own_callbacks:Rewards", "stock"),
        ("dqn", {"name": "own_callbacks.Nudge", "kwargs": {"every": 5, "window": [4]}}, "fast"),
        ("td3", "own_callbacks:Nudge", "stock"),
        ("q_learning", "own_callbacks:Rewards", "stock"),
        ("ppo", {"name": "own_callbacks:Enough", "kwargs": {"calls": 110}}, "fast"),
    ],
)
def test_a_run_with_a_callback_of_the_users_own_resumes_exactly_on_either_engine(
    algo: str, callback: Any, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    raw = experiment(algo).to_dict()
    config = config_from_dict({**raw, "callbacks": [callback]})
    assert resolve(config).config.algo.engine == engine
    whole, resumed = run_whole_and_in_pieces(config, tmp_path, monkeypatch)
    assert resumed.record.results == whole.record.results
    assert differences(folder_of(config, whole.path), folder_of(config, resumed.path)) == []
    assert (whole.record.timesteps < config.train.total_timesteps) == ("Enough" in str(callback))


def test_every_algorithm_is_among_the_cases():
    assert ALGORITHMS.keys() <= CASES.keys()
    assert CASES.keys() >= TWICE_IN_A_SEGMENT


def test_another_seed_gives_another_result(tmp_path: Path):
    config = experiment("ppo")
    first, second = train(config, runs_dir=tmp_path, seeds=[0, 1]).runs
    found = differences(folder_of(config, first.path), folder_of(config, second.path))
    assert any("weights" in difference for difference in found)
    assert "training episodes" in found
    assert any("evaluations" in difference for difference in found)
    assert any("TensorBoard" in difference for difference in found)


def test_a_run_never_reads_back_the_replay_buffer_that_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    read: list[Path] = []
    monkeypatch.setattr(state, "_fill_buffer", lambda _, path: read.append(path))
    config = experiment("dqn")
    (run,) = train(config, runs_dir=tmp_path).runs
    assert run.status == "finished", run.record.traceback
    assert run.record.timesteps > 2 * (config.checkpoint.every or 0)  # several segments
    assert read == []


def test_without_the_replay_buffer_an_interrupted_run_resumes_with_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = experiment("dqn")
    checkpoint = config.checkpoint.model_copy(update={"replay_buffer": False})
    config = config.model_copy(update={"checkpoint": checkpoint})
    break_off_at(200, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(config, runs_dir=tmp_path)
    (resumed,) = train(config, runs_dir=tmp_path).runs
    assert resumed.status == "finished"
    assert not list(resumed.path.glob("checkpoints/*/replay_buffer.npz"))


def test_extending_continues_from_the_end(tmp_path: Path):
    config = experiment("q_learning")
    (short,) = train(config, runs_dir=tmp_path).runs
    longer = config.model_copy(
        update={"train": config.train.model_copy(update={"total_timesteps": 900})}
    )
    (extended,) = train(longer, runs_dir=tmp_path, extend=True).runs
    assert extended.path != short.path
    assert extended.record.timesteps >= 900
    before = (short.path / "episodes.csv").read_text(encoding="utf-8")
    after = (extended.path / "episodes.csv").read_text(encoding="utf-8")
    assert after.startswith(before)
    assert len(after) > len(before)
