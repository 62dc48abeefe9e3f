"""REINFORCE: Monte-Carlo policy gradient (Williams 1992; Sutton & Barto 2018, section 13.4).

The expected return's gradient is estimated from whole episodes,

    ∇J(θ) ∝ mean over steps of  (G_t − b(s_t)) ∇ log π_θ(a_t | s_t),

where G_t = r_{t+1} + γ r_{t+2} + γ² r_{t+3} + … is the discounted return that followed action a_t,
and the baseline b lowers the estimate's variance without biasing it. As is usual, the factor γ^t of
the exact discounted gradient is left out.

One iteration:

1. play a batch of episodes with π_θ,
2. compute the returns backwards through each episode,
3. subtract the baseline,
4. take one gradient step.
"""

import io
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.preprocessing import get_flattened_obs_dim, preprocess_obs
from stable_baselines3.common.type_aliases import MaybeCallback
from stable_baselines3.common.utils import (
    FloatSchedule,
    explained_variance,
    get_device,
    set_random_seed,
)
from stable_baselines3.common.vec_env import VecEnv
from torch import nn
from torch.distributions import Categorical, Distribution, Independent, Normal
from torch.nn import functional

from rl_runner.agents.handwritten import HandwrittenAgent

OBSERVATIONS = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


@dataclass(frozen=True)
class Batch:
    """The steps of whole episodes, flattened; N steps in all."""

    observations: torch.Tensor  # (N, n_features)
    actions: torch.Tensor  # (N,) for Discrete, (N, n_action_dims) for Box
    returns: torch.Tensor  # (N,) discounted


class PolicyNetwork(nn.Module):
    """π_θ(a | s): a categorical over Discrete actions, a diagonal Gaussian over Box actions."""

    def __init__(
        self, n_features: int, action_space: spaces.Space[Any], net_arch: Sequence[int], tanh: bool
    ) -> None:
        super().__init__()
        self.discrete = isinstance(action_space, spaces.Discrete)
        n_outputs = spaces.flatdim(action_space)
        self.body = mlp(n_features, net_arch, n_outputs, tanh)
        self.log_std = nn.Parameter(torch.zeros(0 if self.discrete else n_outputs))

    def forward(self, observations: torch.Tensor) -> Distribution:
        """Return the action distributions for (N, n_features) observations."""
        outputs = self.body(observations)
        if self.discrete:
            return Categorical(logits=outputs)
        return Independent(Normal(outputs, self.log_std.exp()), 1)


def mlp(n_inputs: int, net_arch: Sequence[int], n_outputs: int, tanh: bool) -> nn.Sequential:
    """Build a fully connected network with a linear last layer."""
    widths = [n_inputs, *net_arch]
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.Tanh() if tanh else nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], n_outputs))


def discounted_returns(
    rewards: np.ndarray, ends: np.ndarray, values_at_end: np.ndarray, gamma: float
) -> np.ndarray:
    """Compute G_t = r_{t+1} + γ G_{t+1} backwards through parallel episodes.

    :param rewards: (T, n_envs)
    :param ends: (T, n_envs) True where an episode ended with this step
    :param values_at_end: (T, n_envs) value of the state in which it ended; 0 if it terminated there
    :return: (T, n_envs) returns; steps after an environment's last end are not complete
    """
    returns = np.zeros(rewards.shape, np.result_type(rewards, np.float32))
    following = np.zeros_like(returns[0])
    for t in reversed(range(len(rewards))):
        following = rewards[t] + gamma * np.where(ends[t], values_at_end[t], following)
        returns[t] = following
    return returns


class Reinforce(HandwrittenAgent):
    """REINFORCE with an optional baseline.

    :param env: vectorised environment with vector observations and Discrete or Box actions
    :param learning_rate: Adam's step size, or a schedule of it
    :param gamma: discount factor
    :param n_episodes: episodes per update; a multiple of the number of parallel environments
    :param baseline: what is subtracted from the returns: nothing, their mean over the batch, or a
        learned state value V(s). Only the value also completes the returns of truncated episodes;
        the other two treat a truncated episode as if no reward had followed
    :param normalize_advantage: scale the advantages of a batch to mean 0 and standard deviation 1
    :param ent_coef: weight of the entropy bonus, which keeps the policy exploring
    :param vf_coef: weight of the value loss (``baseline: value``)
    :param max_grad_norm: clip the gradient to this norm; null leaves it as it is
    :param net_arch: widths of the hidden layers; null: [64, 64]
    :param activation: the hidden layers' nonlinearity
    :param stats_window_size: how many episodes ``rollout/ep_rew_mean`` averages
    :param device: where torch computes
    :param seed: seeds Python's, NumPy's and torch's generators
    :raises ValueError: if a space is not supported
    """

    def __init__(  # noqa: PLR0913, PLR0917 - hyperparameters, as SB3 takes them
        self,
        env: VecEnv,
        learning_rate: float | Callable[[float], float] = 3e-3,
        gamma: float = 0.99,
        n_episodes: int = 16,
        baseline: Literal["none", "mean", "value"] = "value",
        normalize_advantage: bool = True,
        ent_coef: float = 0.0,
        vf_coef: float = 0.5,
        max_grad_norm: float | None = 0.5,
        net_arch: list[int] | None = None,
        activation: Literal["tanh", "relu"] = "tanh",
        stats_window_size: int = 100,
        device: str = "cpu",
        seed: int | None = None,
    ) -> None:
        super().__init__(env, stats_window_size)
        # Refuse spaces and numbers of episodes that do not fit.
        if not isinstance(env.observation_space, OBSERVATIONS):
            message = f"REINFORCE needs vector observations, not {env.observation_space}"
            raise ValueError(message)
        if not isinstance(env.action_space, spaces.Discrete | spaces.Box):
            message = f"REINFORCE needs Discrete or Box actions, not {env.action_space}"
            raise ValueError(message)
        if n_episodes % env.num_envs:
            message = f"n_episodes={n_episodes} is not a multiple of n_envs={env.num_envs}"
            raise ValueError(message)
        # Seed torch before the networks draw their first weights, and keep the hyperparameters.
        if seed is not None:
            set_random_seed(seed)
        self.lr_schedule = FloatSchedule(learning_rate)
        self.gamma = gamma
        self.n_episodes = n_episodes
        self.baseline = baseline
        self.normalize_advantage = normalize_advantage
        self.ent_coef = ent_coef
        self.vf_coef = vf_coef
        self.max_grad_norm = max_grad_norm
        self.device = get_device(device)
        # Build the networks and the optimiser over both.
        n_features = get_flattened_obs_dim(env.observation_space)
        widths = [64, 64] if net_arch is None else net_arch
        tanh = activation == "tanh"
        self.policy = PolicyNetwork(n_features, env.action_space, widths, tanh).to(self.device)
        self.value = mlp(n_features, widths, 1, tanh).to(self.device)
        self.all_parameters = [*self.policy.parameters(), *self.value.parameters()]
        self.optimizer = torch.optim.Adam(self.all_parameters, lr=self.lr_schedule(1.0))
        self.n_updates = 0

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        *,
        reset_num_timesteps: bool = True,
        log_interval: int = 1,
    ) -> Self:
        """Learn for at least ``total_timesteps`` environment timesteps.

        :param log_interval: updates between two writes of the metrics
        """
        callback = self._begin(total_timesteps, callback, reset_num_timesteps)
        callback.on_training_start(locals(), globals())
        while self.num_timesteps < self._total_timesteps:
            # Play a batch of episodes with the present policy.
            callback.on_rollout_start()
            batch = self._collect(callback)
            if batch is None:  # a callback asked to stop
                break
            callback.on_rollout_end()

            # Improve the policy by one gradient step.
            self._update(batch)
            if self.n_updates % log_interval == 0:
                self.dump_logs(self.n_updates)
        callback.on_training_end()
        return self

    def _collect(self, callback: BaseCallback) -> Batch | None:
        """Play ``n_episodes`` episodes, the same number in each parallel environment.

        The first ``n_episodes`` to finish anywhere would favour short episodes. An environment that
        has played its share keeps stepping until the others have, but its steps are not recorded.

        :return: None if a callback asked to stop
        """
        still_to_play = np.full(self.n_envs, self.n_episodes // self.n_envs)
        steps: list[tuple[np.ndarray, ...]] = []
        obs = self.env.reset()
        while still_to_play.any():
            # One step of all environments.
            recorded = still_to_play > 0
            features, actions = self._sample_actions(obs)
            next_obs, rewards, dones, infos = self.env.step(self._for_environment(actions))
            values = self._values_at_truncation(infos)
            steps.append((features, actions, rewards, dones, values, recorded))

            # Count the step and the episodes that have ended with it, and call the callbacks.
            still_to_play -= dones & recorded
            obs = next_obs
            self.num_timesteps += self.n_envs
            self._note_episodes(
                [info for info, counts in zip(infos, recorded, strict=True) if counts]
            )
            callback.update_locals(locals())
            if not callback.on_step():
                return None

        # Stack the steps in time, (T, n_envs, …), and keep those that are recorded.
        features_, actions_, rewards_, ends, values_, recorded_ = map(
            np.array, zip(*steps, strict=True)
        )
        returns = discounted_returns(rewards_, ends, values_, self.gamma)
        return Batch(
            torch.as_tensor(features_[recorded_], device=self.device),
            torch.as_tensor(actions_[recorded_], device=self.device),
            torch.as_tensor(returns[recorded_], device=self.device),
        )

    def _sample_actions(self, obs: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the features of n observations (n, n_features), and an action for each."""
        features = self._features(obs)
        with torch.no_grad():
            return features.cpu().numpy(), self.policy(features).sample().cpu().numpy()

    def _update(self, batch: Batch) -> None:
        """Take one gradient step on the policy and, if it is the baseline, on the value."""
        # What the networks say about the batch.
        distribution = self.policy(batch.observations)
        log_prob = distribution.log_prob(batch.actions)  # (N,)
        entropy = distribution.entropy().mean()
        values = self.value(batch.observations).squeeze(-1)  # (N,)

        # G_t − b(s_t), if wanted normalised over the batch.
        advantages = batch.returns - self._baseline(batch.returns, values.detach())
        if self.normalize_advantage and len(advantages) > 1:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)

        # The loss, whose gradient is the negative estimate of ∇J(θ).
        policy_gradient_loss = -(log_prob * advantages).mean()
        value_loss = functional.mse_loss(values, batch.returns)
        loss = policy_gradient_loss - self.ent_coef * entropy
        if self.baseline == "value":
            loss = loss + self.vf_coef * value_loss

        # One step of Adam, with the scheduled step size and a bounded gradient.
        learning_rate = self.lr_schedule(1.0 - self.progress)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.zero_grad()
        loss.backward()
        max_norm = float("inf") if self.max_grad_norm is None else self.max_grad_norm
        grad_norm = nn.utils.clip_grad_norm_(self.all_parameters, max_norm)
        self.optimizer.step()
        self.n_updates += 1

        record = self.logger.record
        record("train/policy_gradient_loss", policy_gradient_loss.item())
        record("train/entropy_loss", -entropy.item())  # SB3's sign
        record("train/policy_entropy", entropy.item())
        record("train/loss", loss.item())
        record("train/grad_norm", grad_norm.item())
        record("train/learning_rate", learning_rate)
        record("train/n_updates", self.n_updates, exclude="tensorboard")
        if self.baseline == "value":
            record("train/value_loss", value_loss.item())
            fit = explained_variance(values.detach().cpu().numpy(), batch.returns.cpu().numpy())
            record("train/explained_variance", float(fit))
        if not self.policy.discrete:
            record("train/std", self.policy.log_std.exp().mean().item())

    def _baseline(self, returns: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """Return b(s_t): (N,), or one number for all steps."""
        if self.baseline == "value":
            return values
        return returns.mean() if self.baseline == "mean" else torch.zeros_like(returns)

    def _values_at_truncation(self, infos: Sequence[dict[str, Any]]) -> np.ndarray:
        """Return (n_envs,) V(s) where an episode was cut off, 0 elsewhere.

        A terminated episode has no future; a truncated one had one, and V(s) stands in for it.
        """
        values = np.zeros(self.n_envs, dtype=np.float32)
        for i, info in enumerate(infos):
            if self.baseline == "value" and info.get("TimeLimit.truncated", False):
                last_observation = np.asarray(info["terminal_observation"])[np.newaxis]
                with torch.no_grad():
                    values[i] = self.value(self._features(last_observation)).item()
        return values

    def _features(self, obs: Any) -> torch.Tensor:
        """Flatten observations to (n, n_features) floats; discrete ones become one-hot."""
        tensor = torch.as_tensor(obs, device=self.device)
        if isinstance(self.observation_space, spaces.Discrete | spaces.MultiDiscrete):
            # SB3's one-hot encoding counts from 0, whatever number the space starts with.
            tensor = tensor - torch.as_tensor(self.observation_space.start, device=self.device)
        return preprocess_obs(tensor, self.observation_space).flatten(start_dim=1)  # type: ignore[union-attr]

    def _for_environment(self, actions: np.ndarray) -> np.ndarray:
        """Turn (n, …) actions into elements of the environment's space: shifted, or clipped."""
        space = self.action_space
        if isinstance(space, spaces.Discrete):
            return np.asarray(actions + space.start)
        return np.clip(actions.reshape(-1, *space.shape), space.low, space.high)  # type: ignore[attr-defined, misc]

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,  # noqa: ARG002 - SB3's signature
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """Return the most likely (or a sampled) action for one or a batch of observations."""
        observation = np.asarray(observation)
        single = observation.shape == self.observation_space.shape
        features = self._features(observation[np.newaxis] if single else observation)
        with torch.no_grad():
            distribution = self.policy(features)
            actions = distribution.mode if deterministic else distribution.sample()
        bounded = self._for_environment(actions.cpu().numpy())
        return (bounded[0] if single else bounded), state

    def save(self, path: str) -> None:
        """Write networks, optimiser state and counters to ``path``, without pickled objects."""
        states = {
            "policy": self.policy.state_dict(),
            "value": self.value.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        counters = {"num_timesteps": self.num_timesteps, "n_updates": self.n_updates}
        # Through memory, because torch's own file writer hides that a disk is full.
        contents = io.BytesIO()
        torch.save({**states, **counters}, contents)
        Path(path).write_bytes(contents.getvalue())

    def load_parameters(self, path: str) -> None:
        """Load what :meth:`save` wrote; ``learn(…, reset_num_timesteps=False)`` resumes from it."""
        contents = torch.load(path, map_location=self.device, weights_only=True)
        self.policy.load_state_dict(contents["policy"])
        self.value.load_state_dict(contents["value"])
        self.optimizer.load_state_dict(contents["optimizer"])
        self.num_timesteps = contents["num_timesteps"]
        self.n_updates = contents["n_updates"]
