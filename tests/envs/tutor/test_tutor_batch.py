import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.vector import AutoresetMode

from rl_runner.config.environment import EnvConfig
from rl_runner.envs.build import build_env
from rl_runner.envs.tutor.env import TutorEnv
from rl_runner.envs.tutor.simulator import model
from rl_runner.envs.tutor.vector import TutorVectorEnv
from rl_runner.envs.vectorized.batched import BatchedVecEnv
from rl_runner.errors import EnvError

APART = {"reward_terms", "response"}
OPTION_SETS = [{}, {"modules_per_topic": 1, "horizon": 9}, {"learner": "half_life"}]


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTION_SETS, ids=str)
@pytest.mark.parametrize("n", [1, 2, 7])
def test_a_batch_is_its_learners_bit_for_bit(n: int, options: dict):
    batch = TutorVectorEnv(n, **options)
    singles = [TutorEnv(**options) for _ in range(n)]
    observations, _ = batch.reset(seed=100)
    for i, env in enumerate(singles):
        np.testing.assert_array_equal(env.reset(seed=100 + i)[0], observations[i])
    random = np.random.default_rng(n)
    n_ended = 0
    for _ in range(120):
        actions = random.integers(model.N_ACTIONS, size=n)
        observations, rewards, terminated, truncated, infos = batch.step(actions)
        for i, env in enumerate(singles):
            observation, *rest, info = env.step(actions[i])
            assert rest == [rewards[i], terminated[i], truncated[i]]
            assert {name: terms[i] for name, terms in infos["reward_terms"].items()} == info[
                "reward_terms"
            ]
            assert all(infos[name][i] == info[name] for name in info if name not in APART)
            if terminated[i] or truncated[i]:
                n_ended += 1
                assert infos["_final_obs"][i]
                np.testing.assert_array_equal(infos["final_obs"][i], observation)
                assert infos["final_info"]["is_success"][i] == info["is_success"]
                observation, _ = env.reset()
            np.testing.assert_array_equal(observations[i], observation)
        ended = terminated | truncated
        assert ("final_obs" in infos) == ended.any()
    assert n_ended > 2 * n


def test_a_learner_does_not_depend_on_the_batch_it_is_in():
    small, large = TutorVectorEnv(3), TutorVectorEnv(50)
    first, second = small.reset(seed=5)[0], large.reset(seed=5)[0]
    np.testing.assert_array_equal(first, second[:3])
    random = np.random.default_rng(0)
    for _ in range(50):
        actions = random.integers(model.N_ACTIONS, size=50)
        first, second = small.step(actions[:3])[0], large.step(actions)[0]
        np.testing.assert_array_equal(first, second[:3])


def test_it_is_made_by_its_id():
    env = gym.make_vec("rl_runner:Tutor-v0", num_envs=4, horizon=3)
    assert isinstance(env.unwrapped, TutorVectorEnv)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert env.observation_space.shape == (4, 47)


def test_seeds_may_be_listed():
    env = TutorVectorEnv(3)
    listed, _ = env.reset(seed=[9, 9, 4])
    np.testing.assert_array_equal(listed[0], listed[1])
    np.testing.assert_array_equal(listed[2], TutorEnv().reset(seed=4)[0])
    with pytest.raises(ValueError, match="2 seeds were given for 3 learners"):
        env.reset(seed=[1, 2])


def test_learners_without_a_seed_continue_their_random_streams():
    env, again = TutorVectorEnv(2), TutorVectorEnv(2)
    env.reset(seed=3)
    again.reset(seed=3)
    kept = env.learners.streams.copy()
    np.testing.assert_array_equal(env.reset()[0], again.reset()[0])
    np.testing.assert_array_equal(env.learners.streams, kept)


def test_a_mask_resets_only_some():
    env = TutorVectorEnv(2)
    env.reset(seed=3)
    env.step(np.array([0, 1]))
    before = env.full_states()
    env.reset(seed=8, options={"reset_mask": np.array([True, False])})
    after = env.full_states()
    np.testing.assert_array_equal(after[1], before[1])
    assert (after[0] != before[0]).any()


def test_episodes_can_be_planned_for_each_learner():
    """As an evaluation does: copy 0 plays seeds 5, 6, 7; then its own stream goes on."""
    env = TutorVectorEnv(2, horizon=2, dropout_scale=0)
    env.begin_episodes(0, [5, 6, 7])
    single = TutorEnv(horizon=2, dropout_scale=0)
    observations, _ = env.reset()
    for seed in (5, 6, 7, None):
        np.testing.assert_array_equal(observations[0], single.reset(seed=seed)[0])
        for _ in range(2):
            observations = env.step(np.array([4, 4]))[0]


def test_a_time_limit_from_outside_truncates():
    env = TutorVectorEnv(2, max_episode_steps=2, dropout_scale=0)
    env.reset(seed=0)
    env.step(np.array([4, 4]))
    assert env.step(np.array([4, 4]))[3].all()


def test_returned_observations_are_not_written_into_later():
    env = TutorVectorEnv(3)
    first, _ = env.reset(seed=0)
    kept = first.copy()
    env.step(np.array([0, 1, 2]))
    env.reset(seed=1)
    np.testing.assert_array_equal(first, kept)


def test_hidden_states_come_with_the_option_only():
    assert "hidden" not in TutorVectorEnv(2).reset(seed=0)[1]
    hidden = TutorVectorEnv(2, reveal_hidden=True).reset(seed=0)[1]["hidden"]
    assert set(hidden[1]) == {"knowledge", "engagement", "confused", "goal", "fast"}


def test_hidden_states_at_an_end_are_the_learners_who_ended():
    options = {"reveal_hidden": True, "horizon": 3, "dropout_scale": 0}
    env, singles = TutorVectorEnv(2, **options), [TutorEnv(**options) for _ in range(2)]
    env.reset(seed=0)
    for seed, single in enumerate(singles):
        single.reset(seed=seed)
    for _ in range(3):
        infos = env.step(np.array([0, 1]))[4]
        hidden = [single.step(action)[4]["hidden"] for action, single in enumerate(singles)]
    assert infos["final_info"]["hidden"].tolist() == hidden
    assert infos["hidden"].tolist() == [single.reset()[1]["hidden"] for single in singles]


def test_sb3_gets_the_same_infos_from_a_batch_and_from_single_learners():
    """Else an evaluation would have other columns for the same episodes."""
    config = EnvConfig(id="Tutor-v0", n_envs=3)
    batch = build_env(config, [5, 6, 7], training=False)
    single = build_env(config.model_copy(update={"vec": "dummy"}), [5, 6, 7], training=False)
    assert isinstance(batch, BatchedVecEnv)
    assert not isinstance(single, BatchedVecEnv)
    batch.reset()
    single.reset()
    random, open_ = np.random.default_rng(0), np.ones(3, dtype=bool)
    while open_.any():
        actions = random.integers(model.N_ACTIONS, size=3)
        batched, expected = batch.step(actions), single.step(actions)
        for i in np.flatnonzero(open_):
            for info in (batched[3][i], expected[3][i]):
                info.pop("response", None)
                info.get("episode", {}).pop("t", None)
                info.pop("terminal_observation", None)
            assert batched[3][i] == expected[3][i]
        open_ &= ~batched[2]
    batch.close()
    single.close()


@pytest.mark.parametrize(
    "actions",
    [[0, 6], [-1, 0], [0.5, 0.5], [0], [[0, 1]] * 2, [True, False], ["0", "1"], [2**63, 0]],
    ids=str,
)
def test_actions_out_of_range_are_refused(actions: list):
    env = TutorVectorEnv(2)
    env.reset(seed=0)
    before = env.full_states()
    with pytest.raises(InvalidAction):
        env.step(np.array(actions))
    np.testing.assert_array_equal(env.full_states(), before)


def test_stepping_before_the_first_reset_is_refused():
    with pytest.raises(ResetNeeded):
        TutorVectorEnv(2).step(np.array([0, 0]))


def test_wrong_options_are_refused():
    with pytest.raises(EnvError):
        TutorVectorEnv(2, learner="x")
    with pytest.raises(EnvError):
        TutorVectorEnv(2, dropout=2)
