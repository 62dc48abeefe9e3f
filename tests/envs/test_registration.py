import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import HerReplayBuffer

from rl_runner.config import EnvConfig, config_from_dict
from rl_runner.envs import build_env, register_environments
from rl_runner.evaluation.play.loaded_run import load_run
from rl_runner.training.train import train


def test_registering_again_changes_nothing() -> None:
    before = gym.spec("BitFlipping-v0")
    register_environments()
    assert gym.spec("BitFlipping-v0") is before


@pytest.mark.parametrize("env_id", ["BitFlipping-v0", "rl_runner:BitFlipping-v0"])
def test_our_environment_is_made_by_its_bare_and_by_its_full_name(env_id: str) -> None:
    env = gym.make(env_id)
    assert env.action_space == gym.spaces.Discrete(10)
    assert env.spec is not None
    assert (env.spec.max_episode_steps, env.spec.reward_threshold) == (10, -5.0)


@pytest.mark.parametrize("env_id", ["BitFlipping-v0", "rl_runner:BitFlipping-v0"])
def test_a_config_may_name_it_either_way(env_id: str) -> None:
    env = build_env(EnvConfig.model_validate({"id": env_id}), [0])
    obs = env.reset()
    assert {key: part.shape for key, part in obs.items()} == {
        "achieved_goal": (1, 10),
        "desired_goal": (1, 10),
        "observation": (1, 10),
    }
    env.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "program",
    [
        "import gymnasium; gymnasium.make('rl_runner:BitFlipping-v0')",
        "import rl_runner.envs, gymnasium; gymnasium.make('rl_runner:BitFlipping-v0')",
        "import rl_runner, gymnasium; gymnasium.make('rl_runner.envs:BitFlipping-v0')",
    ],
)
def test_gymnasium_finds_it_in_a_fresh_interpreter(program: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-500:]


def test_flipping_every_wrong_bit_succeeds() -> None:
    env = gym.make("BitFlipping-v0")
    obs, _ = env.reset(seed=3)
    wrong = np.flatnonzero(obs["achieved_goal"] != obs["desired_goal"])
    assert len(wrong) >= 1
    steps = [env.step(int(bit)) for bit in wrong]
    _, reward, terminated, _, info = steps[-1]
    assert (reward, terminated, bool(info["is_success"])) == (0.0, True, True)
    assert all(step[1:3] == (-1.0, False) for step in steps[:-1])


def test_hindsight_replay_learns_to_flip_bits(tmp_path: Path) -> None:
    config = config_from_dict(
        {
            "env": {
                "id": "BitFlipping-v0",
                "kwargs": {"n_bits": 4, "max_steps": 4},
                "time_limit": 4,
            },
            "algo": {
                "name": "dqn",
                "replay_buffer_class": "HerReplayBuffer",
                "replay_buffer_kwargs": {"n_sampled_goal": 4, "goal_selection_strategy": "future"},
                "learning_rate": 1e-2,
                "learning_starts": 50,
                "buffer_size": 5000,
                "batch_size": 64,
                "train_freq": 4,
                "target_update_interval": 50,
                "exploration_fraction": 0.5,
                "gamma": 0.9,
                "policy_kwargs": {"net_arch": [32]},
            },
            "train": {"total_timesteps": 1000, "seeds": [0]},
            "eval": {"every": 1000, "n_episodes": 2, "final_episodes": 50},
        }
    )
    (result,) = train(config, runs_dir=tmp_path).runs
    assert result.status == "finished", result.record.traceback
    run = load_run(result.path)
    assert run.config.algo.hyperparameters["policy"] == "MultiInputPolicy"
    assert isinstance(run.agent.replay_buffer, HerReplayBuffer)
    assert result.record.last.success_rate >= 0.9
