"""An agent that follows CONTRIBUTING.md resumes exactly; one that does not is found out."""

from pathlib import Path

import pytest
from stable_baselines3.common.vec_env import DummyVecEnv
from test_resume import folder_of, run_whole_and_in_pieces
from tiny_envs import Corridor

from rl_runner.agents.handwritten import HandwrittenAgent
from rl_runner.agents.registry import ALGORITHMS, Algorithm
from rl_runner.config import ExperimentConfig, config_from_dict
from rl_runner.evaluation.reproduction import differences
from rl_runner.training.observers.callbacks import ProgressTicker
from rl_runner.training.train import train


@pytest.fixture
def experiment(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> ExperimentConfig:
    """Register a class of sarsa.py and return a config of two segments of it."""
    monkeypatch.setattr(ProgressTicker, "SECONDS", 0.0)
    row = Algorithm(
        "sarsa",
        f"sarsa:{request.param}",
        "Rummery & Niranjan 1994",
        weights_file="sarsa.npz",
        optimizer=False,
    )
    monkeypatch.setitem(ALGORITHMS, "sarsa", row)
    return config_from_dict(
        {
            "env": {"id": "CliffWalking-v1", "time_limit": 30, "n_envs": 2},
            "algo": {"name": "sarsa"},
            "train": {"total_timesteps": 600, "seeds": [0]},
            "eval": {"every": 150, "n_episodes": 2, "final_episodes": 3},
            "checkpoint": {"every": 300},
        }
    )


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["Sarsa"], indirect=True)
def test_an_agent_written_by_the_contract_resumes_exactly(
    experiment: ExperimentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole, resumed = run_whole_and_in_pieces(experiment, tmp_path, monkeypatch)
    assert resumed.record.results == whole.record.results
    assert differences(folder_of(experiment, whole.path), folder_of(experiment, resumed.path)) == []


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["ForgetfulSarsa"], indirect=True)
def test_an_agent_that_keeps_open_episodes_elsewhere_does_not(
    experiment: ExperimentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole, resumed = run_whole_and_in_pieces(experiment, tmp_path, monkeypatch)
    assert differences(folder_of(experiment, whole.path), folder_of(experiment, resumed.path))


def test_an_agent_without_one_of_the_four_methods_cannot_be_built():
    class Unfinished(HandwrittenAgent):
        """Has none of them."""

    with pytest.raises(TypeError, match=r"learn.*load_parameters.*predict.*save"):
        Unfinished(DummyVecEnv([Corridor]), 100)  # type: ignore[abstract]


@pytest.mark.parametrize("experiment", ["HastySarsa"], indirect=True)
def test_an_agent_that_returns_too_early_fails_with_the_place_of_the_contract(
    experiment: ExperimentConfig, tmp_path: Path
):
    (run,) = train(experiment, runs_dir=tmp_path).runs
    assert run.status == "failed"
    error = str(run.record.error)
    assert "HastySarsa.learn returned after" in error
    assert "rl_runner/agents/protocol.py" in error
