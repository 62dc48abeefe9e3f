"""A2C (Mnih et al. 2016) with compiled rollouts and updates."""

import numpy as np
from stable_baselines3 import A2C

from rl_runner.agents.fast.actor_critic_networks import NO_LIMIT
from rl_runner.agents.fast.kernels import actor_critic as compiled
from rl_runner.agents.fast.on_policy import FastOnPolicy


class FastA2C(FastOnPolicy, A2C):
    """Stock A2C's twin: the same keywords, the same files, the same metrics."""

    def train(self) -> None:
        """Take one step on the whole rollout."""
        self._update_learning_rate(self.policy.optimizer)
        coefficients = (
            NO_LIMIT,
            NO_LIMIT,
            float(self.vf_coef),
            float(self.ent_coef),
            float(self.max_grad_norm),
            self.normalize_advantage,
            NO_LIMIT,
        )
        batch = self._batch()
        n = len(batch[0])
        (noted,), _ = self._networks.take_epoch(batch, np.arange(n), n, coefficients)
        self._n_updates += 1
        record = self.logger.record
        record("train/n_updates", self._n_updates, exclude="tensorboard")
        record("train/explained_variance", compiled.explained_variance(batch[2], batch[5]))
        record("train/entropy_loss", noted[compiled.ENTROPY_LOSS])
        record("train/policy_loss", noted[compiled.POLICY_LOSS])
        record("train/value_loss", noted[compiled.VALUE_LOSS])
        self._record_std()
