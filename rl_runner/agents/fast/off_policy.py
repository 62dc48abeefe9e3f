"""DQN and QR-DQN with compiled gradient steps: SB3's classes, some of their methods replaced.

What is drawn at random comes from the generators that stock SB3 draws from, in the same order:
exploration and minibatches from NumPy's global one, random actions from the action space's own.
"""

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from torch import nn

from rl_runner.agents.fast.kernels.multilayer_perceptron import INPUTS
from rl_runner.agents.fast.kernels.value_learning import take_gradient_steps
from rl_runner.agents.fast.memory import FlatMemory, layer_table, linear_layers
from rl_runner.agents.fast.prediction import Act, FastPrediction, MlpForward
from rl_runner.agents.fast.twin import CompiledTwin

AT_ONCE = 64  # gradient steps whose minibatches are gathered together, at most
NUMBERS_AT_ONCE = 1_000_000  # in their observations, at most: 4 MB


class ValueNetworks:
    """A value network, its target and its optimiser, for compiled code."""

    def __init__(
        self,
        network: nn.Sequential,
        target: nn.Sequential,
        optimizer: torch.optim.Optimizer,
        n_quantiles: int,
    ) -> None:
        self._optimizer = optimizer
        self.memory = FlatMemory(network.parameters())
        self.target = FlatMemory(target.parameters())
        self.bind()
        self.layers = layer_table(self.memory, linear_layers(network))
        self.is_tanh = any(isinstance(module, nn.Tanh) for module in network)
        self.n_quantiles = n_quantiles

    def bind(self) -> None:
        """Take over the optimiser's state as it is now."""
        self.bound = self.memory.bind(self._optimizer)

    def approach(self, tau: float) -> None:
        """Move the target's parameters by a share of the way."""
        if tau == 1.0:
            self.target.values[:] = self.memory.values
        else:
            self.target.values *= np.float32(1.0 - tau)
            self.target.values += np.float32(tau) * self.memory.values

    def take_steps(
        self, batch: tuple[np.ndarray, ...], n_steps: int, gamma: float, max_norm: float | None
    ) -> np.ndarray:
        """Take the steps on their minibatches; return their losses (n_steps,)."""
        n, outputs, memory = len(batch[0]) // n_steps, self.layers[:, 1], self.memory
        sizes = n * outputs.sum(), n * outputs.sum(), 2 * n * outputs.max()
        losses = np.empty(n_steps)
        take_gradient_steps(
            (self.layers, self.is_tanh, self.n_quantiles),
            self.target.values,
            (memory.values, memory.gradient, memory.first, memory.second),
            (self.bound.kind, self.bound.n_steps, self.bound.learning_rate, self.bound.settings),
            batch,
            np.float32(gamma),
            -1.0 if max_norm is None else float(max_norm),
            tuple(np.empty(size, np.float32) for size in sizes),
            losses,
        )
        self.bound.n_steps += n_steps
        return losses


class FastOffPolicy(CompiledTwin, OffPolicyAlgorithm):
    """What compiled DQN and QR-DQN share; SB3's class of the algorithm comes after it."""

    max_grad_norm: Any  # QR-DQN's may be None
    exploration_rate: float
    _networks: ValueNetworks

    def _setup_model(self) -> None:
        super()._setup_model()
        self._bind_networks()

    @abstractmethod
    def _bind_networks(self) -> None:
        """Call :meth:`_bind_to` with the algorithm's networks."""

    def _bind_to(
        self, network: nn.Sequential, target: nn.Sequential, n_quantiles: int, act: Act
    ) -> None:
        self._networks = ValueNetworks(network, target, self.policy.optimizer, n_quantiles)
        self._prediction = FastPrediction(self.observation_space, MlpForward(network), act)

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
        n_numbers = batch_size * self._networks.layers[0, INPUTS]
        at_once = min(AT_ONCE, max(1, NUMBERS_AT_ONCE // n_numbers))
        for begun in range(0, gradient_steps, at_once):
            n_steps = min(at_once, gradient_steps - begun)
            batch = self._minibatches(n_steps, batch_size)
            losses.append(self._networks.take_steps(batch, n_steps, self.gamma, self.max_grad_norm))
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/loss", np.concatenate(losses).mean())

    def _minibatches(self, n_steps: int, batch_size: int) -> tuple[np.ndarray, ...]:
        """Draw minibatches as stock SB3's replay buffer does, and gather them."""
        buffer: Any = self.replay_buffer
        filled = buffer.buffer_size if buffer.full else buffer.pos
        rows = np.empty((n_steps, batch_size), np.int64)
        copies = np.empty_like(rows)
        for k in range(n_steps):
            rows[k] = np.random.randint(0, filled, size=batch_size)  # noqa: NPY002
            copies[k] = np.random.randint(0, high=self.n_envs, size=batch_size)  # noqa: NPY002
        drawn = rows.reshape(-1), copies.reshape(-1)
        return (
            self._features(buffer.observations[drawn]),
            self._features(buffer.next_observations[drawn]),
            buffer.actions[drawn][:, 0],
            buffer.rewards[drawn],
            buffer.dones[drawn] * (1.0 - buffer.timeouts[drawn]),  # a truncation is no end
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
        """Store the step; where an episode ended, with the observation it ended on."""
        next_obs = new_obs
        if np.count_nonzero(dones):
            next_obs = np.array(new_obs)
            for i in np.flatnonzero(dones):
                if infos[i].get("terminal_observation") is not None:
                    next_obs[i] = infos[i]["terminal_observation"]
        last_obs: Any = self._last_obs
        replay_buffer.add(last_obs, next_obs, buffer_action, reward, dones, infos)
        self._last_original_obs, self._last_obs = last_obs, new_obs


def greedy(q_values: np.ndarray, deterministic: bool) -> np.ndarray:
    """Return the action of the highest Q-value in each row (n, n_actions)."""
    del deterministic
    return np.asarray(q_values.argmax(axis=1))
