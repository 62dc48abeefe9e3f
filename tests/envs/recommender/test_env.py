import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.vec_env import DummyVecEnv

import rl_runner.envs
from rl_runner.envs.baselines import baselines_of, load_baseline
from rl_runner.envs.recommender.domain import STATE_SIZES, state_index
from rl_runner.envs.recommender.env import RecommenderVectorEnv, one_hot
from rl_runner.envs.recommender.exact import exact_model
from rl_runner.envs.recommender.policies import (
    POLICIES,
    TablePolicy,
    random_policy,
    rule_based_policy,
)

every = pytest.mark.parametrize("kind", ["discrete", "one_hot", "moment"])


@every
def test_gymnasium_finds_nothing_wrong_with_it(kind):
    check_env(gym.make("Recommender-v0", observation=kind).unwrapped, skip_render_check=True)


def test_another_kind_of_observation_is_refused():
    with pytest.raises(ValueError, match="'discrete', 'one_hot' or 'moment'"):
        gym.make("Recommender-v0", observation="pixels")


@every
def test_the_same_seed_is_the_same_session(kind):
    def play():
        env = gym.make("Recommender-v0", observation=kind)
        obs, _ = env.reset(seed=4)
        seen = [obs]
        for action in (1, 5, 20):
            obs, reward, *_, info = env.step(action)
            seen += [obs, np.array([reward, info["completion_rate"]])]
        return seen

    for one, other in zip(play(), play(), strict=True):
        assert np.array_equal(one, other)


def test_only_the_mood_moves_within_a_session():
    env = gym.make("Recommender-v0")
    obs, _ = env.reset(seed=1)
    moods, over = [obs[6]], False
    while not over:
        new, _, terminated, truncated, info = env.step(3)
        assert np.array_equal(np.delete(new, 6), np.delete(obs, 6))
        assert (info["mood_before"], info["mood_after"]) == (moods[-1], new[6])
        moods.append(int(new[6]))
        over = terminated or truncated
    assert len(moods) > 1


def test_one_hot_says_the_same():
    states = np.array([[4, 3, 2, 1, 0, 2, 6, 3], [0, 0, 0, 0, 0, 0, 0, 0]])
    vectors = one_hot(states)
    assert vectors.shape == (2, sum(STATE_SIZES)) == (2, 39)
    assert (vectors.sum(axis=1) == len(STATE_SIZES)).all()
    pieces = np.split(vectors, np.cumsum(STATE_SIZES)[:-1], axis=1)
    assert np.array_equal(np.stack([piece.argmax(axis=1) for piece in pieces], axis=1), states)


def test_the_moment_is_what_is_left_without_the_traits():
    plain, moment = (RecommenderVectorEnv(50, observation=kind) for kind in ("discrete", "moment"))
    whole, part = plain.reset(seed=2)[0], moment.reset(seed=2)[0]
    assert moment.single_observation_space.nvec.tolist() == [3, 7, 4]
    assert np.array_equal(part, whole[:, 5:])
    assert np.array_equal(moment.full_states(), whole)
    assert np.array_equal(plain.step(np.full(50, 3))[0][:, 5:], moment.step(np.full(50, 3))[0])


@every
def test_the_batched_environment_is_what_gymnasium_expects(kind):
    envs = gym.make_vec(
        "Recommender-v0",
        num_envs=64,
        vectorization_mode="vector_entry_point",
        observation=kind,
    )
    assert envs.metadata["autoreset_mode"] is gym.vector.AutoresetMode.SAME_STEP
    obs, _ = envs.reset(seed=0)
    assert envs.observation_space.contains(obs)
    seen = 0
    for _ in range(30):
        obs, reward, terminated, truncated, infos = envs.step(envs.action_space.sample())
        assert envs.observation_space.contains(obs)
        assert reward.shape == terminated.shape == truncated.shape == (64,)
        over = terminated | truncated
        if over.any():
            seen += over.sum()
            assert np.array_equal(infos["_final_obs"], over)
            first = int(np.flatnonzero(over)[0])
            assert envs.single_observation_space.contains(infos["final_obs"][first])
            assert infos["final_info"]["mood_after"].shape == (64,)
    assert seen > 50


def test_long_sessions_are_truncated_not_terminated():
    envs = RecommenderVectorEnv(256, max_episode_steps=2)
    envs.reset(seed=0)
    envs.step(np.zeros(256, dtype=int))
    _, _, terminated, truncated, _ = envs.step(np.zeros(256, dtype=int))
    assert truncated.sum() > 100
    assert not (terminated & truncated).any()


def test_the_same_seeds_are_the_same_sessions_side_by_side():
    def first(seed):
        return RecommenderVectorEnv(8).reset(seed=seed)[0]

    assert np.array_equal(first(3), first(3))
    assert np.array_equal(first([3, 4]), first([3, 4]))
    assert not np.array_equal(first([3, 4]), first([4, 3]))


def test_both_environments_earn_the_exact_reward():
    """One kernel: residuals against E[r | s, a] vanish, sampled singly or side by side."""
    model = exact_model()
    envs = RecommenderVectorEnv(2000)
    obs, _ = envs.reset(seed=1)
    rng = np.random.default_rng(0)
    residuals = []
    for _ in range(20):
        actions = rng.integers(27, size=2000)
        expected = model.rewards[state_index(obs), actions]
        obs, reward, *_ = envs.step(actions)
        residuals.append(reward - expected)
    error = np.mean(residuals)
    # Residuals of one person go together, hence the spread between people.
    assert abs(error) < 4 * np.mean(residuals, axis=0).std() / np.sqrt(2000)


@pytest.mark.parametrize("env_id", ["Recommender-v0", "rl_runner:Recommender-v0"])
def test_its_baselines_are_listed(env_id):
    assert baselines_of(env_id) == ("random", "rule_based", "myopic", "optimal")


@pytest.mark.parametrize("name", ["random", "rule_based", "myopic", "optimal"])
@every
def test_a_baseline_acts_on_the_whole_state_whatever_is_observed(name, kind):
    env = DummyVecEnv([lambda: gym.make("Recommender-v0", observation=kind)] * 2)
    baseline = load_baseline("Recommender-v0", name)(env, 0)
    env.seed(5)
    actions, _ = baseline.predict(env.reset())
    assert actions.shape == (2,)
    assert all(env.action_space.contains(action) for action in actions)
    if name != "random":
        expected = POLICIES[name]()[state_index(np.stack(env.env_method("full_states")))]
        assert np.array_equal(actions, expected)


def test_a_table_is_followed():
    states = np.array([[4, 0, 0, 0, 0, 0, 6, 0], [0, 0, 0, 0, 4, 0, 2, 3]])
    actions, _ = TablePolicy(rule_based_policy(), lambda: states, 0).predict(None)
    assert actions.tolist() == [2 * 9 + 3 + 2, 0 * 9 + 3 + 0]
    drawn, _ = TablePolicy(random_policy(), lambda: np.tile(states, (300, 1)), 0).predict(None)
    assert set(drawn) == set(range(27))


def test_the_package_registers_it():
    assert rl_runner.envs.register_environments() is None
    assert gym.spec("Recommender-v0").max_episode_steps == 200
