"""The networks of actor-critic algorithms, shared by torch and compiled code."""

import functools
import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import nn

from rl_runner.agents.fast.kernels import acting
from rl_runner.agents.fast.kernels import actor_critic as kernels
from rl_runner.agents.fast.kernels.structures import (
    OUTPUTS,
    ActorCritic,
    ActorCriticWorkspaces,
    LossSettings,
    Rollout,
)
from rl_runner.agents.fast.memory import FlatMemory, layer_table, linear_layers

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]  # actions (n, k), values (n,), log-probs (n,)


@functools.lru_cache(maxsize=1)  # A2C asks for the same ones at every update
def loss_settings(
    *,
    clip_range: float | None = None,
    clip_range_vf: float | None = None,
    vf_coef: float,
    ent_coef: float,
    max_grad_norm: float | None,
    normalizes_advantage: bool,
    kl_limit: float | None = None,
) -> LossSettings:
    """Return the settings as compiled code takes them; None: no clipping, no limit."""
    return LossSettings(
        clips_ratio=clip_range is not None,
        clip_range=math.inf if clip_range is None else float(clip_range),
        clips_value=clip_range_vf is not None,
        clip_range_vf=math.inf if clip_range_vf is None else float(clip_range_vf),
        vf_coef=float(vf_coef),
        ent_coef=float(ent_coef),
        max_grad_norm=math.inf if max_grad_norm is None else float(max_grad_norm),
        normalizes_advantage=normalizes_advantage,
        kl_limit=math.inf if kl_limit is None else float(kl_limit),
    )


class ActorCriticNetworks:
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
        self.network = ActorCritic(
            actor=layer_table(self.memory, linear_layers(actor)),
            critic=layer_table(self.memory, linear_layers(critic)),
            is_tanh=any(isinstance(module, nn.Tanh) for module in [*actor, *critic]),
            is_discrete=log_std is None,
            log_std_start=0 if log_std is None else self.memory.offset(log_std),
            n_std=0 if log_std is None else log_std.numel(),
        )
        # How many numbers a layer-by-layer pass of one observation takes.
        self._actor_width = int(self.network.actor[:, OUTPUTS].sum())
        self._critic_width = int(self.network.critic[:, OUTPUTS].sum())
        self._wider = max(self._actor_width, self._critic_width)
        self._acting_space = np.empty((2, 0), np.float32)
        self._workspaces = ActorCriticWorkspaces(*(np.empty(0, np.float32) for _ in range(3)))

    def bind(self) -> None:
        """Take over the optimiser's state as it is now."""
        self.optimizer = self.memory.bind(self._optimizer)

    @property
    def log_std(self) -> np.ndarray:
        """The logarithms of the Gaussian's standard deviations (n_std,)."""
        start = self.network.log_std_start
        return self.memory.values[start : start + self.network.n_std]

    def act(self, features: np.ndarray, rows: Rows) -> None:
        """Draw an action in each row; write actions, values and log-probabilities."""
        n, network = len(features), self.network
        space = self._acting_space_for(n)
        tables = (self.memory.values, network.actor, network.critic, network.is_tanh)
        if network.is_discrete:
            uniform = np.random.random(n)  # noqa: NPY002 - saved in every checkpoint
            acting.act_discrete(*tables, features, uniform, space, *rows)
        else:
            normal = np.random.standard_normal((n, network.n_std))  # noqa: NPY002
            acting.act_gaussian(*tables, self.log_std, features, normal, space, *rows)

    def value(self, features: np.ndarray) -> np.ndarray:
        """Return V(s) (n,)."""
        space = self._acting_space_for(len(features))[1]
        values: np.ndarray = acting.state_values(
            self.memory.values, self.network.critic, self.network.is_tanh, features, space
        )
        return values

    def _acting_space_for(self, n: int) -> np.ndarray:
        """Return (2, …) workspaces, of actor and critic, for n observations."""
        size = n * self._wider
        if self._acting_space.shape[1] < size:
            self._acting_space = np.empty((2, size), np.float32)
        return self._acting_space

    def take_epoch(
        self, rollout: Rollout, indices: np.ndarray, batch_size: int, settings: LossSettings
    ) -> tuple[np.ndarray, bool]:
        """Take the steps of one epoch.

        :param indices: the order in which the rollout's rows are taken
        :return: the statistics of each minibatch (minibatches, N_STATISTICS), and whether there
            was a step on all of them; there is none once the KL divergence reaches its limit
        :raises FloatingPointError: if parameters are no longer finite. torch's distributions would
            refuse them at the next action
        """
        # Take the steps in compiled code. A minibatch may be evaluated without a step on it.
        n_minibatches = math.ceil(len(indices) / batch_size)
        statistics = np.zeros((n_minibatches, kernels.N_STATISTICS))
        optimizer = self.optimizer.state
        n_steps, n_evaluated = kernels.take_minibatches(
            self.network,
            self.memory.flat,
            optimizer,
            rollout,
            indices,
            batch_size,
            settings,
            self._workspaces_for(min(batch_size, len(indices))),
            statistics,
        )
        self.optimizer.n_steps = n_steps
        # One check per epoch is enough: what is not finite stays so.
        if not self.memory.is_finite():
            message = "the policy's parameters are no longer finite after an update"
            raise FloatingPointError(message)
        return statistics[:n_evaluated], n_steps - optimizer.n_steps == n_minibatches

    def _workspaces_for(self, n: int) -> ActorCriticWorkspaces:
        """Return workspaces for minibatches of n rows."""
        if len(self._workspaces.actor) < n * self._actor_width:
            widest = max(*self.network.actor[:, OUTPUTS], *self.network.critic[:, OUTPUTS])
            sizes = n * self._actor_width, n * self._critic_width, 2 * n * widest
            self._workspaces = ActorCriticWorkspaces(*(np.empty(s, np.float32) for s in sizes))
        return self._workspaces
