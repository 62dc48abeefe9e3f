import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import twins
from stable_baselines3 import PPO, SAC

from rl_runner import Reporter, config_from_dict, train
from rl_runner.agents.build import choose_engine, reason_against_fast
from rl_runner.agents.fast.reasons import REASONS
from rl_runner.agents.registry import ALGORITHMS
from rl_runner.errors import ConfigError
from rl_runner.startup import THREAD_VARIABLES
from rl_runner.training.resolve import build_config_agent, resolve

SDE = {"use_sde": True}


def ppo(**keywords: Any) -> PPO:
    return PPO("MlpPolicy", twins.world("box", "box"), device="cpu", **keywords)


def test_auto_takes_the_twin_where_it_does_the_same():
    assert choose_engine(ALGORITHMS["ppo"], "auto", ppo(), "") == "fast"
    assert choose_engine(ALGORITHMS["ppo"], "auto", ppo(**SDE), "") == "stock"
    assert choose_engine(ALGORITHMS["ppo"], "stock", ppo(), "") == "stock"


def test_the_twin_can_be_insisted_on():
    assert choose_engine(ALGORITHMS["ppo"], "fast", ppo(), "") == "fast"
    with pytest.raises(ConfigError) as caught:
        choose_engine(ALGORITHMS["ppo"], "fast", ppo(**SDE), "x.yaml:3, key `algo.engine`")
    (problem,) = caught.value.problems
    reason = "ppo's compiled twin does not support Box actions with gSDE"
    assert problem.what == f"`engine: fast` is not available: {reason}."
    assert problem.where == "x.yaml:3, key `algo.engine`"
    assert problem.cure == "Set `engine: auto`, which takes the stock engine."


def test_an_algorithm_without_a_twin_says_so():
    agent = SAC("MlpPolicy", twins.world("box", "box"), buffer_size=10, device="cpu")
    assert reason_against_fast(ALGORITHMS["sac"], agent) == "sac has no compiled twin"


def test_every_twin_has_its_reasons():
    assert REASONS.keys() == {name for name, row in ALGORITHMS.items() if row.fast_path}


@pytest.mark.parametrize("name", REASONS)
def test_a_resolved_config_says_which_engine_it_is(name: str):
    env = {"id": "FrozenLake-v1" if name == "q_learning" else "CartPole-v1"}
    raw = {"env": env, "algo": {"name": name}, "train": {"total_timesteps": 200_000}}
    resolved = resolve(config_from_dict(raw)).config
    assert resolved.algo.engine == "fast"
    assert resolve(resolved).config == resolved
    raw["algo"] = {"name": name, "engine": "stock"}
    stock = resolve(config_from_dict(raw)).config
    assert stock.algo.engine == "stock"
    for config, agent_class in (
        (resolved, ALGORITHMS[name].load_fast_class()),
        (stock, ALGORITHMS[name].load_class()),
    ):
        from rl_runner.envs import build_env

        agent = build_config_agent(config, build_env(config.env, [0]), 0)
        assert type(agent) is agent_class


class Notes(Reporter):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.mark.parametrize(
    ("written", "engine", "notes"),
    [
        ({}, "fast", []),
        ({"engine": "stock"}, "stock", []),
        (
            {"policy_kwargs": {"activation_fn": "ELU"}},
            "stock",
            ["Trained by the stock engine: ppo's compiled twin does not support the layer ELU."],
        ),
    ],
)
def test_the_record_and_the_log_say_which_engine_it_was(
    written: dict[str, Any], engine: str, notes: list[str], tmp_path: Path
):
    raw = {
        "env": {"id": "CartPole-v1"},
        "algo": {"name": "ppo", "n_steps": 8, "batch_size": 8, **written},
        "train": {"total_timesteps": 8, "seeds": [0]},
        "eval": {"n_episodes": 1, "final_episodes": 1},
    }
    reporter = Notes()
    (run,) = train(config_from_dict(raw), runs_dir=tmp_path, reporter=reporter).runs
    assert run.record.engine == engine
    assert reporter.notes == notes


THREADS = """
import hashlib
from rl_runner.agents.fast.off_policy import FastDQN
from rl_runner.config import EnvConfig
from rl_runner.envs import build_env

env = build_env(EnvConfig(id="CartPole-v1"), [0])
agent = FastDQN("MlpPolicy", env, seed=0, device="cpu", learning_starts=100, batch_size=64,
                policy_kwargs={"net_arch": [256, 256]})
agent.learn(180)
weights = b"".join(value.numpy().tobytes() for value in agent.policy.state_dict().values())
print(hashlib.sha256(weights).hexdigest())
"""


@pytest.mark.slow
def test_results_do_not_depend_on_the_number_of_threads():
    hashes = set()
    for n in ("1", "2"):
        variables = dict.fromkeys(THREAD_VARIABLES, n)
        done = subprocess.run(
            [sys.executable, "-c", THREADS],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        hashes.add(done.stdout)
    assert len(hashes) == 1
