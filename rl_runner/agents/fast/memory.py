"""The parameters and the optimiser's state of a torch policy as flat NumPy arrays.

Torch's tensors become views of these arrays, so both see every change at once. What compiled code
learns is saved in ``model.zip``; what is loaded from there, compiled code continues with.
"""

import functools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from torch import nn

from rl_runner.agents.fast.kernels.structures import (
    ADAM,
    RMSPROP,
    RMSPROP_TF_LIKE,
    FlatParameters,
    OptimizerState,
)

KINDS: dict[type[torch.optim.Optimizer], int] = {
    torch.optim.Adam: ADAM,
    torch.optim.RMSprop: RMSPROP,
    RMSpropTFLike: RMSPROP_TF_LIKE,
}


@functools.cache
def take_one_thread() -> None:
    """Limit the matrix products of compiled code to one thread, as torch's are.

    For small products more threads are slower. Another number of threads also rounds differently:
    results would depend on the number of cores.
    """
    import scipy.linalg.cython_blas  # noqa: F401 - compiled code calls it; loaded to be limited
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=1, user_api="blas")


class FlatMemory:
    """Parameters, gradient and moments of one network and its optimiser, flat and float32.

    :param parameters: of a torch module, float32 on the CPU; they become views of ``values``
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        take_one_thread()
        self.parameters = list(parameters)
        sizes = [parameter.numel() for parameter in self.parameters]
        self.offsets = dict(
            zip(map(id, self.parameters), np.cumsum([0, *sizes[:-1]]).tolist(), strict=True)
        )
        self.values = np.empty(sum(sizes), np.float32)
        for parameter in self.parameters:
            view = self.view(self.values, parameter)
            view.copy_(parameter.data)
            parameter.data = view
        # Gradient, first and second moment.
        rest = (np.zeros_like(self.values) for _ in range(3))
        self.flat = FlatParameters(self.values, *rest)

    def is_finite(self) -> bool:
        """Whether all parameters are finite numbers."""
        # One dot product is enough, unless it overflows.
        squares = self.values.dot(self.values)
        return math.isfinite(squares) or bool(np.isfinite(self.values).all())

    def offset(self, parameter: torch.Tensor) -> int:
        """Return where a parameter begins."""
        start: int = self.offsets[id(parameter)]
        return start

    def view(self, array: np.ndarray, parameter: torch.Tensor) -> torch.Tensor:
        """Return a parameter's part of an array that is as long as all of them."""
        start = self.offset(parameter)
        flat = torch.from_numpy(array[start : start + parameter.numel()])
        return flat.view(parameter.shape)

    def bind(self, optimizer: torch.optim.Optimizer) -> "BoundOptimizer":
        """Let the optimiser's moments be views of this memory, with what they hold now."""
        return BoundOptimizer(self, optimizer)


class BoundOptimizer:
    """A torch optimiser whose state compiled code reads and writes."""

    def __init__(self, memory: FlatMemory, optimizer: torch.optim.Optimizer) -> None:
        (group,) = optimizer.param_groups
        self.optimizer = optimizer
        self.kind = KINDS[type(optimizer)]
        if self.kind == ADAM:
            self.beta1, self.beta2 = map(float, group["betas"])
            moments = {"exp_avg": memory.flat.first_moment, "exp_avg_sq": memory.flat.second_moment}
        else:
            self.beta1, self.beta2 = 0.0, float(group["alpha"])
            moments = {"square_avg": memory.flat.second_moment}
        self.eps = float(group["eps"])
        first_value = float(self.kind == RMSPROP_TF_LIKE)  # of the moment, before any step
        self.steps = np.zeros(len(memory.parameters), np.float32)
        for i, parameter in enumerate(memory.parameters):
            if not parameter.numel():
                continue
            state: dict[str, Any] = optimizer.state[parameter]
            before = dict(state)
            step = torch.from_numpy(self.steps[i : i + 1]).view(())
            step.fill_(float(before.get("step", 0)))
            state["step"] = step
            for name, array in moments.items():
                view = memory.view(array, parameter)
                view.copy_(before[name]) if name in before else view.fill_(first_value)
                state[name] = view

    @property
    def state(self) -> OptimizerState:
        """What compiled code takes of it: settings and the steps so far."""
        learning_rate = float(self.optimizer.param_groups[0]["lr"])
        return OptimizerState(
            self.kind, self.n_steps, learning_rate, self.beta1, self.beta2, self.eps
        )

    @property
    def n_steps(self) -> int:
        """How many steps were taken."""
        return int(self.steps.max())  # parameters without elements take none

    @n_steps.setter
    def n_steps(self, n: int) -> None:
        self.steps[:] = n


def layer_table(memory: FlatMemory, layers: Sequence[nn.Linear]) -> np.ndarray:
    """Return the (layers, 4) layer table of these layers, whose parameters are in the memory."""
    rows = [
        (
            layer.in_features,
            layer.out_features,
            memory.offset(layer.weight),
            memory.offset(layer.bias),
        )
        for layer in layers
    ]
    return np.array(rows, dtype=np.int64)


def linear_layers(modules: Iterable[nn.Module]) -> list[nn.Linear]:
    """Return the layers that have weights."""
    return [module for module in modules if isinstance(module, nn.Linear)]
