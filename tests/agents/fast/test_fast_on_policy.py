from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import twins
from gymnasium import spaces
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.vec_env import DummyVecEnv

from rl_runner.agents.fast.kernels.optimizers import clip_norm
from rl_runner.agents.fast.on_policy import FastA2C, FastPPO
from rl_runner.agents.fast.reasons import reason_against_on_policy

pytestmark = pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")

TWINS: dict[str, tuple[type[Any], type[Any]]] = {"ppo": (PPO, FastPPO), "a2c": (A2C, FastA2C)}
EITHER = (True, False)
both_algorithms = pytest.mark.parametrize("algorithm", TWINS)


def random_keywords(algorithm: str, rng: np.random.Generator) -> dict[str, Any]:
    def choose(*choices: Any) -> Any:
        return twins.choose(rng, *choices)

    policy: dict[str, Any] = {
        "net_arch": twins.random_net_arch(rng, separate=choose(*EITHER)),
        "activation_fn": choose(*twins.ACTIVATIONS),
        "share_features_extractor": choose(*EITHER),
        "log_std_init": choose(0.0, -0.5),
    }
    keywords: dict[str, Any] = {
        "learning_rate": choose(1e-4, 3e-3),
        "n_steps": choose(5, 12),
        "gamma": choose(0.9, 0.99),
        "gae_lambda": choose(0.8, 1.0),
        "ent_coef": choose(0.0, 0.02),
        "vf_coef": choose(0.25, 0.5),
        "max_grad_norm": choose(0.05, 0.5, 10.0),
        "normalize_advantage": choose(*EITHER),
        "policy_kwargs": policy,
    }
    if algorithm == "a2c":
        optimizer = choose("rmsprop", "adam", "tf")
        keywords["use_rms_prop"] = optimizer == "rmsprop"
        if optimizer == "tf":
            policy["optimizer_class"] = RMSpropTFLike
            policy["optimizer_kwargs"] = {"eps": 1e-5, "alpha": 0.95}
        return keywords
    return keywords | {
        "batch_size": choose(4, 7, 24),
        "n_epochs": choose(1, 4),
        "clip_range": choose(0.05, 0.3),
        "clip_range_vf": choose(None, 0.1),
        "target_kl": choose(None, 0.01),
    }


def fill(agent: Any, rng: np.random.Generator) -> None:
    """Put a made-up rollout into the buffer, near enough to the policy for ratios around 1."""
    buffer = agent.rollout_buffer
    buffer.reset()
    space = agent.observation_space
    if isinstance(space, spaces.Discrete):
        buffer.observations[:] = rng.integers(space.n, size=buffer.observations.shape)
    else:
        buffer.observations[:] = rng.uniform(-1, 1, buffer.observations.shape)
    if isinstance(agent.action_space, spaces.Discrete):
        buffer.actions[:] = rng.integers(agent.action_space.n, size=buffer.actions.shape)
    else:
        buffer.actions[:] = rng.normal(size=buffer.actions.shape)
    for array in (buffer.values, buffer.advantages, buffer.returns):
        array[:] = rng.normal(size=array.shape)
    for t in range(buffer.buffer_size):
        with torch.no_grad():
            obs = agent.policy.obs_to_tensor(
                buffer.observations[t].reshape(-1, *(space.shape or ()))
            )[0]
            actions = torch.as_tensor(buffer.actions[t])
            if isinstance(agent.action_space, spaces.Discrete):
                actions = actions.flatten()
            log_probs = agent.policy.evaluate_actions(obs, actions)[1].numpy()
        buffer.log_probs[t] = log_probs + rng.normal(scale=0.08, size=log_probs.shape)
    buffer.pos, buffer.full = buffer.buffer_size, True


@both_algorithms
@pytest.mark.parametrize("seed", range(12))
def test_updates_equal_stock_ones(algorithm: str, seed: int):
    rng = np.random.default_rng([seed, *algorithm.encode()])
    observations, actions = twins.SPACES[seed % len(twins.SPACES)]
    stock, fast = twins.twins(
        *TWINS[algorithm],
        lambda: twins.world(observations, actions),
        **random_keywords(algorithm, rng),
    )
    for update in range(3):
        fill(stock, np.random.default_rng(update))
        copy_rollout(stock, fast)
        for agent in (stock, fast):
            np.random.seed(update)  # noqa: NPY002 - SB3 draws from it
            agent.train()
        twins.assert_alike(stock, fast)


def copy_rollout(source: Any, target: Any) -> None:
    target.rollout_buffer.reset()
    for name in ("observations", "actions", "values", "advantages", "returns", "log_probs"):
        getattr(target.rollout_buffer, name)[:] = getattr(source.rollout_buffer, name)
    target.rollout_buffer.full = True


def collect(agent: Any, updates: int = 1) -> None:
    agent.learn(agent.n_steps * agent.n_envs * updates)


@both_algorithms
@pytest.mark.parametrize(("observations", "actions"), twins.SPACES)
def test_rollouts_hold_what_stock_sb3_would_compute(
    algorithm: str, observations: str, actions: str, monkeypatch: pytest.MonkeyPatch
):
    stock, fast = twins.twins(
        *TWINS[algorithm],
        lambda: twins.world(observations, actions, 3),
        n_steps=20,
        gamma=0.9,
        gae_lambda=0.7,
    )
    kept: dict[str, Any] = {}
    monkeypatch.setattr(type(fast), "train", lambda self: kept.update(vars(self.rollout_buffer)))
    collect(fast)
    given = {name: kept[name].copy() for name in ("values", "advantages", "returns", "log_probs")}
    rewards = kept["rewards"].copy()  # with the value of what would have followed a truncation
    obs = kept["observations"].reshape(-1, *(fast.observation_space.shape or ()))
    drawn = torch.as_tensor(kept["actions"].reshape(60, -1))
    with torch.no_grad():
        chosen = drawn.flatten() if actions == "discrete" else drawn
        values, log_probs, _ = stock.policy.evaluate_actions(
            stock.policy.obs_to_tensor(obs)[0], chosen
        )
        last_values = stock.policy.predict_values(stock.policy.obs_to_tensor(fast._last_obs)[0])
    np.testing.assert_allclose(given["values"].reshape(-1), values[:, 0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(given["log_probs"].reshape(-1), log_probs, rtol=1e-4, atol=1e-5)
    buffer = stock.rollout_buffer
    buffer.rewards[:], buffer.values[:] = rewards, given["values"]
    buffer.episode_starts[:] = kept["episode_starts"]
    buffer.compute_returns_and_advantage(last_values, fast._last_episode_starts)
    np.testing.assert_allclose(given["advantages"], buffer.advantages, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(given["returns"], buffer.returns, rtol=1e-4, atol=1e-5)


class CutOff(twins.RandomWorld):
    """Every episode is cut off after its first step, which pays nothing."""

    def step(self, action: Any) -> Any:
        obs, _, _, _, info = super().step(action)
        return obs, 0.0, False, True, info


@both_algorithms
def test_what_would_have_followed_a_truncation_is_worth_its_value(algorithm: str):
    env = DummyVecEnv([lambda: CutOff("box", "discrete")] * 2)
    ends: list[np.ndarray] = []
    step_wait = env.step_wait

    def remember() -> Any:
        result = step_wait()
        ends.append(np.array([info["terminal_observation"] for info in result[3]]))
        return result

    env.step_wait = remember  # type: ignore[method-assign]
    fast = TWINS[algorithm][1]("MlpPolicy", env, n_steps=3, gamma=0.5, device="cpu", seed=0)
    before = fast._values(np.zeros((1, 3)))  # of weights that do not change before the update
    rewards: list[np.ndarray] = []
    fast.train = lambda: rewards.append(fast.rollout_buffer.rewards.copy())
    collect(fast)
    assert before == fast._values(np.zeros((1, 3)))
    expected = [0.5 * fast._values(end) for end in ends]
    np.testing.assert_allclose(rewards[0], expected, rtol=1e-4)


@pytest.mark.parametrize("actions", twins.ACTIONS)
def test_actions_are_drawn_from_the_policys_distribution(actions: str):
    fast = FastPPO("MlpPolicy", twins.world("box", actions, 1), n_steps=4, device="cpu", seed=3)
    with torch.no_grad():
        for parameter in fast.policy.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    obs = np.full((4000, 3), 0.5)
    drawn = np.zeros((4000, fast.rollout_buffer.action_dim), fast.rollout_buffer.actions.dtype)
    rows = (drawn, *np.zeros((2, 4000), np.float32))
    fast._networks.act(fast._features(obs), rows)
    distribution = fast.policy.get_distribution(torch.full((1, 3), 0.5)).distribution
    played = fast.predict(obs, deterministic=False)[0]
    if actions == "discrete":
        probabilities = distribution.probs.detach().numpy()[0]
        for chosen in (drawn[:, 0], played):
            shares = np.bincount(chosen, minlength=3) / 4000
            np.testing.assert_allclose(shares, probabilities, atol=0.03)  # 4 standard deviations
    else:
        mean, std = (part.detach().numpy()[0] for part in (distribution.mean, distribution.stddev))
        np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.07 * std.max())
        np.testing.assert_allclose(drawn.std(axis=0), std, rtol=0.06)
        assert played.min() >= -1.0
        assert played.max() <= 2.0


@both_algorithms
@pytest.mark.parametrize(("observations", "actions"), twins.SPACES)
def test_predictions_equal_stock_ones(algorithm: str, observations: str, actions: str):
    stock, fast = twins.twins(*TWINS[algorithm], lambda: twins.world(observations, actions))
    obs = np.array([stock.observation_space.sample() for _ in range(50)])
    ours, theirs = (
        fast.predict(obs, deterministic=True)[0],
        stock.predict(obs, deterministic=True)[0],
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    one, expected = (agent.predict(obs[0], deterministic=True)[0] for agent in (fast, stock))
    assert np.shape(one) == np.shape(expected)
    np.testing.assert_allclose(one, expected, rtol=1e-4, atol=1e-6)
    if observations != "discrete":
        with pytest.raises(ValueError, match="shape"):
            fast.predict(np.zeros((2, 7)))


@both_algorithms
def test_files_load_in_stock_sb3_and_training_continues_in_either(algorithm: str, tmp_path: Path):
    stock_class, fast_class = TWINS[algorithm]
    fast = fast_class("MlpPolicy", twins.world(), n_steps=16, device="cpu", seed=0)
    collect(fast, 2)
    fast.save(tmp_path / "model.zip")
    stock = stock_class.load(tmp_path / "model.zip", env=twins.world(), device="cpu")
    assert type(stock) is stock_class
    other = fast_class("MlpPolicy", twins.world(), n_steps=16, device="cpu", seed=5)
    other.set_parameters(stock.get_parameters())
    other._n_updates = stock._n_updates
    for agent in (stock, other):
        agent.set_logger(fast.logger)
        agent._current_progress_remaining = 0.5
    fill(stock, np.random.default_rng(0))
    copy_rollout(stock, other)
    weights = [parameter.detach().clone() for parameter in stock.policy.parameters()]
    for agent in (stock, other):
        np.random.seed(0)  # noqa: NPY002
        agent.train()
    twins.assert_alike(stock, other)
    after = list(stock.policy.parameters())
    assert any((a != b).any() for a, b in zip(weights, after, strict=True))


def moments(agent: Any) -> dict[int, dict[str, np.ndarray]]:
    state = agent.policy.optimizer.state_dict()["state"]
    return {i: {k: v.numpy().copy() for k, v in row.items()} for i, row in state.items()}


@both_algorithms
def test_loading_keeps_what_is_not_loaded(algorithm: str):
    fast = TWINS[algorithm][1]("MlpPolicy", twins.world(), n_steps=16, device="cpu", seed=0)
    collect(fast, 2)
    before = moments(fast)
    assert all(row["step"] for row in before.values())
    fast.set_parameters(fast.get_parameters())
    np.testing.assert_equal(moments(fast), before)
    fast.set_parameters({"policy": fast.policy.state_dict()}, exact_match=False)
    np.testing.assert_equal(moments(fast), before)


class Blind(twins.RandomWorld):
    """It sees no numbers."""

    def _look(self) -> Any:
        return super()._look() * np.nan


@both_algorithms
def test_learning_that_has_run_away_raises_as_in_stock_sb3(algorithm: str):
    env = DummyVecEnv([lambda: Blind("box", "discrete")] * 2)
    stock, fast = twins.twins(*TWINS[algorithm], lambda: env, n_steps=8)
    with pytest.raises(ValueError, match="invalid values"):
        collect(stock)
    with pytest.raises(FloatingPointError, match="no longer finite"):
        collect(fast)


def test_a_gradient_with_a_nan_in_it_becomes_all_nan_as_in_torch():
    gradient = np.array([np.nan, 1.0], np.float32)
    clip_norm(gradient, 0.5)
    parameter = torch.zeros(2, requires_grad=True)
    parameter.grad = torch.tensor([np.nan, 1.0])
    torch.nn.utils.clip_grad_norm_([parameter], 0.5)
    np.testing.assert_array_equal(gradient, parameter.grad)


def test_a_large_kl_divergence_ends_the_update_as_in_stock_ppo():
    stock, fast = twins.twins(
        PPO,
        FastPPO,
        twins.world,
        n_steps=32,
        batch_size=16,
        n_epochs=10,
        learning_rate=0.01,
        target_kl=0.02,
    )
    fill(stock, np.random.default_rng(0))
    copy_rollout(stock, fast)
    for agent in (stock, fast):
        np.random.seed(1)  # noqa: NPY002
        agent.train()
    assert 1 < stock._n_updates < 10
    twins.assert_alike(stock, fast)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "images": (
        lambda: PPO(
            "CnnPolicy",
            DummyVecEnv([lambda: Spaces(spaces.Box(0, 255, (36, 36, 3), np.uint8))]),
            n_steps=2,
            batch_size=2,
            device="cpu",
        ),
        "policies other than",
    ),
    "gSDE": (
        lambda: PPO("MlpPolicy", twins.world("box", "box"), use_sde=True, device="cpu"),
        "gSDE",
    ),
    "several discrete actions": (
        lambda: A2C(
            "MlpPolicy",
            DummyVecEnv([lambda: Spaces(actions=spaces.MultiDiscrete([2, 2]))]),
            device="cpu",
        ),
        "MultiDiscrete actions",
    ),
    "whole numbers as actions": (
        lambda: PPO(
            "MlpPolicy",
            DummyVecEnv([lambda: Spaces(actions=spaces.Box(0, 9, (2,), np.int64))]),
            device="cpu",
        ),
        "Box actions of int64",
    ),
    "several discrete observations": (
        lambda: A2C(
            "MlpPolicy", DummyVecEnv([lambda: Spaces(spaces.MultiBinary(3))]), device="cpu"
        ),
        "MultiBinary observations",
    ),
    "another activation": (
        lambda: A2C(
            "MlpPolicy", twins.world(), policy_kwargs={"activation_fn": torch.nn.ELU}, device="cpu"
        ),
        "the layer ELU",
    ),
    "another optimiser": (
        lambda: PPO(
            "MlpPolicy",
            twins.world(),
            policy_kwargs={"optimizer_class": torch.optim.SGD},
            device="cpu",
        ),
        "the optimiser SGD",
    ),
    "weight decay": (
        lambda: PPO(
            "MlpPolicy",
            twins.world(),
            policy_kwargs={"optimizer_kwargs": {"weight_decay": 0.1}},
            device="cpu",
        ),
        "the optimiser's weight_decay",
    ),
}


class Spaces(twins.RandomWorld):
    """Nothing but spaces."""

    def __init__(self, observations: Any = None, actions: Any = None) -> None:
        super().__init__("box", "discrete")
        self.observation_space = observations or self.observation_space
        self.action_space = actions or self.action_space


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_compiled_twin_does_not_do_it_says(case: str):
    build, reason = REFUSED[case]
    assert reason in str(reason_against_on_policy(build()))


def test_what_it_does_it_does_not_refuse():
    for stock in (PPO, A2C):
        assert reason_against_on_policy(stock("MlpPolicy", twins.world(), device="cpu")) is None
