"""QR-DQN (Dabney et al. 2018) with compiled gradient steps."""

import numpy as np
from sb3_contrib import QRDQN

from rl_runner.agents.fast.off_policy import FastOffPolicy


class FastQRDQN(FastOffPolicy, QRDQN):
    """sb3-contrib's QR-DQN's twin: the same keywords, the same files, the same metrics."""

    def _bind_networks(self) -> None:
        network, target = self.quantile_net.quantile_net, self.quantile_net_target.quantile_net
        self._bind_to(network, target, self.n_quantiles, self._greedy)

    def _greedy(self, quantiles: np.ndarray, deterministic: bool) -> np.ndarray:
        """Return the action whose quantiles have the highest mean."""
        del deterministic
        shaped = quantiles.reshape(len(quantiles), self.n_quantiles, -1)
        return np.asarray(shaped.mean(axis=1).argmax(axis=1))

    def _on_step(self) -> None:
        """Update the target network when it is due, and ε."""
        self._n_calls += 1
        if self._n_calls % max(self.target_update_interval // self.n_envs, 1) == 0:
            self._networks.approach(self.tau)
        self.exploration_rate = self.exploration_schedule(self._current_progress_remaining)
        self.logger.record("rollout/exploration_rate", self.exploration_rate)
