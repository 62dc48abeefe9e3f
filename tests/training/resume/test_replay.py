from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv

from rl_runner.arrays import load_arrays, save_arrays
from rl_runner.config import EnvConfig
from rl_runner.envs import build_env
from rl_runner.training.resume import replay
from rl_runner.training.resume.replay import ActionHistory, ReplayableEnv


def never(t: int) -> None:
    assert t >= 0


def pendulums(seeds: list[int]) -> ReplayableEnv:
    return ReplayableEnv(build_env(EnvConfig(id="Pendulum-v1", time_limit=5, vec="dummy"), seeds))


def play(env: ReplayableEnv, n_steps: int) -> Any:
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
def test_after_a_replay_another_environment_is_where_this_one_was(
    tmp_path: Path, n_steps: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(replay, "CHUNK", 4)
    env, other = pendulums([1, 2]), pendulums([1, 2])
    obs = play(env, n_steps)
    save_arrays(tmp_path / "history.npz", env.history.arrays())
    history = ActionHistory.from_arrays(load_arrays(tmp_path / "history.npz"))
    assert history.n_steps == n_steps
    seen: list[int] = []
    assert other.replay(history, seen.append) is None
    assert seen == list(range(n_steps))
    np.testing.assert_array_equal(other.reset(), obs)  # resets nothing
    other.allow_resets()
    same = np.array([[0.5], [0.5]], dtype=np.float32)
    np.testing.assert_array_equal(env.step(same)[0], other.step(same)[0])
    assert obs.shape == (2, 3)
    np.testing.assert_array_equal(env.reset(), other.reset())
    recorded, continued = env.history.arrays(), other.history.arrays()
    assert recorded.keys() == continued.keys()
    assert all(np.array_equal(recorded[name], continued[name]) for name in recorded)


@pytest.mark.parametrize("allow", [ReplayableEnv.allow_resets, lambda env: env.begin_segment([1])])
def test_a_reset_is_withheld_only_between_a_replay_and_the_first_rollout(allow: Any):
    env, other = pendulums([1]), pendulums([1])
    first = env.reset()
    env.step(np.zeros((1, 1), np.float32))
    assert other.replay(env.history, never) is None
    before = other.history.arrays()["resets"].tolist()
    assert not np.array_equal(other.reset(), first)
    assert other.history.arrays()["resets"].tolist() == before
    allow(other)
    n_resets = len(other.history.arrays()["resets"])
    other.reset()
    assert len(other.history.arrays()["resets"]) == n_resets + 1


def test_on_other_seeds_there_is_a_mismatch():
    env, other = pendulums([1, 2]), pendulums([1, 3])
    play(env, 3)
    mismatch = other.replay(env.history, never)
    assert str(mismatch) == "it returned another observation"


def test_an_environment_that_raises_is_a_mismatch_and_a_caller_that_raises_is_not():
    env, other = pendulums([1, 2]), pendulums([1, 2])
    play(env, 3)

    def interrupt(t: int) -> None:
        raise InterruptedError(t)

    with pytest.raises(InterruptedError):
        other.replay(env.history, interrupt)
    other.venv.step_wait = lambda: 1 / 0  # type: ignore[method-assign]
    assert "it raised ZeroDivisionError" in str(other.replay(env.history, never))


def test_dictionaries_are_compared_part_by_part():
    history = ActionHistory()
    history.record_reset()
    history.last_obs = {"a": np.zeros((1, 2)), "b": np.ones((1, 1))}
    loaded = ActionHistory.from_arrays(history.arrays())

    class Shows(DummyVecEnv):
        def __init__(self, obs: Any) -> None:
            self.obs = obs
            self.num_envs, self.observation_space, self.action_space = 1, None, None  # type: ignore[assignment]

        def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
            del attr_name, indices
            return [None]

        def reset(self) -> Any:
            return self.obs

    def replayed_on(obs: Any) -> Any:
        return ReplayableEnv(Shows(obs)).replay(loaded, never)

    assert replayed_on({"a": np.zeros((1, 2)), "b": np.ones((1, 1))}) is None
    assert replayed_on({"a": np.zeros((1, 2)), "b": np.zeros((1, 1))}) is not None
    assert replayed_on({"a": np.zeros((1, 2))}) is not None
