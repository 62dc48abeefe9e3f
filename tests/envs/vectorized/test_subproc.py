import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ENVIRONMENT = """
import time

import gymnasium as gym


class Stopwatch(gym.Env):
    observation_space = action_space = gym.spaces.Discrete(2)

    def __init__(self):
        self.seconds = time.process_time()

    def reset(self, *, seed=None, options=None):
        return 0, {}


gym.register("Stopwatch-v0", entry_point=Stopwatch, max_episode_steps=5)
"""
PROGRAM = """
import json

from rl_runner.config import EnvConfig
from rl_runner.envs import build_env

if __name__ == "__main__":
    config = EnvConfig(id="stopwatch:Stopwatch-v0", n_envs=2, vec="subproc")
    env = build_env(config, [0, 1], training=True)
    print(json.dumps(env.get_attr("seconds")))
    env.close()
"""


@pytest.mark.slow
def test_a_copy_does_not_load_torch_by_itself(tmp_path: Path):
    (tmp_path / "stopwatch.py").write_text(ENVIRONMENT, encoding="utf-8")
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    outcome = subprocess.run(
        [sys.executable, tmp_path / "program.py"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = json.loads(outcome.stdout)  # of processor time until the environment is made
    assert len(seconds) == 2
    assert max(seconds) < 0.5, seconds
