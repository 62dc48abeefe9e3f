from pathlib import Path
from typing import Any

import pytest

from rl_runner.agents.build import build_agent
from rl_runner.agents.hyperparameters.constructor import check_hyperparameters
from rl_runner.agents.registry import ALGORITHMS
from rl_runner.agents.state import load_state, save_state
from rl_runner.config import EnvConfig
from rl_runner.config.source import SourceMap
from rl_runner.envs import build_env


def build(name: str, stats_window_size: int) -> Any:
    written = {"stats_window_size": stats_window_size}
    if "policy" in ALGORITHMS[name].load_class().__init__.__annotations__:
        written |= {"policy": "MlpPolicy"}
    checked = check_hyperparameters(ALGORITHMS[name], written, SourceMap())
    env = build_env(EnvConfig(id="FrozenLake-v1"), [0])
    return build_agent(ALGORITHMS[name], checked, env, seed=0)


@pytest.mark.parametrize("name", ["q_learning", "reinforce", "a2c"])
def test_the_window_of_recent_episodes_stays_as_long_as_it_was(name: str, tmp_path: Path):
    agent, again = build(name, 7), build(name, 7)
    if agent.ep_info_buffer is None:  # SB3 makes it when it learns for the first time
        agent.learn(10)
    agent.ep_info_buffer.extend({"r": float(i), "l": i, "t": 0.0} for i in range(9))
    save_state(agent, tmp_path, replay_buffer=False)
    load_state(again, tmp_path)
    assert again.ep_info_buffer == agent.ep_info_buffer
    assert again.ep_info_buffer.maxlen == 7
    assert [episode["r"] for episode in again.ep_info_buffer] == [2.0, 3, 4, 5, 6, 7, 8]
