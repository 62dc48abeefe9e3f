"""DQN (Mnih et al. 2015) with compiled gradient steps."""

from stable_baselines3 import DQN

from rl_runner.agents.algorithms.geometric_dqn import GeometricDQN
from rl_runner.agents.fast.off_policy import FastOffPolicy, greedy


class FastDQN(FastOffPolicy, DQN):
    """Stock DQN's twin: the same keywords, the same files, the same metrics."""

    def _bind_networks(self) -> None:
        self._bind_to(self.q_net.q_net, self.q_net_target.q_net, 0, greedy)

    def _on_step(self) -> None:
        """Update the target network when it is due, and ε."""
        self._n_calls += 1
        if self._n_calls % max(self.target_update_interval // self.n_envs, 1) == 0:
            self._networks.approach(self.tau)
        self.exploration_rate = self.exploration_schedule(self._current_progress_remaining)
        self.logger.record("rollout/exploration_rate", self.exploration_rate)


class FastGeometricDQN(FastOffPolicy, GeometricDQN):
    """The twin of the DQN whose exploration falls by equal ratios."""

    def _bind_networks(self) -> None:
        self._bind_to(self.q_net.q_net, self.q_net_target.q_net, 0, greedy)
