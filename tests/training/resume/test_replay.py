from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv

from rl_runner.arrays import load_arrays, save_arrays
from rl_runner.config import EnvConfig
from rl_runner.envs import build_env
from rl_runner.training.observers.episode_log import EpisodeLog
from rl_runner.training.resume import env_history
from rl_runner.training.resume.env_history import EnvHistory, Otherwise


def never(t: int) -> None:
    assert t >= 0


def pendulums(seeds: list[int]) -> EpisodeLog:
    config = EnvConfig(id="Pendulum-v1", time_limit=5, vec="dummy")
    return EpisodeLog(build_env(config, seeds), lambda _: None)


def told(env: EpisodeLog, n_steps: int) -> Any:
    """Step with numbers of two types and reset in between."""
    rng = np.random.default_rng(0)
    obs = env.reset()
    for t in range(n_steps):
        if t == 4:
            obs = env.reset()
        actions = rng.uniform(-2, 2, (2, 1)).astype(np.float32 if t % 5 else np.float64)
        obs = env.step(actions)[0]
    return obs


@pytest.mark.parametrize("n_steps", [0, 1, 7, 17])
def test_another_environment_told_the_same_is_where_this_one_was(
    tmp_path: Path, n_steps: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(env_history, "CHUNK", 4)
    env, other = pendulums([1, 2]), pendulums([1, 2])
    obs = told(env, n_steps)
    save_arrays(tmp_path / "history.npz", env.history.arrays())
    history = EnvHistory.from_arrays(load_arrays(tmp_path / "history.npz"))
    assert history.n_steps == n_steps
    seen: list[int] = []
    history.repeat(other.venv, seen.append)
    assert seen == list(range(n_steps))
    same = np.array([[0.5], [0.5]], dtype=np.float32)
    np.testing.assert_array_equal(env.step(same)[0], other.venv.step(same)[0])
    assert obs.shape == (2, 3)


def test_on_other_seeds_it_is_elsewhere():
    env, other = pendulums([1, 2]), pendulums([1, 3])
    told(env, 3)
    with pytest.raises(Otherwise, match="it shows another observation"):
        env.history.repeat(other.venv, never)


def test_that_it_raises_is_told_apart_from_what_is_called_before_a_step():
    env, other = pendulums([1, 2]), pendulums([1, 2])
    told(env, 3)

    def interrupt(t: int) -> None:
        raise InterruptedError(t)

    with pytest.raises(InterruptedError):
        env.history.repeat(other.venv, interrupt)
    other.venv.step_wait = lambda: 1 / 0  # type: ignore[method-assign]
    with pytest.raises(Otherwise, match="ZeroDivisionError"):
        env.history.repeat(other.venv, never)


def test_dictionaries_are_compared_part_by_part():
    history = EnvHistory()
    history.note_reset()
    history.last_obs = {"a": np.zeros((1, 2)), "b": np.ones((1, 1))}
    again = EnvHistory.from_arrays(history.arrays())

    class Said(DummyVecEnv):
        def __init__(self, obs: Any) -> None:
            self.obs = obs

        def reset(self) -> Any:
            return self.obs

    again.repeat(Said({"a": np.zeros((1, 2)), "b": np.ones((1, 1))}), never)
    for other in ({"a": np.zeros((1, 2)), "b": np.zeros((1, 1))}, {"a": np.zeros((1, 2))}):
        with pytest.raises(Otherwise):
            again.repeat(Said(other), never)
