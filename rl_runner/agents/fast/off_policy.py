"""DQN and QR-DQN with compiled gradient steps: SB3's classes, some of their methods replaced.

Random numbers come from the generators that stock SB3 draws from, in the same order: exploration
and minibatches from NumPy's global one, random actions from the action space's own.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from sb3_contrib import QRDQN
from stable_baselines3 import DQN
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from torch import nn

from rl_runner.agents.algorithms.geometric_dqn import GeometricDQN
from rl_runner.agents.fast.kernels.structures import Transitions
from rl_runner.agents.fast.prediction import Act, CompiledTwin, FastPrediction, MlpForward
from rl_runner.agents.fast.value_networks import ValueNetworks

AT_ONCE = 64  # minibatches that are gathered together, at most
NUMBERS_AT_ONCE = 1_000_000  # in their observations, at most: 4 MB


class FastOffPolicy(CompiledTwin, OffPolicyAlgorithm):
    """What compiled DQN and QR-DQN share; SB3's class of the algorithm comes after it."""

    max_grad_norm: Any  # QR-DQN's may be None
    exploration_rate: float
    exploration_schedule: Callable[[float], float]
    target_update_interval: int
    _n_calls: int
    _networks: ValueNetworks

    def _setup_model(self) -> None:
        super()._setup_model()
        self._bind_networks()

    @abstractmethod
    def _bind_networks(self) -> None:
        """Call :meth:`_bind_to` with the algorithm's networks."""

    def _bind_to(
        self, network: nn.Sequential, target: nn.Sequential, act: Act, n_quantiles: int | None
    ) -> None:
        """Give compiled code the networks, of whose outputs ``act`` makes actions."""
        self._networks = ValueNetworks(network, target, self.policy.optimizer, n_quantiles)
        self._prediction = FastPrediction(self.observation_space, MlpForward(network), act)

    def _on_step(self) -> None:
        """Update ε and, when it is due, the target network."""
        self._n_calls += 1
        if self._n_calls % max(self.target_update_interval // self.n_envs, 1) == 0:
            self._networks.update_target(self.tau)
        self.exploration_rate = self.exploration_schedule(self._current_progress_remaining)
        self.logger.record("rollout/exploration_rate", self.exploration_rate)

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,  # noqa: ARG002 - SB3's signature
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """Return greedy (or, if not deterministic, ε-greedy) actions for a batch or for one."""
        if deterministic or np.random.rand() >= self.exploration_rate:  # noqa: NPY002 - as SB3
            return self._prediction(observation, deterministic=True), state
        if np.shape(observation) == (self.observation_space.shape or ()):
            return np.array(self.action_space.sample()), state
        return np.array([self.action_space.sample() for _ in range(len(observation))]), state

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Take gradient steps on minibatches from the replay buffer."""
        self._update_learning_rate(self.policy.optimizer)
        losses = []
        # Gather as many minibatches at once as memory allows: fewer calls.
        n_numbers = batch_size * self._networks.n_inputs
        at_once = min(AT_ONCE, max(1, NUMBERS_AT_ONCE // n_numbers))
        for taken in range(0, gradient_steps, at_once):
            n_steps = min(at_once, gradient_steps - taken)
            transitions = self._minibatches(n_steps, batch_size)
            losses.append(
                self._networks.take_steps(transitions, n_steps, self.gamma, self.max_grad_norm)
            )
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/loss", np.concatenate(losses).mean())

    def _minibatches(self, n_steps: int, batch_size: int) -> Transitions:
        """Draw minibatches as stock SB3's replay buffer does, and gather them."""
        buffer: Any = self.replay_buffer
        filled = buffer.buffer_size if buffer.full else buffer.pos
        rows = np.empty((n_steps, batch_size), np.int64)
        copies = np.empty_like(rows)
        # Draw from the same generator as SB3, in the same order.
        for k in range(n_steps):
            rows[k] = np.random.randint(0, filled, size=batch_size)  # noqa: NPY002
            copies[k] = np.random.randint(0, high=self.n_envs, size=batch_size)  # noqa: NPY002
        # Gather all minibatches at once; an episode that was cut off is not terminated.
        drawn = rows.reshape(-1), copies.reshape(-1)
        return Transitions(
            observations=self._features(buffer.observations[drawn]),
            next_observations=self._features(buffer.next_observations[drawn]),
            actions=buffer.actions[drawn][:, 0],
            rewards=buffer.rewards[drawn],
            terminated=buffer.dones[drawn] * (1.0 - buffer.timeouts[drawn]),
        )

    def _store_transition(
        self,
        replay_buffer: ReplayBuffer,
        buffer_action: np.ndarray,
        new_obs: Any,
        reward: np.ndarray,
        dones: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        """Store the step; where an episode ended, with the observation it ended with."""
        next_obs = new_obs
        if np.count_nonzero(dones):
            next_obs = np.array(new_obs)
            for i in np.flatnonzero(dones):
                if infos[i].get("terminal_observation") is not None:
                    next_obs[i] = infos[i]["terminal_observation"]
        last_obs: Any = self._last_obs
        replay_buffer.add(last_obs, next_obs, buffer_action, reward, dones, infos)
        self._last_original_obs, self._last_obs = last_obs, new_obs


class FastDQN(FastOffPolicy, DQN):
    """Stock DQN's twin (Mnih et al. 2015): the same keywords, files and metrics."""

    def _bind_networks(self) -> None:
        self._bind_to(self.q_net.q_net, self.q_net_target.q_net, greedy, n_quantiles=None)


class FastGeometricDQN(FastDQN, GeometricDQN):
    """The twin of the DQN whose exploration falls by equal ratios."""

    def _on_step(self) -> None:
        # Its own target update is torch's, which rounds differently from compiled code.
        GeometricDQN._on_step(self)  # noqa: SLF001 - the method that FastDQN's overrides


class FastQRDQN(FastOffPolicy, QRDQN):
    """The twin of sb3-contrib's QR-DQN (Dabney et al. 2018): the same keywords, files, metrics."""

    def _bind_networks(self) -> None:
        network, target = self.quantile_net.quantile_net, self.quantile_net_target.quantile_net
        self._bind_to(network, target, self._greedy, self.n_quantiles)

    def _greedy(self, quantiles: np.ndarray, deterministic: bool) -> np.ndarray:
        """Return the action whose quantiles have the highest mean."""
        del deterministic
        shaped = quantiles.reshape(len(quantiles), self.n_quantiles, -1)
        return np.asarray(shaped.mean(axis=1).argmax(axis=1))


def greedy(q_values: np.ndarray, deterministic: bool) -> np.ndarray:
    """Return the action of the highest Q-value in each row (n, n_actions)."""
    del deterministic
    return np.asarray(q_values.argmax(axis=1))
