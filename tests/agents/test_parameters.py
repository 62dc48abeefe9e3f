"""An agent that has diverged is neither saved nor loaded, whatever its algorithm."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_experiments import fitting_env

from rl_runner.agents.build import build_agent, choose_policy
from rl_runner.agents.hyperparameters.constructor import check_hyperparameters
from rl_runner.agents.parameters import named_parameters, parameter_not_finite
from rl_runner.agents.protocol import Agent
from rl_runner.agents.registry import ALGORITHMS, find_algorithm
from rl_runner.agents.saving import load_agent, save_agent
from rl_runner.config import EnvConfig
from rl_runner.config.yaml_text import SourceMap
from rl_runner.envs import build_env
from rl_runner.errors import CheckpointError


def agent_of(name: str) -> Agent:
    algorithm = find_algorithm(name)
    env = build_env(EnvConfig(**fitting_env(name), vec="dummy"), [0])
    checked = check_hyperparameters(algorithm, {}, SourceMap(""))
    chosen = choose_policy(algorithm, checked, env.observation_space, SourceMap(""))
    return build_agent(algorithm, chosen, env, 0)


@pytest.mark.parametrize("name", ALGORITHMS)
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
