"""An agent that has diverged is neither saved nor loaded, whatever its algorithm."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rl_runner.agents.build import build_agent
from rl_runner.agents.hyperparameters.constructor import check_hyperparameters
from rl_runner.agents.parameters import named_parameters, parameter_not_finite
from rl_runner.agents.protocol import Agent
from rl_runner.agents.registry import ALGORITHMS, find_algorithm
from rl_runner.agents.saving import load_agent, save_agent
from rl_runner.config import EnvConfig
from rl_runner.config.source import SourceMap
from rl_runner.envs import build_env
from rl_runner.errors import CheckpointError

CONTINUOUS = {"ddpg", "sac", "td3", "tqc", "crossq"}


def agent_of(name: str) -> Agent:
    algorithm = find_algorithm(name)
    env_id = "FrozenLake-v1" if name == "q_learning" else "CartPole-v1"
    env_id = "Pendulum-v1" if name in CONTINUOUS else env_id
    policy = {} if name in {"q_learning", "reinforce"} else {"policy": "MlpPolicy"}
    policy = {"policy": "MlpLstmPolicy"} if name == "recurrent_ppo" else policy
    env = build_env(EnvConfig(id=env_id, vec="dummy"), [0])
    return build_agent(algorithm, check_hyperparameters(algorithm, policy, SourceMap("")), env, 0)


@pytest.mark.parametrize("name", sorted(set(ALGORITHMS) - {"maskable_ppo"}))
def test_one_nan_is_found_and_refused(name: str, tmp_path: Path) -> None:
    agent = agent_of(name)
    assert parameter_not_finite(agent) is None
    values = [
        values
        for _, values in named_parameters(agent)
        if not isinstance(values, np.ndarray) or values.dtype.kind == "f"
    ]
    assert values
    with torch.no_grad():
        next(part for part in values if len(part.reshape(-1))).reshape(-1)[0] = float("nan")
    with pytest.raises(FloatingPointError, match="no longer finite"):
        save_agent(agent, tmp_path, find_algorithm(name).weights_file)
    assert not list(tmp_path.iterdir())


def test_a_saved_agent_without_finite_parameters_is_not_loaded(tmp_path: Path) -> None:
    agent = agent_of("q_learning")
    save_agent(agent, tmp_path, "weights.npz")
    agent.q_table[0, 0] = np.nan  # type: ignore[attr-defined]
    agent.save(str(tmp_path / "weights.npz"))
    with pytest.raises(CheckpointError, match="q_table"):
        load_agent(agent_of("q_learning"), tmp_path, "weights.npz")
