import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from rl_runner.envs.vectorized import subproc
from rl_runner.envs.vectorized.subproc import Float32SubprocVecEnv
from rl_runner.errors import EnvError

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


# --- copies that fail -----------------------------------------------------------------------------


def cannot_load() -> None:
    message = "it lives in one process only"
    raise RuntimeError(message)


class Unloadable:
    """Can be pickled, but not unpickled."""

    def __reduce__(self) -> Any:
        return cannot_load, ()


class Fragile(gym.Env[Any, Any]):
    """Does at its second step what its last action says."""

    observation_space = gym.spaces.Box(0, 1, (100_000,), np.float32)  # more than a pipe holds
    action_space = gym.spaces.Discrete(6)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed, options=options)
        return np.zeros(100_000, np.float32), {}

    def step(self, action: Any) -> Any:
        if action == 1:
            message = "the gripper came off"
            raise RuntimeError(message)
        if action == 2:
            os._exit(7)
        if action == 3:
            time.sleep(100_000)
        info = {4: {"lock": threading.Lock(), "fine": 1}, 5: {"map": Unloadable()}}.get(action, {})
        return np.zeros(100_000, np.float32), 1, False, False, info


@pytest.fixture
def fragile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Float32SubprocVecEnv]:
    """Three copies, which leave no process behind, whatever has happened to them."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setattr(subproc, "CLOSE_SECONDS", 1.0)
    env = Float32SubprocVecEnv([Fragile] * 3)
    env.reset()
    yield env
    env.close()
    assert not any(process.is_alive() for process in env.processes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (1, "RuntimeError: the gripper came off"),
        (2, "copy 1 ended with exit code 7"),
        (4, r"`info\['lock'\]` of type lock.*cannot pickle '_thread.lock' object"),
        (5, "What copy 1 returned cannot be read by .*: it lives in one process only"),
    ],
)
@pytest.mark.parametrize("other", [0, 3])
def test_a_copy_that_fails_says_why_and_the_others_are_closed(
    fragile: Float32SubprocVecEnv, action: int, expected: str, other: int
):
    _, rewards, _, _ = fragile.step(np.array([0, 0, 0]))
    assert rewards.dtype == np.float32
    with pytest.raises(EnvError, match=expected) as caught:  # the last copy may hang meanwhile
        fragile.step(np.array([0, action, other]))
    if action == 1:
        assert "in step" in caught.value.__notes__[0]
    if action in {4, 5}:
        assert "env.vec: dummy" in caught.value.problems[0].cure
    fragile.close()


@pytest.mark.slow
def test_copies_that_hang_are_ended(fragile: Float32SubprocVecEnv):
    fragile.step_async(np.array([3, 3, 0]))
    fragile.close()
    assert not any(process.is_alive() for process in fragile.processes)


def test_a_copy_that_cannot_be_built_says_why():
    def make() -> Any:
        message = "no licence"
        raise RuntimeError(message)

    with pytest.raises(EnvError, match="RuntimeError: no licence"):
        Float32SubprocVecEnv([make, make])
