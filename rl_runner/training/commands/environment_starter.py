"""Write an environment to start from, with its tests and a config that trains in it at once."""

import contextlib
import keyword
import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from rl_runner.errors import ConfigError, Problem, RunFolderError
from rl_runner.local_code import is_found

ENVIRONMENT = '''\
"""@CLASS@: find the way to a goal on a line. Replace it with your own task.

`rl check @MODULE@.yaml` examines this environment, `rl train @MODULE@.yaml` trains in it.
"""

from typing import Any

import gymnasium as gym
import numpy as np


class @CLASS@(gym.Env[np.ndarray, int]):
    """A point moves on a line until it reaches the goal.

    Observation: the point's position and the goal's, both from 0 to 1.
    Actions: 0 moves left, 1 moves right.
    Reward: 1 at the goal, and -0.02 for every step on the way.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}

    def __init__(self, length: int = 20, render_mode: str | None = None) -> None:
        # Arguments like `length` are given by `env.kwargs` of the config.
        self.length = length
        self.render_mode = render_mode
        self.observation_space = gym.spaces.Box(0.0, 1.0, shape=(2,), dtype=np.float32)
        self.action_space = gym.spaces.Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode. Draw every random number from `self.np_random`, which this seeds."""
        super().reset(seed=seed)
        self.position, self.goal = map(
            int, self.np_random.choice(self.length + 1, size=2, replace=False)
        )
        return self._observe(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Move. `terminated` says that the task is over; a time limit is not the task's end.

        The time limit belongs in the config, `env.time_limit`: it sets `truncated`.
        """
        move = 1 if action == 1 else -1
        self.position = int(np.clip(self.position + move, 0, self.length))
        terminated = self.position == self.goal
        reward = 1.0 if terminated else -0.02
        return self._observe(), reward, terminated, False, {"is_success": terminated}

    def render(self) -> np.ndarray:
        """Return a picture of height × width × red, green, blue, for `rl record`."""
        picture = np.full((40, 10 * (self.length + 1), 3), 255, np.uint8)
        picture[:, 10 * self.goal : 10 * self.goal + 10] = (60, 160, 60)
        picture[10:30, 10 * self.position : 10 * self.position + 10] = (40, 70, 160)
        return picture

    def _observe(self) -> np.ndarray:
        return np.array([self.position, self.goal], np.float32) / self.length
'''

TESTS = '''\
"""Run these with `pytest`. What they check is what training, resuming and evaluations rely on."""

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

from @MODULE@ import @CLASS@


@pytest.fixture
def env() -> @CLASS@:
    return @CLASS@(render_mode="rgb_array")


def test_it_keeps_to_the_interfaces(env: @CLASS@) -> None:
    check_env(env, skip_render_check=True)
    check_env_for_sb3(env)


def play(env: @CLASS@, seed: int, n_steps: int = 100) -> list[float]:
    """Return all observations and rewards of some random steps."""
    env.action_space.seed(seed)
    observation, _ = env.reset(seed=seed)
    seen = [*observation]
    for _ in range(n_steps):
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        seen += [*observation, reward]
        if terminated or truncated:
            observation, _ = env.reset()
            seen += [*observation]
    return seen


def test_the_same_seed_and_actions_give_the_same_episodes(env: @CLASS@) -> None:
    assert play(env, seed=3) == play(env, seed=3)
    assert play(env, seed=3) == play(@CLASS@(), seed=3)


def test_another_seed_gives_other_episodes(env: @CLASS@) -> None:
    assert play(env, seed=3) != play(env, seed=4)


def test_going_to_the_goal_ends_the_episode_with_the_highest_reward(env: @CLASS@) -> None:
    env.reset(seed=0)
    terminated, reward = False, 0.0
    for _ in range(env.length):
        _, reward, terminated, _, _ = env.step(1 if env.goal > env.position else 0)
        if terminated:
            break
    assert terminated
    assert reward == 1.0


def test_the_picture_changes_with_the_position(env: @CLASS@) -> None:
    env.reset(seed=0)
    before = env.render()
    env.step(1 if env.position < env.length else 0)
    assert before.shape == env.render().shape
    assert not np.array_equal(before, env.render())
'''

CONFIG = """\
# Check it with `rl check @FILE@`, train it with `rl train @FILE@`.
# Then: `rl eval`, `rl record` and `rl report`, each with the folder that `rl train` names.
name: @NAME@

env:
  entry_point: @MODULE@:@CLASS@   # the module, and the class in it
  # kwargs: {length: 30}          # arguments of its constructor
  time_limit: 100                 # steps, after which an episode is truncated
  n_envs: 4                       # copies stepped together

algo:
  name: ppo                       # `rl algos` lists the others
  n_steps: 128
  learning_rate: 1e-3

train:
  total_timesteps: 20_000
  seeds: 5                        # fewer cannot support a claim
"""


def write_environment(file: Path) -> list[Path]:
    """Write ``my_env.py``, ``test_my_env.py`` and ``my_env.yaml``; return their paths.

    :raises ConfigError: if no module can have this name
    :raises RunFolderError: if one of the files exists, or cannot be written; then none of the
        three is left behind
    """
    module = file.stem
    _check_name(file, module)
    parts = [part for part in module.split("_") if part]
    values = {
        "MODULE": module,
        "CLASS": "".join(part[:1].upper() + part[1:] for part in parts),
        "FILE": f"{module}.yaml",
        "NAME": module.replace("_", "-").strip("-").lower(),
    }
    texts = {
        file: ENVIRONMENT,
        file.with_name(f"test_{module}.py"): TESTS,
        file.with_name(f"{module}.yaml"): CONFIG,
    }
    for path in texts:
        if os.path.lexists(path):  # a link that leads nowhere counts as well
            cure = "Choose another name, or remove that file."
            raise RunFolderError(Problem("This file exists already.", str(path), cure))
    _write_all({path: _filled(text, values) for path, text in texts.items()})
    return list(texts)


def _write_all(texts: Mapping[Path, str]) -> None:
    """Write new files and the folders they need; if one cannot be written, remove all of them."""
    with ExitStack() as undo:
        for path, text in texts.items():
            try:
                folders = (path.parent, *path.parent.parents)
                for folder in reversed([each for each in folders if not each.exists()]):
                    folder.mkdir()
                    undo.callback(_remove_if_empty, folder)
                with path.open("x", encoding="utf-8") as file:
                    undo.callback(partial(path.unlink, missing_ok=True))
                    file.write(text)
            except OSError as error:
                what = f"The file cannot be written: {error.strerror}."
                raise RunFolderError(Problem(what, str(path))) from None
        undo.pop_all()  # all are written, so all stay


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _filled(text: str, values: Mapping[str, str]) -> str:
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def _check_name(file: Path, module: str) -> None:
    """Refuse a file that could not be imported, or would hide another module."""
    example = "Name a file such as `my_env.py`."
    if file.suffix != ".py":
        raise ConfigError(Problem(f"`{file}` is not a Python file.", "rl init env", example))
    is_name = module.isidentifier() and module.isascii() and not keyword.iskeyword(module)
    if not is_name or not module.strip("_")[:1].isalpha():
        what = f"`{module}` cannot be the name of a module: use letters, digits and `_`."
        raise ConfigError(Problem(what, "rl init env", example))
    if module in sys.stdlib_module_names or is_found(module):
        what = f"There is a module `{module}` already, which would be imported in its place."
        raise ConfigError(Problem(what, "rl init env", f"Choose another name. {example}"))
