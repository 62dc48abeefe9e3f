"""The networks of value-based algorithms, shared by torch and compiled code."""

import math

import numpy as np
import torch
from torch import nn

from rl_runner.agents.fast.kernels.structures import (
    INPUTS,
    OUTPUTS,
    Transitions,
    ValueLossSettings,
    ValueNetwork,
    ValueWorkspaces,
)
from rl_runner.agents.fast.kernels.value_learning import take_gradient_steps
from rl_runner.agents.fast.memory import FlatMemory, layer_table, linear_layers


class ValueNetworks:
    """A value network, its target and its optimiser, for compiled code.

    :param n_quantiles: outputs per action; None if the outputs are Q-values
    """

    def __init__(
        self,
        network: nn.Sequential,
        target: nn.Sequential,
        optimizer: torch.optim.Optimizer,
        n_quantiles: int | None,
    ) -> None:
        self._optimizer = optimizer
        self.memory = FlatMemory(network.parameters())
        self.target = FlatMemory(target.parameters())
        self.bind()
        self.network = ValueNetwork(
            layers=layer_table(self.memory, linear_layers(network)),
            is_tanh=any(isinstance(module, nn.Tanh) for module in network),
            n_quantiles=n_quantiles or 0,
        )

    @property
    def n_inputs(self) -> int:
        """The length of an observation's feature vector."""
        return int(self.network.layers[0, INPUTS])

    def bind(self) -> None:
        """Take over the optimiser's state as it is now."""
        self.optimizer = self.memory.bind(self._optimizer)

    def update_target(self, tau: float) -> None:
        """Move the target's parameters towards the network's: θ' ← τ θ + (1 − τ) θ'."""
        if tau == 1.0:
            self.target.values[:] = self.memory.values
        else:
            self.target.values *= np.float32(1.0 - tau)
            self.target.values += np.float32(tau) * self.memory.values

    def take_steps(
        self, transitions: Transitions, n_steps: int, gamma: float, max_grad_norm: float | None
    ) -> np.ndarray:
        """Take gradient steps on minibatches of equal sizes.

        :param transitions: the minibatches, one after another
        :param max_grad_norm: None: the gradient is not clipped
        :return: the losses (n_steps,)
        """
        settings = ValueLossSettings(
            np.float32(gamma), math.inf if max_grad_norm is None else float(max_grad_norm)
        )
        losses = np.empty(n_steps)
        take_gradient_steps(
            self.network,
            self.target.values,
            self.memory.flat,
            self.optimizer.state,
            transitions,
            settings,
            self._workspaces_for(len(transitions.rewards) // n_steps),
            losses,
        )
        self.optimizer.n_steps += n_steps
        return losses

    def _workspaces_for(self, n: int) -> ValueWorkspaces:
        """Return workspaces for minibatches of n transitions."""
        outputs = self.network.layers[:, OUTPUTS]
        sizes = n * outputs.sum(), n * outputs.sum(), 2 * n * outputs.max()
        return ValueWorkspaces(*(np.empty(size, np.float32) for size in sizes))
