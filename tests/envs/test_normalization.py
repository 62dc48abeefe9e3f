import functools
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from plain_envs import Noise, TwoParts
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from rl_runner.envs.normalization import (
    load_statistics,
    save_statistics,
    set_statistics,
    statistics,
)


def normalized(
    make: type[Noise] | functools.partial[Noise] = Noise, *, norm_obs: bool = True
) -> VecNormalize:
    makers = [lambda: gym.wrappers.TimeLimit(make(), max_episode_steps=10)] * 2
    return VecNormalize(DummyVecEnv(makers), norm_obs=norm_obs)


def stepped(env: VecNormalize, n_steps: int = 25) -> VecNormalize:
    env.seed(0)
    env.reset()
    for _ in range(n_steps):
        env.step(np.array([0, 1]))
    return env


def assert_same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    assert list(first) == list(second)
    for key, array in first.items():
        np.testing.assert_array_equal(array, second[key], err_msg=key)


def test_statistics_are_named_by_what_they_describe() -> None:
    fields = ("mean", "var", "count")
    vector, parts, rewards_only = (
        list(statistics(env))
        for env in (normalized(), normalized(TwoParts), normalized(norm_obs=False))
    )
    assert vector == [f"{name}/{field}" for name in ("returns", "obs") for field in fields]
    assert sorted(parts) == sorted(
        f"{name}/{field}" for name in ("returns", "obs.near", "obs.far") for field in fields
    )
    assert rewards_only == [f"returns/{field}" for field in fields]


def test_each_part_of_a_dictionary_has_statistics_of_its_own() -> None:
    arrays = statistics(stepped(normalized(TwoParts), 100))
    np.testing.assert_allclose(arrays["obs.near/mean"], [1.0, 1.0], atol=0.5)
    np.testing.assert_allclose(arrays["obs.far/mean"], [100.0, 100.0], atol=5.0)


@pytest.mark.parametrize(
    ("make", "norm_obs"), [(Noise, True), (TwoParts, True), (Noise, False), (TwoParts, False)]
)
def test_what_is_saved_is_loaded(make: type[Noise], norm_obs: bool, tmp_path: Path) -> None:
    source = stepped(normalized(make, norm_obs=norm_obs))
    target = normalized(make, norm_obs=norm_obs)
    before = statistics(target)
    save_statistics(source, tmp_path / "normalization.npz")
    load_statistics(target, tmp_path / "normalization.npz")
    assert_same(statistics(target), statistics(source))
    assert not np.array_equal(before["returns/var"], statistics(target)["returns/var"])
    assert isinstance(target.ret_rms.count, float)


def test_loaded_statistics_normalise_the_same(tmp_path: Path) -> None:
    source, target = stepped(normalized(TwoParts)), normalized(TwoParts)
    save_statistics(source, tmp_path / "normalization.npz")
    load_statistics(target, tmp_path / "normalization.npz")
    raw = {"near": np.full((2, 2), 2.0), "far": np.full((2, 2), 120.0)}
    ours, theirs = target.normalize_obs(raw), source.normalize_obs(raw)
    for key, unnormalized in raw.items():
        np.testing.assert_array_equal(ours[key], theirs[key])
        assert not np.array_equal(ours[key], unnormalized)


def test_loaded_statistics_continue_exactly_as_the_saved_ones_would(tmp_path: Path) -> None:
    source, target = stepped(normalized()), normalized()
    save_statistics(source, tmp_path / "normalization.npz")
    load_statistics(target, tmp_path / "normalization.npz")
    for env in (source, target):
        env.obs_rms.update(np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert_same(statistics(source), statistics(target))


def test_shared_statistics_are_copies() -> None:
    source, target = stepped(normalized(TwoParts)), normalized(TwoParts)
    set_statistics(target, statistics(source))
    before = {key: array.copy() for key, array in statistics(target).items()}
    for moments in (source.ret_rms, *source.obs_rms.values()):
        moments.mean += 7.0
        moments.var *= 2.0
    assert_same(statistics(target), before)
    assert not np.array_equal(statistics(source)["obs.far/mean"], before["obs.far/mean"])


@pytest.mark.parametrize(
    ("make", "other"), [(Noise, TwoParts), (TwoParts, Noise)], ids=["vector", "dictionary"]
)
def test_statistics_of_other_observations_are_refused(
    make: type[Noise], other: type[Noise], tmp_path: Path
) -> None:
    save_statistics(normalized(make), tmp_path / "normalization.npz")
    with pytest.raises(KeyError, match="obs"):
        load_statistics(normalized(other), tmp_path / "normalization.npz")


class _Wide(Noise):
    def __init__(self) -> None:
        super().__init__()
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (3,), np.float32)


def test_statistics_of_another_length_are_refused(tmp_path: Path) -> None:
    save_statistics(normalized(_Wide), tmp_path / "normalization.npz")
    with pytest.raises((KeyError, ValueError)):
        load_statistics(normalized(Noise), tmp_path / "normalization.npz")


def test_statistics_of_what_is_no_longer_normalised_are_refused(tmp_path: Path) -> None:
    save_statistics(normalized(), tmp_path / "normalization.npz")
    with pytest.raises(ValueError, match="statistics of obs, which this version leaves as it is"):
        load_statistics(normalized(norm_obs=False), tmp_path / "normalization.npz")


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "truncated"])
def test_a_damaged_file_raises_what_is_documented(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "normalization.npz"
    if damage != "missing":
        save_statistics(normalized(), path)
        content = path.read_bytes()
        damaged = {"empty": b"", "text": b"no npz", "truncated": content[: len(content) // 2]}
        path.write_bytes(damaged[damage])
    with pytest.raises((OSError, ValueError, KeyError, EOFError)):
        load_statistics(normalized(), path)


def test_nothing_is_unpickled_from_a_foreign_file(tmp_path: Path) -> None:
    path = tmp_path / "normalization.npz"
    np.savez(path, **statistics(normalized()) | {"obs/mean": np.array([object(), object()])})
    with pytest.raises(ValueError, match="allow_pickle"):
        load_statistics(normalized(), path)
