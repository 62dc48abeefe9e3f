import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv, VecNormalize, unwrap_vec_normalize

from rl_runner.config import EnvConfig
from rl_runner.config.environment import NormalizeConfig
from rl_runner.envs import build_env, make_single_env
from rl_runner.envs.episode_layers import EpisodeSeeds
from rl_runner.envs.normalization import set_statistics, statistics
from rl_runner.evaluation.play.episodes import (
    Episodes,
    play_episodes,
    takes_action_masks,
)

N_ACTIONS = 3


class Walk(gym.Env[np.ndarray, int]):
    """Lasts 1 … 9 steps, drawn on reset; pays the action plus a drawn 0 … 3 every step."""

    shortest, longest = 1, 10

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.observation_space = spaces.Box(-1e6, 1e6, (2,), np.float32)
        self.action_space = spaces.Discrete(N_ACTIONS)
        self.length = self.t = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.length = int(self.np_random.integers(self.shortest, self.longest))
        self.t = 0
        return self._obs(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.t += 1
        reward = float(action) + float(self.np_random.integers(4))
        over = self.t == self.length
        info = {"is_success": self.length % 2 == 0} if over else {}
        return self._obs(), reward, over, False, info

    def _obs(self) -> np.ndarray:
        return np.array([self.length, self.np_random.normal()], np.float32)


class ShortOrLong(Walk):
    """One step or thirty, with a reward of 1 each: the classic trap of parallel evaluation."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        result = super().reset(seed=seed, options=options)
        self.length = 1 if self.np_random.random() < 0.5 else 30
        return result

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        obs, _, over, truncated, _ = super().step(action)
        return obs, 1.0, over, truncated, {}


class OneWayOut(gym.Env[int, int]):
    """Exactly one action is valid at a time, and the observation does not tell which."""

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.observation_space = spaces.Discrete(2)
        self.action_space = spaces.Discrete(7)
        self.valid = self.t = 0

    def action_masks(self) -> np.ndarray:
        return np.arange(7) == self.valid

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.t, self.valid = 0, int(self.np_random.integers(7))
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self.t += 1
        reward = float(action == self.valid)
        self.valid = int(self.np_random.integers(7))
        return 0, reward, self.t == 8, False, {}


for _name, _env in (("Walk", Walk), ("ShortOrLong", ShortOrLong), ("OneWayOut", OneWayOut)):
    gym.register(f"EvaluationTest{_name}-v0", entry_point=_env, max_episode_steps=1000)

WALK = EnvConfig(id="EvaluationTestWalk-v0")
SHORT_OR_LONG = EnvConfig(id="EvaluationTestShortOrLong-v0")
ONE_WAY_OUT = EnvConfig(id="EvaluationTestOneWayOut-v0")
SEEDS = [2**40 + 7 * i for i in range(23)]


class FixedAgent:
    """Takes one action always; what an agent needs to be evaluated, and no more."""

    def __init__(self, action: int = 1, vec_normalize: VecNormalize | None = None) -> None:
        self.action = action
        self.action_space = spaces.Discrete(N_ACTIONS)
        self.vec_normalize = vec_normalize
        self.observations: list[np.ndarray] = []

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        del episode_start, deterministic
        self.observations.append(np.array(observation))
        return np.full(len(observation), self.action), state

    def get_vec_normalize_env(self) -> VecNormalize | None:
        return self.vec_normalize


class GamblingAgent(FixedAgent):
    """Draws from every generator that a policy might use."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        del episode_start
        n = len(observation)
        if deterministic:
            return np.zeros(n, dtype=int), state
        drawn = np.random.randint(N_ACTIONS, size=n) + torch.randint(N_ACTIONS, (n,)).numpy()  # noqa: NPY002
        drawn += random.randrange(N_ACTIONS) + np.array(  # noqa: S311
            [self.action_space.sample() for _ in range(n)]
        )
        return drawn % N_ACTIONS, state


class CountingAgent(FixedAgent):
    """Recurrent: its action is the number of steps it remembers of this episode, modulo 3."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        del deterministic
        assert episode_start is not None
        steps = np.zeros(len(observation), dtype=int) if state is None else state
        steps = np.where(episode_start, 0, steps)
        return steps % N_ACTIONS, steps + 1


@pytest.fixture
def evaluation_env() -> Iterator[Callable[[EnvConfig, int], VecEnv]]:
    built: list[VecEnv] = []

    def build(config: EnvConfig, n_envs: int) -> VecEnv:
        env = build_env(config, range(n_envs), training=False)
        built.append(env)
        return env

    yield build
    for env in built:
        env.close()


Build = Callable[[EnvConfig, int], VecEnv]


def _expected(seeds: Sequence[int], choose: Callable[[int], int]) -> tuple[list[float], list[int]]:
    """Play Walk by hand, without any vectorised environment."""
    returns, lengths = [], []
    for seed in seeds:
        env = Walk()
        env.reset(seed=seed)
        rewards: list[float] = []
        over = False
        while not over:
            _, reward, over, _, _ = env.step(choose(len(rewards)))
            rewards.append(reward)
        returns.append(sum(rewards))
        lengths.append(len(rewards))
    return returns, lengths


@pytest.mark.parametrize("n_envs", [1, 2, 5, 23, 30])
def test_each_seed_gives_one_episode_in_its_place_whatever_n_envs_is(
    evaluation_env: Build, n_envs: int
):
    episodes = play_episodes(FixedAgent(1), evaluation_env(WALK, n_envs), SEEDS)
    returns, lengths = _expected(SEEDS, lambda _: 1)
    assert episodes.seeds.tolist() == SEEDS
    assert episodes.returns.tolist() == returns
    assert episodes.lengths.tolist() == lengths
    assert len(set(lengths)) > 3


def test_the_order_of_the_seeds_is_the_order_of_the_episodes(evaluation_env: Build):
    env = evaluation_env(WALK, 4)
    forwards = play_episodes(FixedAgent(), env, SEEDS)
    backwards = play_episodes(FixedAgent(), env, SEEDS[::-1])
    assert backwards.returns.tolist() == forwards.returns.tolist()[::-1]
    assert backwards.lengths.tolist() == forwards.lengths.tolist()[::-1]


def test_a_seed_listed_twice_is_the_same_episode_twice(evaluation_env: Build):
    episodes = play_episodes(FixedAgent(), evaluation_env(WALK, 3), [5, 9, 5, 5])
    assert episodes.returns[0] == episodes.returns[2] == episodes.returns[3]
    assert episodes.lengths[0] != episodes.lengths[1]


def test_playing_again_in_the_same_environment_repeats_the_episodes(evaluation_env: Build):
    env = evaluation_env(WALK, 4)
    first = play_episodes(FixedAgent(), env, SEEDS)
    again = play_episodes(FixedAgent(), env, SEEDS)
    assert first.returns.tolist() == again.returns.tolist()


@pytest.mark.parametrize("n_envs", [1, 10])
def test_short_episodes_are_not_favoured(evaluation_env: Build, n_envs: int):
    seeds = list(range(60))
    episodes = play_episodes(FixedAgent(), evaluation_env(SHORT_OR_LONG, n_envs), seeds)
    by_hand = []
    for seed in seeds:
        env = ShortOrLong()
        env.reset(seed=seed)
        by_hand.append(env.length)
    assert episodes.lengths.tolist() == by_hand
    assert set(by_hand) == {1, 30}
    assert episodes.mean_reward == np.mean(by_hand)


def test_the_time_limit_cuts_episodes(evaluation_env: Build):
    limited = WALK.model_copy(update={"time_limit": 3})
    episodes = play_episodes(FixedAgent(0), evaluation_env(limited, 2), SEEDS)
    _, lengths = _expected(SEEDS, lambda _: 0)
    assert episodes.lengths.tolist() == [min(length, 3) for length in lengths]


def test_successes_are_what_the_environment_says(evaluation_env: Build):
    episodes = play_episodes(FixedAgent(), evaluation_env(WALK, 3), SEEDS)
    assert episodes.successes.tolist() == [float(n % 2 == 0) for n in episodes.lengths]
    assert {0.0, 1.0} == set(episodes.successes.tolist())


def test_without_success_flags_successes_are_nan(evaluation_env: Build):
    episodes = play_episodes(FixedAgent(), evaluation_env(SHORT_OR_LONG, 2), SEEDS[:5])
    assert np.isnan(episodes.successes).all()
    assert len(episodes.successes) == 5


# --- randomness -----------------------------------------------------------------------------------


def _random_states(agent: FixedAgent) -> tuple[Any, ...]:
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return (
        random.getstate(),
        (name, keys.tolist(), *rest),  # type: ignore[union-attr]
        torch.get_rng_state().tolist(),
        agent.action_space.np_random.bit_generator.state,
    )


@pytest.mark.parametrize("deterministic", [True, False])
def test_evaluation_leaves_every_generator_of_training_as_it_was(
    evaluation_env: Build, deterministic: bool
):
    agent = GamblingAgent()
    generator = agent.action_space.np_random
    env = evaluation_env(WALK, 3)
    before = _random_states(agent)
    play_episodes(agent, env, SEEDS, deterministic=deterministic)
    assert _random_states(agent) == before
    assert agent.action_space.np_random is generator


def test_an_evaluation_that_fails_also_leaves_the_generators_as_they_were(evaluation_env: Build):
    class Failing(GamblingAgent):
        def predict(self, *arguments: Any, **keywords: Any) -> tuple[np.ndarray, Any]:
            super().predict(*arguments, **keywords)
            message = "no idea"
            raise RuntimeError(message)

    agent = Failing()
    env = evaluation_env(WALK, 3)
    before = _random_states(agent)
    with pytest.raises(RuntimeError, match="no idea"):
        play_episodes(agent, env, SEEDS, deterministic=False)
    assert _random_states(agent) == before


@pytest.mark.parametrize("n_envs", [1, 4])
def test_a_stochastic_evaluation_repeats_with_its_sampling_seed(evaluation_env: Build, n_envs: int):
    agent, env = GamblingAgent(), evaluation_env(WALK, n_envs)

    def play(sampling_seed: int) -> list[float]:
        random.random()  # noqa: S311 - training goes on in between
        np.random.random()  # noqa: NPY002
        torch.rand(1)
        agent.action_space.sample()
        episodes = play_episodes(
            agent, env, SEEDS, deterministic=False, sampling_seed=sampling_seed
        )
        return episodes.returns.tolist()

    first = play(3)
    assert play(3) == first
    assert play(4) != first


def test_stochastic_and_deterministic_evaluation_differ(evaluation_env: Build):
    agent, env = GamblingAgent(), evaluation_env(WALK, 3)
    greedy = play_episodes(agent, env, SEEDS)
    assert greedy.returns.tolist() == _expected(SEEDS, lambda _: 0)[0]
    gambled = play_episodes(agent, env, SEEDS, deterministic=False)
    assert gambled.returns.tolist() != greedy.returns.tolist()
    assert gambled.lengths.tolist() == greedy.lengths.tolist()


def test_a_stochastic_sb3_policy_repeats_with_its_sampling_seed(evaluation_env: Build):
    env = evaluation_env(WALK, 4)
    agent = PPO("MlpPolicy", env, n_steps=8, batch_size=32, seed=1, device="cpu")
    first = play_episodes(agent, env, SEEDS, deterministic=False, sampling_seed=3)
    torch.rand(5)
    again = play_episodes(agent, env, SEEDS, deterministic=False, sampling_seed=3)
    other = play_episodes(agent, env, SEEDS, deterministic=False, sampling_seed=4)
    assert again.returns.tolist() == first.returns.tolist()
    assert other.returns.tolist() != first.returns.tolist()


# --- recurrent policies ---------------------------------------------------------------------------


@pytest.mark.parametrize("n_envs", [1, 4, 23])
def test_a_recurrent_state_is_reset_with_each_episode(evaluation_env: Build, n_envs: int):
    episodes = play_episodes(CountingAgent(), evaluation_env(WALK, n_envs), SEEDS)
    returns, _ = _expected(SEEDS, lambda t: t % N_ACTIONS)
    assert episodes.returns.tolist() == returns


class Forgetless:
    """The same recurrent agent, never told that an episode begins."""

    def __init__(self, agent: RecurrentPPO) -> None:
        self.agent, self.action_space = agent, agent.action_space

    def predict(
        self, observation: Any, state: Any, episode_start: np.ndarray, deterministic: bool
    ) -> tuple[np.ndarray, Any]:
        started = np.zeros_like(episode_start)
        return self.agent.predict(observation, state, started, deterministic)


def test_an_lstm_plays_the_same_episodes_alone_and_in_a_batch(evaluation_env: Build):
    alone, batch = evaluation_env(WALK, 1), evaluation_env(WALK, 4)
    policy_kwargs = {"lstm_hidden_size": 8, "net_arch": [8], "enable_critic_lstm": False}
    agent = RecurrentPPO(
        "MlpLstmPolicy",
        alone,
        n_steps=8,
        batch_size=8,
        policy_kwargs={**policy_kwargs, "shared_lstm": True},
        seed=0,
        device="cpu",
    )
    with torch.no_grad():  # an untrained policy hardly listens to its memory: make it
        for name, parameter in agent.policy.named_parameters():
            parameter.copy_(torch.randn_like(parameter) * (3.0 if "lstm" in name else 1.0))
    one_by_one = play_episodes(agent, alone, SEEDS)
    together = play_episodes(agent, batch, SEEDS)
    each_first = [play_episodes(agent, alone, [seed]).returns[0] for seed in SEEDS]
    assert together.returns.tolist() == one_by_one.returns.tolist() == each_first
    forgetless: Any = Forgetless(agent)
    assert play_episodes(forgetless, alone, SEEDS).returns.tolist() != each_first


# --- action masks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("deterministic", [True, False])
def test_a_masked_agent_gets_the_valid_actions(evaluation_env: Build, deterministic: bool):
    env = evaluation_env(ONE_WAY_OUT, 3)
    agent = MaskablePPO("MlpPolicy", env, n_steps=8, batch_size=24, seed=0, device="cpu")
    episodes = play_episodes(agent, env, SEEDS[:7], deterministic=deterministic)
    assert episodes.returns.tolist() == [8.0] * 7
    unmasked = PPO("MlpPolicy", env, n_steps=8, batch_size=24, seed=0, device="cpu")
    assert play_episodes(unmasked, env, SEEDS[:7], deterministic=deterministic).mean_reward < 4


def test_only_agents_that_take_masks_are_given_them():
    assert takes_action_masks(MaskablePPO)
    assert not takes_action_masks(PPO)
    assert not takes_action_masks(RecurrentPPO)
    assert not takes_action_masks(FixedAgent)


# --- normalisation --------------------------------------------------------------------------------


def test_normalisation_statistics_are_shared_applied_and_left_alone(evaluation_env: Build):
    normalized = WALK.model_copy(
        update={"normalize": NormalizeConfig(observations=True, rewards=True)}
    )
    training_env = build_env(normalized, [0, 1], training=True)
    vec_normalize = unwrap_vec_normalize(training_env)
    assert vec_normalize is not None
    known = {
        "obs/mean": np.array([5.0, 100.0]),
        "obs/var": np.array([4.0, 25.0]),
        "obs/count": np.array(50.0),
        "returns/mean": np.array(3.0),
        "returns/var": np.array(1e4),
        "returns/count": np.array(50.0),
    }
    set_statistics(vec_normalize, known)
    agent = FixedAgent(1, vec_normalize)
    env = evaluation_env(normalized, 3)
    episodes = play_episodes(agent, env, SEEDS)
    training_env.close()

    returns, lengths = _expected(SEEDS, lambda _: 1)
    assert episodes.returns.tolist() == returns  # rewards are not normalised
    first = agent.observations[0]  # of the first three episodes
    np.testing.assert_allclose(first[:, 0], (np.array(lengths[:3]) - 5) / 2, rtol=1e-4)
    np.testing.assert_allclose(first[:, 1], -10)  # (N(0, 1) − 100) / 5, clipped at 10
    evaluated = unwrap_vec_normalize(env)
    assert evaluated is not None
    for vec in (vec_normalize, evaluated):
        for name, array in statistics(vec).items():
            np.testing.assert_array_equal(array, known[name])


def test_the_shared_statistics_are_a_copy(evaluation_env: Build):
    normalized = WALK.model_copy(update={"normalize": NormalizeConfig(observations=True)})
    training_env = build_env(normalized, [0])
    vec_normalize = unwrap_vec_normalize(training_env)
    env = evaluation_env(normalized, 2)
    evaluated = unwrap_vec_normalize(env)
    assert vec_normalize is not None
    assert evaluated is not None
    play_episodes(FixedAgent(1, vec_normalize), env, SEEDS)
    before = {name: array.copy() for name, array in statistics(evaluated).items()}
    training_env.reset()
    for _ in range(20):
        training_env.step(np.array([0]))
    training_env.close()
    assert statistics(vec_normalize)["obs/count"] > before["obs/count"]
    for name, array in statistics(evaluated).items():
        np.testing.assert_array_equal(array, before[name])


def test_an_environment_that_does_not_normalise_is_left_so(evaluation_env: Build):
    normalized = WALK.model_copy(update={"normalize": NormalizeConfig(observations=True)})
    training_env = build_env(normalized, [0])
    agent = FixedAgent(1, unwrap_vec_normalize(training_env))
    episodes = play_episodes(agent, evaluation_env(WALK, 1), SEEDS)
    training_env.close()
    returns, lengths = _expected(SEEDS, lambda _: 1)
    assert episodes.returns.tolist() == returns
    assert agent.observations[0][0, 0] == lengths[0]


# --- the numbers ----------------------------------------------------------------------------------


def _episodes(returns: list[float]) -> Episodes:
    n = len(returns)
    return Episodes(np.arange(n), np.array(returns), np.ones(n, dtype=int), np.full(n, np.nan))


def test_the_mean_and_the_sample_deviation_of_returns():
    episodes = _episodes([1.0, 2.0, 6.0])
    assert episodes.mean_reward == 3.0
    assert episodes.std_reward == pytest.approx(np.sqrt((4 + 1 + 9) / 2))


def test_a_single_episode_has_no_deviation():
    assert _episodes([4.0]).std_reward == 0.0


# --- as SB3 plays them ---------------------------------------------------------------------------


def test_returns_are_those_of_sb3s_evaluate_policy_with_one_environment():
    config = EnvConfig(id="CartPole-v1")
    seeds = [11 * k for k in range(25)]
    ours = build_env(config, seeds[:10], training=False)
    agent = PPO("MlpPolicy", ours, n_steps=64, batch_size=64, learning_rate=0.02, seed=0)
    agent.learn(64 * 10)
    theirs = Monitor(EpisodeSeeds(make_single_env(config), seeds))
    returns, lengths = evaluate_policy(agent, theirs, len(seeds), return_episode_rewards=True)
    episodes = play_episodes(agent, ours, seeds)
    ours.close()
    assert episodes.returns.tolist() == returns
    assert episodes.lengths.tolist() == lengths
    assert len(set(lengths)) > 5
