"""PPO and A2C with compiled rollouts and updates: SB3's classes, two of their methods replaced.

What is drawn at random: actions come from NumPy's global generator instead of torch's, one uniform
number per copy (Discrete) or one normal number per component (Box); stock PPO's minibatches come
from it, too. Everything else is what stock SB3 computes, to float32's precision.
"""

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.distributions import DiagGaussianDistribution
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnv

from rl_runner.agents.fast.actor_critic_networks import Networks
from rl_runner.agents.fast.kernels.acting import generalized_advantages
from rl_runner.agents.fast.prediction import (
    FastPrediction,
    MlpForward,
    categorical_actions,
    gaussian_actions,
)
from rl_runner.agents.fast.twin import CompiledTwin


class FastOnPolicy(CompiledTwin, OnPolicyAlgorithm):
    """What compiled PPO and A2C share; SB3's class of the algorithm comes after it."""

    def _setup_model(self) -> None:
        super()._setup_model()
        self._networks: Networks = build_networks(self.policy)
        self._prediction = build_prediction(self.policy)

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Fill the rollout buffer; False if a callback asked to stop."""
        rollout_buffer.reset()
        buffer, networks = rollout_buffer, self._networks
        callback.on_rollout_start()
        dones = np.zeros(env.num_envs, dtype=bool)
        for t in range(n_rollout_steps):
            obs: Any = self._last_obs
            actions = buffer.actions[t]
            networks.act(self._features(obs), (actions, buffer.values[t], buffer.log_probs[t]))
            new_obs: Any
            new_obs, rewards, dones, infos = env.step(self._for_environment(actions))
            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            if np.count_nonzero(dones):
                self._update_info_buffer(infos, dones)
                self._complete_truncated(rewards, dones, infos)
            buffer.observations[t] = obs.reshape(buffer.observations.shape[1:])
            buffer.rewards[t] = rewards
            buffer.episode_starts[t] = self._last_episode_starts
            self._last_obs = new_obs
            self._last_episode_starts = dones
        buffer.pos, buffer.full = n_rollout_steps, True
        self._compute_advantages(buffer, dones)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _for_environment(self, actions: np.ndarray) -> np.ndarray:
        """Shape, and clip, (n, k) actions as the environment takes them."""
        space = self.action_space
        if isinstance(space, spaces.Box):
            clipped: np.ndarray = np.clip(actions.reshape(-1, *space.shape), space.low, space.high)
            return clipped
        return actions[:, 0].copy()

    def _complete_truncated(
        self, rewards: np.ndarray, dones: np.ndarray, infos: list[dict[str, Any]]
    ) -> None:
        """Add the discounted value of the state in which an episode was cut off."""
        for i in np.flatnonzero(dones):
            if infos[i].get("TimeLimit.truncated") and "terminal_observation" in infos[i]:
                last = infos[i]["terminal_observation"]
                rewards[i] += self.gamma * self._values(np.asarray(last)[np.newaxis])[0]

    def _values(self, obs: Any) -> np.ndarray:
        values: np.ndarray = self._networks.value(self._features(obs))
        return values

    def _compute_advantages(self, buffer: RolloutBuffer, dones: np.ndarray) -> None:
        generalized_advantages(
            buffer.rewards,
            buffer.values,
            buffer.episode_starts,
            self._values(self._last_obs),
            dones,
            np.float32(self.gamma),
            np.float32(self.gamma * self.gae_lambda),
            buffer.advantages,
        )
        buffer.returns = buffer.advantages + buffer.values

    def _batch(self) -> tuple[np.ndarray, ...]:
        """Return the rollout, copy after copy, as stock SB3 flattens it."""
        buffer = self.rollout_buffer
        flat = buffer.swap_and_flatten
        columns = (buffer.values, buffer.log_probs, buffer.advantages, buffer.returns)
        return (
            self._features(flat(buffer.observations)),
            flat(buffer.actions).astype(np.float32, copy=False),  # as stock SB3 casts them
            *(flat(column)[:, 0] for column in columns),
        )

    def _record_std(self) -> None:
        if self._networks.n_std:
            self.logger.record("train/std", float(np.exp(self._networks.log_std).mean()))


def build_networks(policy: ActorCriticPolicy) -> Networks:
    """Give compiled code the policy's networks and their optimiser."""
    extractor = policy.mlp_extractor
    return Networks(
        policy.parameters(),
        policy.optimizer,
        [*extractor.policy_net, policy.action_net],
        [*extractor.value_net, policy.value_net],
        policy.log_std if isinstance(policy.action_dist, DiagGaussianDistribution) else None,
    )


def build_prediction(policy: ActorCriticPolicy) -> FastPrediction:
    """Build what stands in for ``policy.predict``."""
    outputs = MlpForward([*policy.mlp_extractor.policy_net, policy.action_net])
    if isinstance(policy.action_space, spaces.Box):
        act = gaussian_actions(policy.action_space, policy.log_std.detach().numpy())
    else:
        act = categorical_actions
    return FastPrediction(policy.observation_space, outputs, act)
