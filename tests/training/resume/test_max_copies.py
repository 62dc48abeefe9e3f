"""An environment of which only a few copies can be open at a time trains to the same numbers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from rl_runner import config_from_dict, train
from rl_runner.errors import ConfigError
from rl_runner.evaluation.play.loaded_run import evaluate


class Exclusive(gym.Env[Any, Any]):
    """A noisy walk; at most ``most`` copies may be open at a time in this process."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = spaces.Discrete(2)
    n_open: ClassVar[int] = 0

    def __init__(self, most: int = 100) -> None:
        if Exclusive.n_open >= most:
            message = f"only {most} can be open"
            raise RuntimeError(message)
        Exclusive.n_open += 1
        self.is_open = True

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed, options=options)
        self.x = self.np_random.normal(size=2)
        return self.x.astype(np.float32), {}

    def step(self, action: int) -> Any:
        self.x += self.np_random.normal(size=2) + (2 * int(action) - 1)
        ended = bool(np.abs(self.x).max() > 6)
        return self.x.astype(np.float32), float(-np.abs(self.x[0])), ended, False, {}

    def close(self) -> None:
        if self.is_open:
            Exclusive.n_open -= 1
        self.is_open = False


gym.register("ExclusiveTest-v0", entry_point=Exclusive, max_episode_steps=30)

ALGORITHMS: dict[str, dict[str, Any]] = {
    "ppo": {"name": "ppo", "n_steps": 32, "batch_size": 32, "n_epochs": 2},
    "dqn": {"name": "dqn", "learning_starts": 32, "batch_size": 16, "train_freq": 4},
}


def run_of(folder: Path, algo: str, **env: Any) -> Path:
    raw = {
        "name": "exclusive",
        "env": {"id": "ExclusiveTest-v0", **env},
        "algo": ALGORITHMS[algo],
        "train": {"total_timesteps": 320, "seeds": [0]},
        "eval": {"every": 50, "n_episodes": 5, "final_episodes": 6},
        "checkpoint": {"every": 130},
    }
    (run,) = train(config_from_dict(raw), runs_dir=folder).runs
    assert run.status == "finished", run.record.traceback
    return run.path


@pytest.mark.parametrize(
    ("algo", "env"),
    [
        ("ppo", {}),
        ("ppo", {"n_envs": 2, "normalize": True}),
        ("ppo", {"frame_stack": 2, "normalize": True}),
        ("dqn", {}),
    ],
)
@pytest.mark.parametrize("more", [0, 1])
def test_a_limit_changes_no_number(
    algo: str,
    env: dict[str, Any],
    more: int,
    tmp_path: Path,
    same_numbers: Callable[[Path, Path], None],
) -> None:
    Exclusive.n_open = 0
    free = run_of(tmp_path / "free", algo, **env)
    assert Exclusive.n_open == 0
    most = env.get("n_envs", 1) + more
    limited = run_of(tmp_path / "few", algo, kwargs={"most": most}, max_copies=most, **env)
    same_numbers(free, limited)
    first = evaluate(free, 4)
    Exclusive.n_open = 0
    np.testing.assert_array_equal(first.returns, evaluate(limited, 4).returns)


def test_fewer_copies_than_training_needs_are_refused() -> None:
    with pytest.raises(ConfigError, match="less than `n_envs: 2`"):
        config_from_dict(
            {
                "name": "few",
                "env": {"id": "CartPole-v1", "n_envs": 2, "max_copies": 1},
                "algo": {"name": "ppo"},
                "train": {"total_timesteps": 10},
            }
        )
