import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from stable_baselines3.common.vec_env import DummyVecEnv
from tiny_envs import Aim, Corridor, Match, Step

from rl_runner.agents.algorithms.reinforce import Batch, Reinforce, discounted_returns
from rl_runner.agents.saving import load_parameters
from rl_runner.errors import CheckpointError

BASELINES = ("none", "mean", "value")


def vec(*makers: Callable[[], gym.Env[Any, Any]]) -> DummyVecEnv:
    env = DummyVecEnv(list(makers))
    env.seed(0)
    return env


def bandit_agent(n_arms: int = 3, **keywords: Any) -> Reinforce:
    """Give an agent whose policy is a softmax of its last layer's bias."""
    defaults = {"baseline": "none", "normalize_advantage": False, "max_grad_norm": None}
    env = vec(functools.partial(Match, n_arms))
    return Reinforce(env, net_arch=[], seed=0, **{**defaults, **keywords})


def pulls(agent: Reinforce, actions: list[int], returns: list[float]) -> Batch:
    """Give the batch of these pulls, with features of zero, so that only the bias acts."""
    n_features = agent.observation_space.n
    return Batch(
        torch.zeros(len(actions), n_features),
        torch.tensor(actions),
        torch.tensor(returns),
    )


def last_bias(agent: Reinforce) -> torch.nn.Parameter:
    bias: torch.nn.Parameter = agent.policy.body[-1].bias
    return bias


def set_bias(agent: Reinforce, values: list[float]) -> None:
    with torch.no_grad():
        last_bias(agent).copy_(torch.tensor(values))


def set_value(agent: Reinforce, constant: float) -> None:
    with torch.no_grad():
        for parameter in agent.value.parameters():
            parameter.zero_()
        agent.value[-1].bias.fill_(constant)


# --- returns ------------------------------------------------------------------------------------

finite = st.floats(-100, 100, width=32)


@st.composite
def parallel_episodes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    shape = draw(st.tuples(st.integers(1, 12), st.integers(1, 3)))
    rewards = draw(hnp.arrays(np.float64, shape, elements=finite))
    ends = draw(hnp.arrays(np.bool_, shape))
    values_at_end = draw(hnp.arrays(np.float64, shape, elements=finite))
    return rewards, ends, values_at_end, draw(st.floats(0, 1))


def sum_of_what_follows(
    rewards: np.ndarray, ends: np.ndarray, values_at_end: np.ndarray, gamma: float
) -> float:
    """Add up one environment's discounted rewards from the first one to the episode's end."""
    end = int(np.argmax(ends)) if ends.any() else len(rewards) - 1
    total = sum(gamma**k * reward for k, reward in enumerate(rewards[: end + 1]))
    return total + (gamma ** (end + 1) * values_at_end[end] if ends.any() else 0.0)


@given(parallel_episodes())
def test_returns_are_the_discounted_sums_of_what_follows(
    episodes: tuple[np.ndarray, np.ndarray, np.ndarray, float],
) -> None:
    rewards, ends, values_at_end, gamma = episodes
    returns = discounted_returns(rewards, ends, values_at_end, gamma)
    assert returns.shape == rewards.shape
    for t, i in np.ndindex(rewards.shape):
        direct = sum_of_what_follows(rewards[t:, i], ends[t:, i], values_at_end[t:, i], gamma)
        assert returns[t, i] == pytest.approx(direct, rel=1e-9, abs=1e-9)


@given(parallel_episodes())
def test_returns_obey_their_recursion_exactly(
    episodes: tuple[np.ndarray, np.ndarray, np.ndarray, float],
) -> None:
    rewards, ends, values_at_end, gamma = episodes
    returns = discounted_returns(rewards, ends, values_at_end, gamma)
    following = np.vstack([returns[1:], np.zeros_like(returns[:1])])
    expected = rewards + gamma * np.where(ends, values_at_end, following)
    np.testing.assert_array_equal(returns, expected)


def test_an_end_keeps_the_next_episode_out_of_the_return() -> None:
    rewards = np.array([[1.0], [1.0], [100.0]])
    ends = np.array([[False], [True], [True]])
    returns = discounted_returns(rewards, ends, np.zeros((3, 1)), gamma=0.5)
    np.testing.assert_array_equal(returns, [[1.5], [1.0], [100.0]])


def test_whole_number_rewards_do_not_round_the_returns() -> None:
    rewards, ends = np.array([[1], [1]]), np.array([[False], [True]])
    returns = discounted_returns(rewards, ends, np.zeros((2, 1)), gamma=0.5)
    np.testing.assert_array_equal(returns, [[1.5], [1.0]])


# --- collecting ---------------------------------------------------------------------------------


def collected(agent: Reinforce) -> Batch:
    """Let the agent play one batch of episodes, and keep it from learning from them."""
    with mock.patch.object(agent, "_update") as update:
        agent.learn(1)
    batch: Batch = update.call_args.args[0]
    return batch


def test_a_terminated_episode_is_worth_its_rewards_only() -> None:
    agent = Reinforce(vec(functools.partial(Corridor, 3)), gamma=0.5, n_episodes=1)
    set_value(agent, 8.0)
    torch.testing.assert_close(collected(agent).returns, torch.tensor([1.75, 1.5, 1.0]))


def test_a_truncated_episode_is_bootstrapped_from_the_value_of_its_last_state() -> None:
    env = vec(functools.partial(Corridor, 3, truncate=True))
    agent = Reinforce(env, gamma=0.5, n_episodes=1)
    set_value(agent, 8.0)
    torch.testing.assert_close(collected(agent).returns, torch.tensor([2.75, 3.5, 5.0]))


def test_the_value_is_that_of_the_state_in_which_the_episode_was_cut_off() -> None:
    env = vec(functools.partial(Corridor, 2, truncate=True))
    agent = Reinforce(env, gamma=1.0, n_episodes=1, net_arch=[])
    set_value(agent, 0.0)
    with torch.no_grad():
        agent.value[-1].weight.copy_(torch.arange(16.0).square().unsqueeze(0))  # V(s) = s²
    torch.testing.assert_close(collected(agent).returns, torch.tensor([1 + 1 + 4.0, 1 + 4.0]))


@pytest.mark.parametrize("baseline", ["none", "mean"])
def test_without_a_value_a_truncated_episode_ends_like_any_other(baseline: str) -> None:
    env = vec(functools.partial(Corridor, 3, truncate=True))
    agent = Reinforce(env, gamma=0.5, n_episodes=1, baseline=baseline)
    set_value(agent, 8.0)
    torch.testing.assert_close(collected(agent).returns, torch.tensor([1.75, 1.5, 1.0]))


def test_every_environment_contributes_the_same_number_of_episodes() -> None:
    env = vec(functools.partial(Corridor, 2), functools.partial(Corridor, 7))
    agent = Reinforce(env, gamma=1.0, n_episodes=6)
    batch = collected(agent)
    steps_at = batch.observations.argmax(dim=1).bincount()  # the observation is the step number
    assert steps_at.tolist() == [6, 6, 3, 3, 3, 3, 3]
    episode_returns = batch.returns[batch.observations[:, 0] == 1]
    assert sorted(episode_returns.tolist()) == [2.0] * 3 + [7.0] * 3


def test_steps_of_an_environment_that_has_played_its_share_are_counted_as_played() -> None:
    env = vec(functools.partial(Corridor, 2), functools.partial(Corridor, 7))
    agent = Reinforce(env, n_episodes=6)
    assert len(collected(agent).returns) == 3 * 2 + 3 * 7
    assert agent.num_timesteps == 2 * 3 * 7


def test_a_batch_holds_the_same_steps_in_all_its_arrays() -> None:
    agent = Reinforce(vec(Match, Match), n_episodes=40, seed=0)
    batch = collected(agent)
    named = batch.observations.argmax(dim=1) == batch.actions
    torch.testing.assert_close(batch.returns, named.float())
    assert 0 < named.sum() < 40


def test_episodes_that_do_not_divide_among_the_environments_are_refused() -> None:
    with pytest.raises(ValueError, match="n_episodes=3 is not a multiple of n_envs=2"):
        Reinforce(vec(Match, Match), n_episodes=3)


# --- the gradient -------------------------------------------------------------------------------


def test_the_gradient_on_a_bandit_is_the_closed_form() -> None:
    agent = bandit_agent()
    set_bias(agent, [0.3, -0.5, 1.0])
    probabilities = torch.softmax(last_bias(agent).detach(), dim=0)
    actions, returns = [0, 2, 1, 2], [1.0, -2.0, 0.5, 3.0]
    agent._update(pulls(agent, actions, returns))
    # ∂/∂z of −mean(G log softmax(z)_a) = −mean(G (onehot(a) − π))
    onehot = torch.eye(3)[actions]
    expected = -(torch.tensor(returns).unsqueeze(1) * (onehot - probabilities)).mean(dim=0)
    torch.testing.assert_close(last_bias(agent).grad, expected)


@pytest.mark.parametrize("baseline", ["none", "mean"])
def test_the_expected_gradient_is_that_of_the_expected_reward_whatever_the_baseline(
    baseline: str,
) -> None:
    agent = bandit_agent(baseline=baseline)
    set_bias(agent, [0.0, 0.0, 0.0])
    rewards = torch.tensor([1.0, 5.0, -3.0])
    agent._update(pulls(agent, [0, 1, 2], rewards.tolist()))  # each arm as often as π says
    ascent = (rewards - rewards.mean()) / 3  # ∂J/∂z_k = π_k (r_k − J)
    torch.testing.assert_close(last_bias(agent).grad, -ascent)


def test_the_value_is_subtracted_and_takes_no_part_in_the_policys_gradient() -> None:
    agent = bandit_agent(baseline="value", vf_coef=0.5)
    set_bias(agent, [0.0, 0.0, 0.0])
    set_value(agent, 2.0)
    agent._update(pulls(agent, [0, 1], [3.0, 2.0]))
    advantage = torch.tensor([[1.0], [0.0]])
    expected = -(advantage * (torch.eye(3)[[0, 1]] - 1 / 3)).mean(dim=0)
    torch.testing.assert_close(last_bias(agent).grad, expected)
    # of vf_coef · mean((V − G)²): 0.5 · mean(2 (V − G)) = 0.5 · mean(−2, 0)
    torch.testing.assert_close(agent.value[-1].bias.grad, torch.tensor([-0.5]))


def test_the_gaussians_gradient_is_the_closed_form() -> None:
    agent = Reinforce(
        vec(Aim),
        net_arch=[],
        baseline="none",
        normalize_advantage=False,
        max_grad_norm=None,
        seed=0,
    )
    set_bias(agent, [0.5])
    actions, returns = torch.tensor([[1.0], [-0.5]]), torch.tensor([2.0, 3.0])
    agent._update(Batch(torch.zeros(2, 1), actions, returns))
    # σ = 1: ∂ log π/∂μ = a − μ and ∂ log π/∂ log σ = (a − μ)² − 1
    torch.testing.assert_close(last_bias(agent).grad, torch.tensor([-(2.0 * 0.5 + 3.0 * -1.0) / 2]))
    torch.testing.assert_close(
        agent.policy.log_std.grad, torch.tensor([-(2.0 * (0.25 - 1) + 3.0 * (1.0 - 1)) / 2])
    )


def test_an_update_makes_the_better_arm_more_likely() -> None:
    agent = bandit_agent()
    set_bias(agent, [0.0, 0.0, 0.0])
    agent._update(pulls(agent, [0, 1, 2], [0.0, 1.0, 0.0]))
    probabilities = torch.softmax(last_bias(agent).detach(), dim=0)
    assert probabilities[1] > 1 / 3 > probabilities[0]


def test_normalised_advantages_do_not_depend_on_the_rewards_scale_and_offset() -> None:
    gradients = []
    for scale, offset in ((1.0, 0.0), (100.0, -7.0)):
        agent = bandit_agent(normalize_advantage=True)
        returns = [scale * value + offset for value in (1.0, 2.0, 4.0)]
        agent._update(pulls(agent, [0, 1, 2], returns))
        gradients.append(last_bias(agent).grad)
    torch.testing.assert_close(gradients[0], gradients[1])
    assert gradients[0].abs().max() > 0.01


@pytest.mark.parametrize("returns", [[5.0], [5.0, 5.0, 5.0]])
def test_a_batch_of_equal_returns_or_of_one_step_gives_a_finite_gradient(
    returns: list[float],
) -> None:
    agent = bandit_agent(normalize_advantage=True)
    agent._update(pulls(agent, [0, 1, 2][: len(returns)], returns))
    assert torch.isfinite(last_bias(agent)).all()


def test_the_entropy_bonus_evens_the_policy_out() -> None:
    agent = bandit_agent(ent_coef=0.1)
    set_bias(agent, [1.0, 0.0, 0.0])
    agent._update(pulls(agent, [0, 1, 2], [0.0, 0.0, 0.0]))
    gradient = last_bias(agent).grad
    assert gradient[0] > 0 > gradient[1]
    assert torch.softmax(last_bias(agent).detach(), 0)[0] < torch.softmax(torch.eye(3)[0], 0)[0]


def test_the_gradients_norm_is_clipped_over_all_parameters() -> None:
    agent = bandit_agent(baseline="value", max_grad_norm=0.5)
    agent._update(pulls(agent, [0, 1, 2], [1e3, -1e3, 5e2]))
    gradients = [
        parameter.grad.flatten() for parameter in agent.all_parameters if parameter.grad is not None
    ]
    assert torch.cat(gradients).norm() == pytest.approx(0.5, rel=1e-4)
    assert agent.logger.name_to_value["train/grad_norm"] > 100


def test_no_maximum_leaves_the_gradient_as_it_is() -> None:
    agent = bandit_agent(max_grad_norm=None)
    set_bias(agent, [0.0, 0.0, 0.0])
    agent._update(pulls(agent, [0], [3e3]))
    torch.testing.assert_close(last_bias(agent).grad, torch.tensor([-2e3, 1e3, 1e3]))


def test_the_learning_rate_follows_its_schedule() -> None:
    env = vec(functools.partial(Corridor, 5))
    rates: list[float] = []
    agent = Reinforce(env, learning_rate=lambda remaining: 0.01 * remaining, n_episodes=2)

    def note(_locals: dict[str, Any], _globals: dict[str, Any]) -> bool:
        rates.append(agent.optimizer.param_groups[0]["lr"])
        return True

    agent.learn(40, note)
    # Updates come after 10, 20, 30 and 40 steps; each uses the progress at its time.
    assert rates[0] == rates[9] == pytest.approx(0.01)
    assert [rates[t] for t in (10, 20, 30)] == pytest.approx([0.0075, 0.005, 0.0025])
    assert agent.optimizer.param_groups[0]["lr"] == pytest.approx(0.0)


def test_metrics_carry_sb3s_names() -> None:
    agent = Reinforce(vec(Match), n_episodes=4, seed=0)
    agent._update(collected(agent))
    logged = agent.logger.name_to_value
    assert logged["train/entropy_loss"] == -logged["train/policy_entropy"]
    expected = logged["train/policy_gradient_loss"] + 0.5 * logged["train/value_loss"]
    assert logged["train/loss"] == pytest.approx(expected, rel=1e-5)
    assert logged["train/explained_variance"] <= 1
    assert logged["train/n_updates"] == 1


# --- learning -----------------------------------------------------------------------------------


@pytest.mark.parametrize("baseline", BASELINES)
def test_it_learns_to_name_what_it_sees(baseline: str) -> None:
    agent = Reinforce(
        vec(*[Match] * 8),
        baseline=baseline,
        n_episodes=32,
        learning_rate=0.05,
        net_arch=[],
        seed=1,
    )
    agent.learn(3000)
    actions, _ = agent.predict(np.arange(3), deterministic=True)
    assert actions.tolist() == [0, 1, 2]
    sampled, _ = agent.predict(np.repeat(np.arange(3), 100))
    assert np.mean(sampled == np.repeat(np.arange(3), 100)) > 0.9


@pytest.mark.parametrize("baseline", BASELINES)
def test_it_learns_to_aim_at_what_it_sees(baseline: str) -> None:
    agent = Reinforce(
        vec(*[Aim] * 8),
        baseline=baseline,
        n_episodes=64,
        learning_rate=0.05,
        net_arch=[],
        seed=1,
    )
    agent.learn(12_000)
    targets = np.linspace(-0.5, 0.5, 11, dtype=np.float32)[:, np.newaxis]
    actions, _ = agent.predict(targets, deterministic=True)
    assert np.mean((actions - targets) ** 2) < 0.01  # a constant action of 0 has 0.1
    assert agent.policy.log_std.item() < -0.5  # it has become surer


def test_it_learns_whatever_the_nonlinearity_and_width() -> None:
    agent = Reinforce(
        vec(*[Match] * 8),
        n_episodes=32,
        learning_rate=0.02,
        net_arch=[8],
        activation="relu",
        seed=0,
    )
    agent.learn(3000)
    assert agent.predict(np.arange(3), deterministic=True)[0].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("activation", "layer"), [("tanh", torch.nn.Tanh), ("relu", torch.nn.ReLU)]
)
def test_networks_have_the_widths_and_the_nonlinearity_written(
    activation: Any, layer: type[torch.nn.Module]
) -> None:
    agent = Reinforce(vec(functools.partial(Match, 3)), net_arch=[8, 4], activation=activation)
    for network, n_outputs in ((agent.policy.body, 3), (agent.value, 1)):
        kinds = [type(module) for module in network]
        assert kinds == [torch.nn.Linear, layer, torch.nn.Linear, layer, torch.nn.Linear]
        assert [module.out_features for module in network[::2]] == [8, 4, n_outputs]


def test_at_least_the_budget_is_played_in_whole_batches() -> None:
    agent = Reinforce(vec(functools.partial(Corridor, 5)), n_episodes=2)
    agent.learn(25)
    assert (agent.num_timesteps, agent.n_updates) == (30, 3)


# --- actions ------------------------------------------------------------------------------------


def test_actions_stay_within_the_bounds_of_their_box() -> None:
    env = vec(functools.partial(Aim, -0.25, 0.5))
    agent = Reinforce(env, net_arch=[], n_episodes=50, seed=0)
    observations = np.zeros((50, 1), dtype=np.float32)
    for bias, bound in ((10.0, 0.5), (-10.0, -0.25)):
        set_bias(agent, [bias])
        for deterministic in (True, False):
            actions, _ = agent.predict(observations, deterministic=deterministic)
            np.testing.assert_array_equal(actions, np.full((50, 1), bound, dtype=np.float32))


def test_the_environment_is_given_bounded_actions_but_the_gradient_sees_the_sampled_ones() -> None:
    env = vec(functools.partial(Aim, -0.25, 0.5))
    agent = Reinforce(env, net_arch=[], n_episodes=50, seed=0)
    batch = collected(agent)
    given_actions = np.array(env.envs[0].actions)
    np.testing.assert_array_equal(given_actions, np.clip(batch.actions.numpy(), -0.25, 0.5))
    assert batch.actions.abs().max() > 1


class _Shaped(Aim):
    """Takes actions of any shape, and nothing else."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.action_space = gym.spaces.Box(-1.0, 1.0, shape, np.float32)

    def step(self, action: np.ndarray) -> Step:
        assert np.shape(action) == self.action_space.shape
        return super().step(np.mean(action, keepdims=True))


@pytest.mark.parametrize("shape", [(2,), (2, 2), (1, 3), ()])
def test_actions_have_the_shape_of_their_box(shape: tuple[int, ...]) -> None:
    agent = Reinforce(vec(functools.partial(_Shaped, shape)), n_episodes=2, seed=0).learn(4)
    assert agent.predict(np.zeros(1, np.float32))[0].shape == shape
    assert agent.predict(np.zeros((3, 1), np.float32))[0].shape == (3, *shape)


def test_one_observation_gives_one_action_and_a_batch_a_batch() -> None:
    discrete = Reinforce(vec(Match), seed=0)
    assert discrete.predict(1, deterministic=True)[0].shape == ()
    assert discrete.predict(np.array([1, 2]), deterministic=True)[0].shape == (2,)
    box = Reinforce(vec(Aim), seed=0)
    assert box.predict(np.zeros(1, np.float32), deterministic=True)[0].shape == (1,)
    assert box.predict(np.zeros((2, 1), np.float32), deterministic=True)[0].shape == (2, 1)


def test_the_deterministic_action_is_the_most_likely_one() -> None:
    agent = bandit_agent()
    with torch.no_grad():
        agent.policy.body[-1].weight.zero_()
    set_bias(agent, [0.0, 2.0, 1.0])
    assert agent.predict(np.zeros(20, dtype=int), deterministic=True)[0].tolist() == [1] * 20
    sampled = agent.predict(np.zeros(200, dtype=int), deterministic=False)[0]
    assert set(sampled.tolist()) == {0, 1, 2}


def test_the_seed_decides_the_weights_and_what_is_learned() -> None:
    agents = [Reinforce(vec(Match), n_episodes=4, seed=seed).learn(40) for seed in (3, 3, 4)]
    first, second, other = (
        torch.cat([p.flatten() for p in agent.all_parameters]) for agent in agents
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


# --- saving -------------------------------------------------------------------------------------


def test_a_loaded_agent_predicts_the_same(tmp_path: Path) -> None:
    trained = Reinforce(vec(Aim), n_episodes=8, seed=1).learn(200)
    trained.save(str(tmp_path / "policy.pt"))
    loaded = Reinforce(vec(Aim), n_episodes=8, seed=2)
    observations = np.linspace(-0.5, 0.5, 20, dtype=np.float32)[:, np.newaxis]
    expected, _ = trained.predict(observations, deterministic=True)
    before, _ = loaded.predict(observations, deterministic=True)
    load_parameters(loaded, str(tmp_path / "policy.pt"))
    after, _ = loaded.predict(observations, deterministic=True)
    np.testing.assert_array_equal(after, expected)
    assert not np.array_equal(before, expected)
    assert (loaded.num_timesteps, loaded.n_updates) == (trained.num_timesteps, trained.n_updates)


def test_a_loaded_agent_continues_exactly_as_the_saved_one_would(tmp_path: Path) -> None:
    trained = Reinforce(vec(Match), n_episodes=8, seed=1).learn(200)
    trained.save(str(tmp_path / "policy.pt"))
    loaded = Reinforce(vec(Match), n_episodes=8, seed=2)
    load_parameters(loaded, str(tmp_path / "policy.pt"))
    for agent in (trained, loaded):
        agent.env.seed(5)
        torch.manual_seed(5)
        agent.learn(100, reset_num_timesteps=False)
    assert loaded.num_timesteps == trained.num_timesteps == 304
    for ours, theirs in zip(loaded.all_parameters, trained.all_parameters, strict=True):
        assert torch.equal(ours, theirs)


def test_learning_again_starts_a_new_budget_unless_it_is_to_continue() -> None:
    agent = Reinforce(vec(functools.partial(Corridor, 5)), n_episodes=2).learn(20)
    assert agent.learn(10, reset_num_timesteps=False).num_timesteps == 30
    assert agent.learn(10).num_timesteps == 10


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "truncated"])
def test_a_damaged_file_is_a_checkpoint_error(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "policy.pt"
    agent = Reinforce(vec(Match))
    if damage != "missing":
        agent.save(str(path))
        content = path.read_bytes()
        damaged = {"empty": b"", "text": b"no weights", "truncated": content[: len(content) // 2]}
        path.write_bytes(damaged[damage])
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_parameters(agent, str(path))


def test_weights_of_another_architecture_are_a_checkpoint_error(tmp_path: Path) -> None:
    Reinforce(vec(Match), net_arch=[8]).save(str(tmp_path / "policy.pt"))
    with pytest.raises(CheckpointError, match="size mismatch"):
        load_parameters(Reinforce(vec(Match), net_arch=[4]), str(tmp_path / "policy.pt"))


def test_nothing_is_unpickled_from_a_foreign_file(tmp_path: Path) -> None:
    torch.save({"policy": Match()}, tmp_path / "policy.pt")  # an object, not tensors
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_parameters(Reinforce(vec(Match)), str(tmp_path / "policy.pt"))
