from collections.abc import Callable
from typing import Any

import pytest
import torch

from rl_runner.config import ExperimentConfig, config_from_dict
from rl_runner.training.resolve import resolve
from rl_runner.tuning import tune as whole_study

torch.set_num_threads(1)

CLIFF: dict[str, Any] = {  # as quick as can be
    "name": "cliff",
    "env": {"id": "CliffWalking-v1", "time_limit": 20},
    "algo": {"name": "q_learning"},
    "train": {"total_timesteps": 120, "seeds": 2},
    "eval": {"every": 40, "n_episodes": 2, "final_episodes": 2},
}
POLE: dict[str, Any] = {
    "name": "pole",
    "env": {"id": "CartPole-v1", "n_envs": 2},
    "algo": {"name": "ppo", "n_steps": 16, "batch_size": 32, "n_epochs": 1},
    "train": {"total_timesteps": 128, "seeds": 1},
    "eval": {"every": 64, "n_episodes": 2, "final_episodes": 2},
}

ConfigOf = Callable[..., ExperimentConfig]


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let studies end without pictures, which take longer than their tiny trials."""
    monkeypatch.setattr(
        whole_study, "write_report", lambda folder, summary: folder.write_summary(summary)
    )


@pytest.fixture
def cliff() -> ConfigOf:
    """Give the tiny tabular experiment with this ``tune`` section."""

    def build(**tune: Any) -> ExperimentConfig:
        return config_from_dict({**CLIFF, "tune": tune})

    return build


@pytest.fixture
def pole() -> ConfigOf:
    """Give a tiny PPO, resolved, with this ``tune`` section."""

    def build(**tune: Any) -> ExperimentConfig:
        return resolve(config_from_dict({**POLE, "tune": tune})).config

    return build
