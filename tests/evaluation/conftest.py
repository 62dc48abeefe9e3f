from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rl_runner.training.run as road
from rl_runner import config_from_dict, train
from rl_runner.agents.protocol import Agent
from rl_runner.agents.saving import save_agent
from rl_runner.training.task import RunResult

torch.set_num_threads(1)

CARTPOLE = {"env": {"id": "CartPole-v1"}, "train": {"total_timesteps": 256, "seeds": [3]}}
PENDULUM = {
    "env": {"id": "Pendulum-v1", "time_limit": 20},
    "train": {"total_timesteps": 60, "seeds": [3]},
}
LAKE = {"env": {"id": "FrozenLake-v1"}, "train": {"total_timesteps": 300, "seeds": [3]}}
SMALL_NET = {"net_arch": [8]}
PPO = {"name": "ppo", "n_steps": 64, "batch_size": 64, "learning_rate": 0.05}
PPO |= {"policy_kwargs": SMALL_NET}
SAC = {"name": "sac", "learning_starts": 20, "learning_rate": 0.01, "policy_kwargs": SMALL_NET}

EXPERIMENTS: dict[str, dict[str, Any]] = {
    "ppo": {**CARTPOLE, "algo": PPO},
    "ars": {**CARTPOLE, "algo": {"name": "ars", "policy": "LinearPolicy", "n_delta": 2}},
    "sac": {**PENDULUM, "algo": SAC},
    "reinforce": {
        **CARTPOLE,
        "algo": {"name": "reinforce", "n_episodes": 2, "learning_rate": 0.05},
    },
    "q_learning": {**LAKE, "algo": {"name": "q_learning", "initial_q": 0.5}},
    "normalized": {
        "env": {**PENDULUM["env"], "normalize": True, "n_envs": 2},  # type: ignore[dict-item]
        "train": {"total_timesteps": 256, "seeds": [3]},
        "algo": PPO,
    },
    "gsde": {
        **PENDULUM,
        "algo": {**SAC, "use_sde": True},
        "eval": {"deterministic": False, "n_episodes": 2, "final_episodes": 5},
    },
    "stochastic": {
        **CARTPOLE,
        "algo": PPO,
        "eval": {"deterministic": False, "n_episodes": 2, "final_episodes": 5},
    },
}


@dataclass(frozen=True)
class Trained:
    """A finished run, and what its agent did just before it was saved."""

    run: RunResult
    observations: np.ndarray
    actions: np.ndarray

    @property
    def path(self) -> Path:
        return self.run.path

    @property
    def results(self) -> dict[str, Any]:
        results: dict[str, Any] = self.run.record.to_json()["results"]
        return results


def _train(name: str, runs_dir: Path) -> Trained:
    seen: dict[str, np.ndarray] = {}

    def watch(agent: Agent, folder: Path, weights_file: str) -> None:
        env = agent.get_env()
        assert env is not None
        space = env.observation_space
        space.seed(0)
        seen["observations"] = np.stack([np.asarray(space.sample()) for _ in range(200)])
        seen["actions"], _ = agent.predict(seen["observations"], deterministic=True)
        save_agent(agent, folder, weights_file)

    raw = {"eval": {"n_episodes": 2, "final_episodes": 5}, **EXPERIMENTS[name], "name": name}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(road, "save_agent", watch)
        (run,) = train(config_from_dict(raw), runs_dir=runs_dir).runs
    assert run.status == "finished", run.record.traceback
    return Trained(run, seen["observations"], seen["actions"])


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trained]:
    """Give a tiny finished run by name; each is trained once, when it is first asked for."""
    runs_dir = tmp_path_factory.mktemp("runs")
    finished: dict[str, Trained] = {}

    def get(name: str) -> Trained:
        if name not in finished:
            finished[name] = _train(name, runs_dir)
        return finished[name]

    return get
