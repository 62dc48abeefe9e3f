"""REINFORCE with compiled acting and updates.

Actions are drawn from NumPy's global generator instead of torch's, one uniform number per copy
(Discrete) or one normal number per component (Box).
"""

from typing import Any

import numpy as np
from gymnasium import spaces

from rl_runner.agents.algorithms.reinforce import Batch, Reinforce
from rl_runner.agents.fast.actor_critic_networks import ActorCriticNetworks, loss_settings
from rl_runner.agents.fast.kernels import actor_critic as kernels
from rl_runner.agents.fast.kernels.structures import Rollout
from rl_runner.agents.fast.prediction import (
    FastPrediction,
    MlpForward,
    categorical_actions,
    features_of,
    gaussian_actions,
)


class FastReinforce(Reinforce):
    """The readable REINFORCE's twin: the same keywords, the same files, the same metrics."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        log_std = None if self.policy.discrete else self.policy.log_std
        self._networks = ActorCriticNetworks(
            self.all_parameters, self.optimizer, self.policy.body, self.value, log_std
        )
        features = features_of(self.observation_space)
        assert features is not None  # noqa: S101 - checked in reasons.py
        self._flat_features = features
        self._prediction = FastPrediction(
            self.observation_space, MlpForward(self.policy.body), self._act
        )

    def _act(self, outputs: np.ndarray, deterministic: bool) -> np.ndarray:
        space = self.action_space
        if isinstance(space, spaces.Box):
            log_std = self.policy.log_std.detach().numpy()
            return gaussian_actions(space, log_std)(outputs, deterministic)
        return self._for_environment(categorical_actions(outputs, deterministic))

    def _sample_actions(self, obs: Any) -> tuple[np.ndarray, np.ndarray]:
        features = self._flat_features(obs)
        n, discrete = len(features), self.policy.discrete
        actions = np.empty((n, 1 if discrete else spaces.flatdim(self.action_space)), np.float32)
        values, log_probs = np.empty((2, n), np.float32)
        self._networks.act(features, (actions, values, log_probs))
        return features, actions[:, 0].astype(np.int64) if discrete else actions

    def _update(self, batch: Batch) -> None:
        """Take one gradient step on the policy and, if it is the baseline, on the value."""
        features, returns = batch.observations.numpy(), batch.returns.numpy()
        actions = batch.actions.numpy().reshape(len(returns), -1).astype(np.float32)
        learns_value = self.baseline == "value"
        learning_rate = self.lr_schedule(1.0 - self.progress)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate

        # The baseline's advantages.
        values = self._networks.value(features)
        baseline = self._baseline(batch.returns, batch.returns.new_tensor(values)).numpy()

        # One step on the whole batch.
        rollout = Rollout(
            observations=features,
            actions=actions,
            values=values,
            log_probs=np.zeros_like(values),  # read only by PPO's clipped objective
            advantages=returns - baseline,
            returns=returns,
        )
        settings = loss_settings(
            vf_coef=self.vf_coef if learns_value else 0.0,
            ent_coef=self.ent_coef,
            max_grad_norm=self.max_grad_norm,
            normalizes_advantage=self.normalize_advantage,
        )
        (statistics,), _ = self._networks.take_epoch(
            rollout, np.arange(len(returns)), len(returns), settings
        )
        self.n_updates += 1

        record = self.logger.record
        record("train/policy_gradient_loss", statistics[kernels.POLICY_LOSS])
        record("train/entropy_loss", statistics[kernels.ENTROPY_LOSS])
        record("train/policy_entropy", -statistics[kernels.ENTROPY_LOSS])
        record("train/loss", statistics[kernels.LOSS])
        record("train/grad_norm", statistics[kernels.NORM])
        record("train/learning_rate", learning_rate)
        record("train/n_updates", self.n_updates, exclude="tensorboard")
        if learns_value:
            record("train/value_loss", statistics[kernels.VALUE_LOSS])
            record("train/explained_variance", kernels.explained_variance(values, returns))
        if not self.policy.discrete:
            record("train/std", float(np.exp(self._networks.log_std).mean()))

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,  # noqa: ARG002 - SB3's signature
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """Return the most likely (or a sampled) action for one or a batch of observations."""
        return self._prediction(observation, deterministic=deterministic), state

    def load_parameters(self, path: str) -> None:
        """Load what :meth:`save` wrote; ``learn(…, reset_num_timesteps=False)`` resumes from it."""
        super().load_parameters(path)
        self._networks.bind()
