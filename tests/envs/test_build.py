import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import plain_envs
import pytest
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecEnv,
    VecFrameStack,
    VecNormalize,
    unwrap_vec_normalize,
)

from rl_runner.config import EnvConfig, config_from_dict
from rl_runner.envs import build_env, build_evaluation_env, make_single_env, time_limit_of
from rl_runner.envs.normalization import set_statistics, statistics
from rl_runner.envs.wrappers import refuse_running_statistics
from rl_runner.errors import ConfigError, EnvError, Problem


def config_of(env_id: str, **keywords: Any) -> EnvConfig:
    return EnvConfig.model_validate({"id": env_id, **keywords})


@contextlib.contextmanager
def built(config: EnvConfig, seeds: Sequence[int] = (0,), **keywords: Any) -> Iterator[VecEnv]:
    env = build_env(config, seeds, **keywords)
    try:
        yield env
    finally:
        env.close()


def length_of_episode(config: EnvConfig, action: Any) -> tuple[int, dict[str, Any]]:
    """Repeat one action until the episode is over; give its length and last info."""
    with built(config) as env:
        env.reset()
        for length in range(1, 5_000):
            _, _, dones, infos = env.step([action])
            if dones[0]:
                return length, infos[0]
    message = "the episode never ended"
    raise AssertionError(message)


def problem_of(config: EnvConfig) -> Problem:
    with pytest.raises(EnvError) as caught:
        build_env(config, [0])
    (problem,) = caught.value.problems
    return problem


# --- running statistics -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env_id", "part"),
    [
        ("PlainNormalizedAdded-v0", "rewards"),
        ("PlainNormalizedEntry-v0", "observations"),
        ("PlainNormalizedInside-v0", "observations"),
    ],
)
def test_an_environment_that_keeps_statistics_in_any_layer_is_refused(
    env_id: str, part: str
) -> None:
    problem = problem_of(config_of(f"plain_envs:{env_id}"))
    assert "contains `gymnasium.wrappers.Normalize" in problem.what
    assert problem.where == "env.id"
    assert f"Use `env.normalize: {{{part}: true}}`" in problem.cure


@pytest.mark.parametrize(
    ("wrapper", "said"),
    [
        (
            "plain_envs.KeepsStatistics",
            "contains `gymnasium.wrappers.NormalizeReward`, which",
        ),
        ("gymnasium.wrappers.NormalizeReward", "`gymnasium.wrappers.NormalizeReward` keeps"),
    ],
)
@pytest.mark.parametrize("build", [make_single_env, lambda config: build_env(config, [0, 1])])
def test_a_wrapper_that_keeps_statistics_in_any_layer_is_refused(
    build: Callable[[EnvConfig], Any], wrapper: str, said: str
) -> None:
    others = ["gymnasium.wrappers.FlattenObservation", wrapper]
    with pytest.raises(EnvError) as caught:
        build(config_of("plain_envs:PlainNoise-v0", wrappers=others))
    (problem,) = caught.value.problems
    assert said in problem.what
    assert problem.where == "env.wrappers"
    assert "`env.normalize: {rewards: true}`" in problem.cure


def test_a_batch_that_keeps_statistics_is_refused() -> None:
    batch = gym.wrappers.vector.NormalizeObservation(gym.make_vec("CartPole-v1", 2))
    with pytest.raises(EnvError, match=r"contains `gymnasium\.wrappers\.vector\.Normalize"):
        refuse_running_statistics(batch, "CartPole-v1", "env.id")


# --- time limits --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env_id", "written", "limit", "ours"),
    [
        ("CartPole-v1", None, 500, False),
        ("CartPole-v1", 7, 7, False),
        ("CartPole-v1", 1_000, 1_000, False),
        ("CliffWalking-v1", None, 1_000, True),
        ("CliffWalking-v1", 30, 30, False),
        ("plain_envs:PlainNoise-v0", None, 1_000, True),
    ],
)
def test_the_time_limit_is_the_configs_or_the_environments_or_ours(
    env_id: str, written: int | None, limit: int, ours: bool
) -> None:
    assert time_limit_of(config_of(env_id, time_limit=written)) == (limit, ours)


@pytest.mark.parametrize(("time_limit", "length"), [(None, 200), (7, 7), (250, 250)])
def test_an_episode_is_truncated_at_its_limit(time_limit: int | None, length: int) -> None:
    played, info = length_of_episode(config_of("Pendulum-v1", time_limit=time_limit), [0.0])
    assert played == length
    assert info["TimeLimit.truncated"] is True
    assert info["episode"]["l"] == length


def test_an_environment_without_an_end_is_given_one() -> None:
    up = 0
    assert length_of_episode(config_of("CliffWalking-v1"), up)[0] == 1_000


def test_an_episode_that_ends_by_itself_is_not_truncated() -> None:
    length, info = length_of_episode(config_of("CartPole-v1"), 1)
    assert length < 20
    assert info["TimeLimit.truncated"] is False


# --- one copy -----------------------------------------------------------------------------------


def test_a_users_environment_that_cannot_render_is_built() -> None:
    env = make_single_env(config_of("plain_envs:PlainNoise-v0"))
    assert isinstance(env.unwrapped, plain_envs.Noise)


def test_arguments_reach_the_environment() -> None:
    env = make_single_env(config_of("FrozenLake-v1", kwargs={"map_name": "8x8"}))
    assert env.observation_space.n == 64


def test_a_render_mode_is_passed_on_when_it_is_asked_for() -> None:
    env = make_single_env(config_of("CartPole-v1"), render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (400, 600, 3)
    env.close()
    assert make_single_env(config_of("CartPole-v1")).render_mode is None


def test_gymnasiums_checker_watches_only_when_asked() -> None:
    names = [str(make_single_env(config_of("CartPole-v1"), check=check)) for check in (True, False)]
    assert ["PassiveEnvChecker" in name for name in names] == [True, False]


# --- wrappers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["gymnasium.wrappers.FlattenObservation", "gymnasium.wrappers:FlattenObservation"]
)
def test_a_wrapper_is_given_by_its_dotted_name(name: str) -> None:
    env: Any = make_single_env(config_of("FrozenLake-v1", wrappers=[name]))
    assert isinstance(env.env, gym.wrappers.FlattenObservation)
    assert env.observation_space.shape == (16,)


def test_a_wrapper_takes_arguments() -> None:
    wrapper = {"name": "gymnasium.wrappers.ClipReward", "kwargs": {"min_reward": -0.5}}
    with built(config_of("Pendulum-v1", wrappers=[wrapper])) as env:
        _, rewards = pendulum_steps(env)
    assert rewards.min() == -0.5


def test_wrappers_are_put_on_in_the_order_written() -> None:
    names = ["gymnasium.wrappers.FlattenObservation", "gymnasium.wrappers.TimeAwareObservation"]
    env: Any = make_single_env(config_of("FrozenLake-v1", wrappers=names))
    assert isinstance(env.env, gym.wrappers.TimeAwareObservation)
    assert isinstance(env.env.env, gym.wrappers.FlattenObservation)


def test_a_wrapper_stands_outside_the_time_limit() -> None:
    names = ["gymnasium.wrappers.TimeAwareObservation"]
    env: Any = make_single_env(config_of("Pendulum-v1", time_limit=9, wrappers=names))
    assert isinstance(env.env.env, gym.wrappers.TimeLimit)
    assert env.env.env._max_episode_steps == 9


@pytest.mark.parametrize(
    ("name", "what", "cure"),
    [
        (
            "gymnasium.wrappers.FlattenObservations",
            "`gymnasium.wrappers.FlattenObservations` is not a Gymnasium wrapper.",
            "Did you mean `FlattenObservation`?",
        ),
        ("os.path", "`os.path` cannot be imported. `os` belongs to Python", ""),
        ("gymnasium.Env", "`gymnasium.Env` is not a Gymnasium wrapper.", ""),
        ("no_such_package.Wrapper", "`no_such_package.Wrapper` cannot be imported", ""),
    ],
)
def test_what_is_no_wrapper_is_refused(name: str, what: str, cure: str) -> None:
    problem = problem_of(config_of("CartPole-v1", wrappers=[name]))
    assert problem.what.startswith(what)
    assert cure in problem.cure


def test_a_wrapper_that_does_not_take_its_arguments_is_refused() -> None:
    wrapper = {"name": "gymnasium.wrappers.FlattenObservation", "kwargs": {"depth": 3}}
    problem = problem_of(config_of("CartPole-v1", wrappers=[wrapper]))
    assert "could not be wrapped in `gymnasium.wrappers.FlattenObservation`: TypeError" in (
        problem.what
    )
    assert "'depth'" in problem.what
    assert "env.wrappers" in problem.cure


# --- what cannot be built -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env_id", "cure"),
    [
        ("CartPol-v1", "Did you mean `CartPole-v1`?"),
        ("cartpole-v1", "Did you mean `CartPole-v1`?"),
        ("FrozenLake", "Did you mean `FrozenLake-v1`?"),
        ("Xyzzy", "`rl envs` lists what is installed."),
    ],
)
def test_an_unknown_environment_is_refused_with_the_nearest(env_id: str, cure: str) -> None:
    problem = problem_of(config_of(env_id))
    assert problem == Problem(f"There is no environment `{env_id}`.", "env.id", cure)


def test_an_id_that_a_module_has_not_registered_is_refused_with_the_nearest_of_its_own() -> None:
    problem = problem_of(config_of("plain_envs:PlainNois-v0"))
    assert problem.what.startswith("The module `plain_envs` was imported, but has not registered")
    assert problem.cure == "Did you mean `plain_envs:PlainNoise-v0`?"


def test_a_version_that_is_gone_is_refused_with_the_one_there_is() -> None:
    problem = problem_of(config_of("Pendulum-v0"))
    assert "Pendulum-v1" in problem.what + problem.cure


def test_a_module_that_nobody_has_is_named_and_no_strangers_package_recommended() -> None:
    problem = problem_of(config_of("no_such_package.envs:Env-v0"))
    assert problem.what.startswith("There is no module `no_such_package`")
    assert problem.where == "env.id"
    assert "pip install" not in problem.cure


def test_a_module_missing_behind_a_known_environment_is_named() -> None:
    problem = problem_of(config_of("PlainMissingModule-v0"))
    assert "needs the Python package `no_such_simulator`" in problem.what


def test_a_dependency_the_environment_asks_for_is_named() -> None:
    problem = problem_of(config_of("PlainNeedsPackage-v0"))
    assert problem.what == "`PlainNeedsPackage-v0` needs a package that is not installed."
    assert "pip install simulator" in problem.cure


def test_arguments_the_environment_does_not_take_are_refused() -> None:
    problem = problem_of(config_of("CartPole-v1", kwargs={"gravity": 3}))
    assert "could not be built: TypeError" in problem.what
    assert "'gravity'" in problem.what
    assert "env.kwargs" in problem.cure


@pytest.mark.parametrize(
    ("key", "cure"),
    [
        ("max_episode_steps", "use `env.time_limit`"),
        ("render_mode", "the commands that draw choose it"),
        ("disable_env_checker", "`rl check` runs Gymnasium's checker"),
        ("vectorization_mode", "use `env.n_envs` and `env.vec`"),
        ("id", "use `env.id`"),
    ],
)
def test_arguments_that_are_ours_to_give_are_refused_with_the_place_to_give_them(
    key: str, cure: str
) -> None:
    raw = {
        "env": {"id": "CartPole-v1", "kwargs": {key: 1}},
        "algo": {"name": "ppo"},
        "train": {"total_timesteps": 1},
    }
    with pytest.raises(ConfigError) as caught:
        config_from_dict(raw)
    assert f"`{key}` cannot be given in `env.kwargs`: {cure}" in caught.value.problems[0].what


# --- several copies -----------------------------------------------------------------------------


def play(env: VecEnv, n_steps: int = 30) -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]:
    """Step with a fixed sequence of actions; give observations, rewards and all infos."""
    observations, rewards, infos = [env.reset()], [], []
    for t in range(n_steps):
        obs, reward, _, info = env.step(np.full(env.num_envs, t % 2))
        observations.append(obs)
        rewards.append(reward)
        infos += info
    return np.array(observations), np.array(rewards), infos


def test_there_is_one_copy_per_seed() -> None:
    with built(config_of("CartPole-v1"), range(3)) as env:
        assert env.num_envs == 3
        assert env.reset().shape == (3, 4)


def test_copies_in_processes_step_like_copies_in_this_one() -> None:
    config = config_of("CliffWalking-v1", time_limit=5, kwargs={"is_slippery": True})
    in_processes = config.model_copy(update={"vec": "subproc"})
    with built(config, [1, 2]) as here, built(in_processes, [1, 2]) as there:
        assert isinstance(there, SubprocVecEnv)
        ours, theirs = play(here), play(there)
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_array_equal(ours[1], theirs[1])
    # CliffWalking pays whole numbers; what learns from them must not see another type of number.
    assert ours[1].dtype == theirs[1].dtype == np.float32


@pytest.mark.parametrize(("seeds", "training"), [([1], True), ([1, 2], False)])
def test_processes_are_started_for_training_several_copies_only(
    seeds: list[int], training: bool
) -> None:
    with built(config_of("CartPole-v1", vec="subproc"), seeds, training=training) as env:
        assert isinstance(env, DummyVecEnv)


@pytest.mark.parametrize(("vec", "n_copies"), [("auto", 100), ("dummy", 6)])
def test_many_episodes_are_played_by_more_copies_than_asked_for(vec: Any, n_copies: int):
    env = build_evaluation_env(EnvConfig(id="CartPole-v1", vec=vec), range(100), n_envs=2)
    assert env.num_envs == n_copies
    env.close()


def test_no_more_copies_are_built_than_there_are_episodes():
    env = build_evaluation_env(EnvConfig(id="CliffWalking-v1"), range(3), n_envs=20)
    assert env.num_envs == 3
    env.close()


# --- seeds --------------------------------------------------------------------------------------


def test_each_copy_begins_on_its_own_seed_whatever_seed_the_vectorised_environment_gets() -> None:
    seeds = [11, 2**62]
    expected = [gym.make("CartPole-v1").reset(seed=seed)[0] for seed in seeds]
    with built(config_of("CartPole-v1"), seeds) as env:
        env.seed(999)
        np.testing.assert_array_equal(env.reset(), expected)


def test_later_episodes_run_on_from_the_same_generator() -> None:
    single = gym.make("CartPole-v1")
    expected = [single.reset(seed=7)[0], *(single.reset()[0] for _ in range(3))]
    with built(config_of("CartPole-v1"), [7]) as env:
        first = [env.reset()[0]]
        while len(first) < 4:
            obs, _, dones, _ = env.step([1])
            if dones[0]:
                first.append(obs[0])
    # Between resets CartPole draws nothing, so the resets are the generator's only draws.
    np.testing.assert_array_equal(first, expected)


def test_the_same_seeds_give_the_same_run_and_others_another() -> None:
    runs = []
    for seeds in ([3, 4], [3, 4], [4, 3]):
        with built(config_of("CartPole-v1"), seeds) as env:
            runs.append(play(env))
    np.testing.assert_array_equal(runs[0][0], runs[1][0])
    np.testing.assert_array_equal(runs[0][0][0], runs[2][0][0][::-1])
    assert not np.array_equal(runs[0][0], runs[2][0])


def test_episodes_on_chosen_seeds_can_be_played_again() -> None:
    config = config_of("plain_envs:PlainTwoParts-v0", time_limit=4)
    with built(config, [0], training=False) as env:
        played = []
        for seeds in ([5, 6], [6, 5], [5, 6]):
            env.env_method("begin_episodes", seeds)
            env.reset()
            rewards = [env.step([1])[1][0] for _ in range(8)]
            played.append((rewards[:4], rewards[4:]))
    assert played[0] == played[2] == played[1][::-1]
    assert played[0][0] != played[0][1]


def test_a_copy_is_given_seeds_of_its_own() -> None:
    with built(config_of("CartPole-v1"), [0, 1], training=False) as env:
        for i, seeds in enumerate(([5], [6])):
            env.env_method("begin_episodes", seeds, indices=[i])
        expected = [gym.make("CartPole-v1").reset(seed=seed)[0] for seed in (5, 6)]
        np.testing.assert_array_equal(env.reset(), expected)


# --- normalisation ------------------------------------------------------------------------------

PENDULUM: dict[str, Any] = {"id": "Pendulum-v1", "time_limit": 20}


def pendulum_steps(env: VecEnv, n_steps: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Leave the pendulum to itself; give observations and rewards."""
    observations, rewards = [env.reset()], []
    for _ in range(n_steps):
        obs, reward, _, _ = env.step(np.zeros((env.num_envs, 1)))
        observations.append(obs)
        rewards.append(reward)
    return np.array(observations), np.array(rewards)


def normalizing(*, normalize: object) -> EnvConfig:
    return EnvConfig.model_validate({**PENDULUM, "normalize": normalize})


def test_nothing_is_normalised_unless_asked() -> None:
    with built(EnvConfig.model_validate(PENDULUM)) as env:
        assert unwrap_vec_normalize(env) is None


def test_training_learns_the_statistics_of_what_it_sees() -> None:
    with built(EnvConfig.model_validate(PENDULUM), [0, 1]) as raw:
        observations, _ = pendulum_steps(raw)
    with built(normalizing(normalize=True), [0, 1]) as env:
        layer = unwrap_vec_normalize(env)
        assert layer is not None
        normalized, _ = pendulum_steps(env)
        seen = observations.reshape(-1, 3)
        np.testing.assert_allclose(layer.obs_rms.mean, seen.mean(axis=0), atol=1e-3)
        np.testing.assert_allclose(layer.obs_rms.var, seen.var(axis=0), rtol=1e-3)
        assert np.abs(normalized[-20:].mean(axis=(0, 1))).max() < 2.0


def test_evaluation_leaves_statistics_frozen_and_rewards_as_they_are() -> None:
    with built(EnvConfig.model_validate(PENDULUM)) as raw:
        observations, rewards = pendulum_steps(raw)
    with built(normalizing(normalize=True), training=False) as env:
        layer = unwrap_vec_normalize(env)
        assert layer is not None
        arrays = statistics(layer) | {
            "obs/mean": np.array([0.5, 0.0, 1.0]),
            "obs/var": np.array([4.0, 1.0, 0.25]),
        }
        set_statistics(layer, arrays)
        normalized, raw_rewards = pendulum_steps(env)
        for key, array in statistics(layer).items():
            np.testing.assert_array_equal(array, arrays[key])
    expected = (observations - arrays["obs/mean"]) / np.sqrt(arrays["obs/var"] + 1e-8)
    np.testing.assert_allclose(normalized, np.clip(expected, -10, 10), rtol=1e-5)
    np.testing.assert_array_equal(raw_rewards, rewards)


def test_training_normalises_rewards_by_the_discounted_returns_spread() -> None:
    with built(EnvConfig.model_validate(PENDULUM)) as raw:
        _, raw_rewards = pendulum_steps(raw)
    with built(normalizing(normalize={"rewards": True}), gamma=0.5) as env:
        layer = unwrap_vec_normalize(env)
        assert layer is not None
        assert (layer.gamma, layer.norm_obs) == (0.5, False)
        observations, rewards = pendulum_steps(env)
        ratio = raw_rewards[-1] / rewards[-1]
        np.testing.assert_allclose(ratio, np.sqrt(layer.ret_rms.var + 1e-8), rtol=1e-5)
    with built(EnvConfig.model_validate(PENDULUM)) as raw:
        np.testing.assert_array_equal(pendulum_steps(raw)[0], observations)


def test_only_observations_are_normalised_when_only_they_are_named() -> None:
    with built(EnvConfig.model_validate(PENDULUM)) as raw:
        observations, rewards = pendulum_steps(raw)
    with built(normalizing(normalize={"observations": True})) as env:
        normalized, same_rewards = pendulum_steps(env)
    np.testing.assert_array_equal(same_rewards, rewards)
    assert not np.allclose(normalized, observations)


def test_normalised_values_are_clipped_where_the_config_says() -> None:
    clipping = {
        "observations": True,
        "rewards": True,
        "clip_observations": 0.5,
        "clip_rewards": 0.25,
    }
    with built(normalizing(normalize=clipping)) as env:
        observations, rewards = pendulum_steps(env)
    assert np.abs(observations).max() == 0.5
    assert np.abs(rewards).max() == 0.25


def test_returns_are_recorded_without_normalisation() -> None:
    with built(EnvConfig.model_validate(PENDULUM)) as raw:
        _, rewards = pendulum_steps(raw, 20)
    with built(normalizing(normalize=True)) as env:
        env.reset()
        for _ in range(20):
            _, _, _, infos = env.step(np.zeros((1, 1)))
    assert infos[0]["episode"]["r"] == pytest.approx(rewards.sum(), rel=1e-5)


def test_observations_that_cannot_be_normalised_are_refused() -> None:
    problem = problem_of(config_of("FrozenLake-v1", normalize=True))
    assert problem == Problem(
        "The observations of `FrozenLake-v1`, Discrete(16), cannot be normalised.",
        "env.normalize",
        "Normalise only rewards (`normalize: {observations: false, rewards: true}`), or let "
        "`env.wrappers: [gymnasium.wrappers.FlattenObservation]` make them vectors.",
    )


@pytest.mark.parametrize(
    "cure",
    [
        {"normalize": {"rewards": True}},
        *(
            {"wrappers": ["gymnasium.wrappers.FlattenObservation"], **asked}
            for asked in ({"normalize": True}, {"frame_stack": 2})
        ),
    ],
)
def test_the_cures_for_observations_that_are_labels_work(cure: dict[str, Any]) -> None:
    with built(config_of("FrozenLake-v1", **cure)) as env:
        env.reset()
        _, rewards, dones, _ = env.step([0])
    assert (rewards.shape, dones.shape) == ((1,), (1,))


def test_observations_that_can_be_neither_are_refused_for_both() -> None:
    with pytest.raises(EnvError) as caught:
        build_env(config_of("FrozenLake-v1", normalize=True, frame_stack=2), [0])
    assert [problem.where for problem in caught.value.problems] == [
        "env.normalize",
        "env.frame_stack",
    ]


# --- frame stacking -----------------------------------------------------------------------------


def test_the_last_observations_are_stacked_oldest_first() -> None:
    config = config_of("Pendulum-v1", time_limit=20)
    with built(config) as raw, built(config_of("Pendulum-v1", frame_stack=3)) as stacked:
        observations, _ = pendulum_steps(raw, 2)
        frames, _ = pendulum_steps(stacked, 2)
    assert frames.shape == (3, 1, 9)
    np.testing.assert_array_equal(frames[2, 0], observations[:, 0].ravel())
    np.testing.assert_array_equal(frames[0, 0, :6], np.zeros(6))


def test_what_is_normalised_is_what_a_replay_buffer_keeps_stacked_frames() -> None:
    with built(config_of("Pendulum-v1", frame_stack=2, normalize=True)) as env:
        assert isinstance(env, VecNormalize)
        assert isinstance(env.venv, VecFrameStack)
        env.reset()
        env.step(np.zeros((1, 1)))
        raw = env.get_original_obs()
        assert raw.shape == (1, *env.observation_space.shape)


def test_observations_that_cannot_be_stacked_are_refused() -> None:
    problem = problem_of(config_of("FrozenLake-v1", frame_stack=2))
    assert problem.what == ("The observations of `FrozenLake-v1`, Discrete(16), cannot be stacked.")
    assert problem.where == "env.frame_stack"
    assert problem.cure.startswith("Leave it out, or let `env.wrappers:")
