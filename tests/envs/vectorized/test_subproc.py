import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ENVIRONMENT = """
import sys

import gymnasium as gym


class LoadedTorch(gym.Env):
    observation_space = action_space = gym.spaces.Discrete(2)

    def __init__(self):
        self.address = id(sys.modules["torch"])

    def reset(self, *, seed=None, options=None):
        return 0, {}


gym.register("LoadedTorch-v0", entry_point=LoadedTorch, max_episode_steps=5)
"""
PROGRAM = """
import json

from rl_runner.config import EnvConfig
from rl_runner.envs import build_env

if __name__ == "__main__":
    config = EnvConfig(id="loaded_torch:LoadedTorch-v0", n_envs=2, vec="subproc")
    env = build_env(config, [0, 1], training=True)
    print(json.dumps(env.get_attr("address")))
    env.close()
"""


@pytest.mark.slow
def test_all_copies_are_forked_from_one_process_that_has_loaded_torch(tmp_path: Path):
    (tmp_path / "loaded_torch.py").write_text(ENVIRONMENT, encoding="utf-8")
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    outcome = subprocess.run(
        [sys.executable, tmp_path / "program.py"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    addresses = json.loads(outcome.stdout)
    assert len(addresses) == 2
    # A forked process has its parent's objects; one that loads torch itself puts it elsewhere.
    assert len(set(addresses)) == 1
