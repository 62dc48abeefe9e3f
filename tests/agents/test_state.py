import json
from pathlib import Path
from typing import Any

import pytest
from small_experiments import EXPERIMENTS

from rl_runner.agents.build import build_agent
from rl_runner.agents.hyperparameters.constructor import check_hyperparameters
from rl_runner.agents.registry import ALGORITHMS
from rl_runner.agents.state import load_numbers, load_state, save_numbers, save_state
from rl_runner.config import EnvConfig, config_from_dict
from rl_runner.config.yaml_text import SourceMap
from rl_runner.envs import build_env
from rl_runner.training.resolve import build_config_agent, resolve


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


NO_NUMBERS: list[Any] = ["x", None, [1], {}]
NAMES_OF_OTHERS = ["predict", "learn", "__class__", "__dict__", "policy", "env", "no_such_name"]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_only_an_agents_own_numbers_are_loaded(name: str, tmp_path: Path):
    env, algo, timesteps = EXPERIMENTS[name]
    raw = {"env": env, "algo": {"name": name, **algo}, "train": {"total_timesteps": timesteps}}
    config = resolve(config_from_dict(raw)).config
    agent = build_config_agent(config, build_env(config.env, range(config.env.n_envs)), seed=0)
    save_numbers(agent, tmp_path)
    file = tmp_path / "agent.json"
    saved = json.loads(file.read_text(encoding="utf-8"))
    assert "num_timesteps" in saved
    before, kind = dict(vars(agent)), type(agent)

    changes = [(own, value) for own in saved for value in NO_NUMBERS]
    changes += [(other, 1) for other in NAMES_OF_OTHERS]
    for changed, value in changes:
        file.write_text(json.dumps({**saved, changed: value}), encoding="utf-8")
        with pytest.raises(ValueError, match=f"`{changed}` is not "):
            load_numbers(agent, tmp_path)
        assert vars(agent) == before
        assert type(agent) is kind

    file.write_text(json.dumps({**saved, "num_timesteps": 12}), encoding="utf-8")
    load_numbers(agent, tmp_path)
    assert agent.num_timesteps == 12
