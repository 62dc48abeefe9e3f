"""PPO (Schulman et al. 2017) with compiled rollouts and updates."""

import numpy as np
from stable_baselines3 import PPO

from rl_runner.agents.fast.actor_critic_networks import NO_LIMIT
from rl_runner.agents.fast.kernels import actor_critic as compiled
from rl_runner.agents.fast.on_policy import FastOnPolicy


class FastPPO(FastOnPolicy, PPO):
    """Stock PPO's twin: the same keywords, the same files, the same metrics."""

    def train(self) -> None:
        """Take ``n_epochs`` passes over the rollout, or fewer if the KL divergence is reached."""
        self._update_learning_rate(self.policy.optimizer)
        progress = self._current_progress_remaining
        clip_range: float = self.clip_range(progress)  # type: ignore[operator]
        clip_range_vf = self.clip_range_vf
        vf_limit = NO_LIMIT if clip_range_vf is None else clip_range_vf(progress)  # type: ignore[operator]
        coefficients = (
            clip_range,
            float(vf_limit),
            float(self.vf_coef),
            float(self.ent_coef),
            float(self.max_grad_norm),
            self.normalize_advantage,
            NO_LIMIT if self.target_kl is None else 1.5 * self.target_kl,
        )
        batch = self._batch()
        epochs = []
        for _ in range(self.n_epochs):
            indices = np.random.permutation(len(batch[0]))  # noqa: NPY002 - as stock SB3 draws
            statistics, ended = self._networks.take_epoch(
                batch, indices, self.batch_size, coefficients
            )
            epochs.append(statistics)
            self._n_updates += 1
            if not ended:
                break

        means = np.concatenate(epochs).mean(axis=0)
        record = self.logger.record
        record("train/entropy_loss", means[compiled.ENTROPY_LOSS])
        record("train/policy_gradient_loss", means[compiled.POLICY_LOSS])
        record("train/value_loss", means[compiled.VALUE_LOSS])
        record("train/approx_kl", epochs[-1][:, compiled.APPROX_KL].mean())  # the last epoch's
        record("train/clip_fraction", means[compiled.CLIP_FRACTION])
        record("train/loss", epochs[-1][-1, compiled.LOSS])
        record("train/explained_variance", compiled.explained_variance(batch[2], batch[5]))
        self._record_std()
        record("train/n_updates", self._n_updates, exclude="tensorboard")
        record("train/clip_range", clip_range)
        if clip_range_vf is not None:
            record("train/clip_range_vf", vf_limit)
