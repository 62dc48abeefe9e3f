"""PPO and A2C with compiled rollouts and updates: SB3's classes, two of their methods replaced.

Actions are drawn from NumPy's global generator instead of torch's, one uniform number per copy
(Discrete) or one normal number per component (Box). Stock PPO draws its minibatches from it, too.
Everything else is what stock SB3 computes, to float32's precision.
"""

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.distributions import DiagGaussianDistribution
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnv

from rl_runner.agents.fast.actor_critic_networks import ActorCriticNetworks, loss_settings
from rl_runner.agents.fast.kernels.acting import generalized_advantages
from rl_runner.agents.fast.kernels.actor_critic import (
    APPROX_KL,
    CLIP_FRACTION,
    ENTROPY_LOSS,
    LOSS,
    POLICY_LOSS,
    VALUE_LOSS,
    explained_variance,
)
from rl_runner.agents.fast.kernels.structures import Rollout
from rl_runner.agents.fast.prediction import (
    CompiledTwin,
    FastPrediction,
    MlpForward,
    categorical_actions,
    gaussian_actions,
)


class FastOnPolicy(CompiledTwin, OnPolicyAlgorithm):
    """What compiled PPO and A2C share; SB3's class of the algorithm comes after it."""

    def _setup_model(self) -> None:
        super()._setup_model()
        self._networks: ActorCriticNetworks = build_networks(self.policy)
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
            # Choose actions, which are written into the buffer with values and log-probabilities.
            obs: Any = self._last_obs
            actions = buffer.actions[t]
            networks.act(self._features(obs), (actions, buffer.values[t], buffer.log_probs[t]))
            # Step the environment.
            new_obs: Any
            new_obs, rewards, dones, infos = env.step(self._for_environment(actions))
            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            if np.count_nonzero(dones):
                self._update_info_buffer(infos, dones)
                self._complete_truncated(rewards, dones, infos)
            # Store the rest of the step.
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
        """Turn (n, k) actions into what the environment takes: shaped and clipped, or (n,)."""
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

    def _rollout(self) -> Rollout:
        """Return the rollout, copy after copy, as stock SB3 flattens it."""
        buffer = self.rollout_buffer
        flat = buffer.swap_and_flatten
        return Rollout(
            observations=self._features(flat(buffer.observations)),
            actions=flat(buffer.actions).astype(np.float32, copy=False),  # as stock SB3 casts them
            values=buffer.values.T.ravel(),
            log_probs=buffer.log_probs.T.ravel(),
            advantages=buffer.advantages.T.ravel(),
            returns=buffer.returns.T.ravel(),
        )

    def _record_update(self, rollout: Rollout, means: np.ndarray) -> None:
        """Record the metrics that PPO and A2C share.

        :param means: (N_STATISTICS,) over the minibatches
        """
        record = self.logger.record
        record("train/n_updates", self._n_updates, exclude="tensorboard")
        record("train/explained_variance", explained_variance(rollout.values, rollout.returns))
        record("train/entropy_loss", means[ENTROPY_LOSS])
        record("train/value_loss", means[VALUE_LOSS])
        if not self._networks.network.is_discrete:
            record("train/std", float(np.exp(self._networks.log_std).mean()))


class FastPPO(FastOnPolicy, PPO):
    """Stock PPO's twin (Schulman et al. 2017): the same keywords, files and metrics."""

    def train(self) -> None:
        """Take ``n_epochs`` passes over the rollout, or fewer if the KL divergence is reached."""
        # The settings at the present progress.
        self._update_learning_rate(self.policy.optimizer)
        progress = self._current_progress_remaining
        clip_range: float = self.clip_range(progress)  # type: ignore[operator]
        clip_range_vf: float | None = None
        if self.clip_range_vf is not None:
            clip_range_vf = self.clip_range_vf(progress)  # type: ignore[operator]
        settings = loss_settings(
            clip_range=clip_range,
            clip_range_vf=clip_range_vf,
            vf_coef=self.vf_coef,
            ent_coef=self.ent_coef,
            max_grad_norm=self.max_grad_norm,
            normalizes_advantage=self.normalize_advantage,
            kl_limit=None if self.target_kl is None else 1.5 * self.target_kl,
        )

        # Each epoch takes the rollout in another order.
        rollout = self._rollout()
        epochs = []
        for _ in range(self.n_epochs):
            indices = np.random.permutation(len(rollout.returns))  # noqa: NPY002 - as stock SB3
            statistics, is_complete = self._networks.take_epoch(
                rollout, indices, self.batch_size, settings
            )
            epochs.append(statistics)
            self._n_updates += 1
            if not is_complete:
                break

        # Metrics as stock PPO's: some of all epochs, some of the last one.
        means = np.concatenate(epochs).mean(axis=0)
        self._record_update(rollout, means)
        record = self.logger.record
        record("train/policy_gradient_loss", means[POLICY_LOSS])
        record("train/approx_kl", epochs[-1][:, APPROX_KL].mean())
        record("train/clip_fraction", means[CLIP_FRACTION])
        record("train/loss", epochs[-1][-1, LOSS])
        record("train/clip_range", clip_range)
        if clip_range_vf is not None:
            record("train/clip_range_vf", clip_range_vf)


class FastA2C(FastOnPolicy, A2C):
    """Stock A2C's twin (Mnih et al. 2016): the same keywords, files and metrics."""

    def train(self) -> None:
        """Take one step on the whole rollout."""
        self._update_learning_rate(self.policy.optimizer)
        settings = loss_settings(
            vf_coef=self.vf_coef,
            ent_coef=self.ent_coef,
            max_grad_norm=self.max_grad_norm,
            normalizes_advantage=self.normalize_advantage,
        )
        rollout = self._rollout()
        n = len(rollout.returns)
        (statistics,), _ = self._networks.take_epoch(rollout, np.arange(n), n, settings)
        self._n_updates += 1
        self._record_update(rollout, statistics)
        self.logger.record("train/policy_loss", statistics[POLICY_LOSS])


def build_networks(policy: ActorCriticPolicy) -> ActorCriticNetworks:
    """Give compiled code the policy's networks and their optimiser."""
    extractor = policy.mlp_extractor
    return ActorCriticNetworks(
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
