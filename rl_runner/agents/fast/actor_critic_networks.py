"""The networks of actor-critic algorithms, shared by torch and compiled code."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import nn

from rl_runner.agents.fast.kernels import acting
from rl_runner.agents.fast.kernels import actor_critic as compiled
from rl_runner.agents.fast.memory import FlatMemory, layer_table, linear_layers

NO_LIMIT = -1.0  # of a coefficient that is not used
Rows = tuple[np.ndarray, np.ndarray, np.ndarray]  # actions (n, k), values (n,), log-probs (n,)


class Networks:
    """An actor, a critic and their optimiser, for compiled code.

    :param parameters: of both, and the log standard deviations
    :param actor: its layers; their activations are all of one kind, and the critic's of the same
    :param log_std: of Gaussian actions; None for discrete ones
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        optimizer: torch.optim.Optimizer,
        actor: Iterable[nn.Module],
        critic: Iterable[nn.Module],
        log_std: nn.Parameter | None,
    ) -> None:
        self._optimizer = optimizer
        self.memory = FlatMemory(parameters)
        self.bind()
        actor, critic = list(actor), list(critic)
        self.actor = layer_table(self.memory, linear_layers(actor))
        self.critic = layer_table(self.memory, linear_layers(critic))
        self.is_tanh = any(isinstance(module, nn.Tanh) for module in [*actor, *critic])
        self.log_std_at, self.n_std = -1, 0
        if log_std is not None:
            self.log_std_at, self.n_std = self.memory.offset(log_std), log_std.numel()
        self._width = int(max(self.actor[:, 1].sum(), self.critic[:, 1].sum()))
        self._act_space = np.empty((2, 0), np.float32)
        self._train_spaces: tuple[np.ndarray, ...] = (np.empty(0, np.float32),) * 3

    def bind(self) -> None:
        """Take over the optimiser's state as it is now."""
        self.optimizer = self.memory.bind(self._optimizer)

    @property
    def log_std(self) -> np.ndarray:
        """The logarithms of the Gaussian's standard deviations."""
        return self.memory.values[self.log_std_at : self.log_std_at + self.n_std]

    def act(self, features: np.ndarray, rows: "Rows") -> None:
        """Draw an action in each row; write actions, values and log-probabilities."""
        n, space = len(features), self._space_for(len(features))
        tables = (self.memory.values, self.actor, self.critic, self.is_tanh)
        if self.log_std_at < 0:
            uniform = np.random.random(n)  # noqa: NPY002 - saved in every checkpoint
            acting.act_discrete(*tables, features, uniform, space, *rows)
        else:
            normal = np.random.standard_normal((n, self.n_std))  # noqa: NPY002
            acting.act_gaussian(*tables, self.log_std, features, normal, space, *rows)

    def value(self, features: np.ndarray) -> np.ndarray:
        """Return V(s) (n,)."""
        space = self._space_for(len(features))[1]
        values: np.ndarray = acting.state_values(
            self.memory.values, self.critic, self.is_tanh, features, space
        )
        return values

    def _space_for(self, n: int) -> np.ndarray:
        """Return (2, …) workspaces for n observations."""
        if self._act_space.shape[1] < n * self._width:
            self._act_space = np.empty((2, n * self._width), np.float32)
        return self._act_space

    def take_epoch(
        self,
        batch: tuple[np.ndarray, ...],
        indices: np.ndarray,
        batch_size: int,
        coefficients: tuple[Any, ...],
    ) -> tuple[np.ndarray, bool]:
        """Take the steps of one epoch; return each minibatch's statistics, and whether it ended.

        :raises FloatingPointError: if parameters are no longer finite numbers. torch's
            distributions would refuse them at the next action
        """
        spaces_ = self._workspaces(min(batch_size, len(indices)))
        n_minibatches = -(-len(indices) // batch_size)
        statistics = np.zeros((n_minibatches, compiled.N_STATISTICS))
        optimizer, memory = self.optimizer, self.memory
        before = optimizer.n_steps
        steps, seen = compiled.take_minibatches(
            (self.actor, self.critic, self.is_tanh, self.log_std_at, self.n_std),
            (memory.values, memory.gradient, memory.first, memory.second),
            (optimizer.kind, before, optimizer.learning_rate, optimizer.settings),
            batch,
            indices,
            batch_size,
            coefficients,
            spaces_,
            statistics,
        )
        optimizer.n_steps = steps
        if not np.isfinite(memory.values).all():
            message = "the policy's parameters are no finite numbers any more after an update"
            raise FloatingPointError(message)
        return statistics[:seen], steps - before == n_minibatches

    def _workspaces(self, n: int) -> tuple[np.ndarray, ...]:
        actor, critic = self.actor[:, 1], self.critic[:, 1]
        if len(self._train_spaces[0]) < n * actor.sum():
            widest = max(*actor, *critic)
            sizes = n * actor.sum(), n * critic.sum(), 2 * n * widest
            self._train_spaces = tuple(np.empty(size, np.float32) for size in sizes)
        return self._train_spaces
