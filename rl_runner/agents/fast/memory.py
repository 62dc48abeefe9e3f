"""The parameters and the optimiser's state of a torch policy as flat NumPy arrays.

Torch's tensors become views of these arrays, so that both see every change at once: what compiled
code has learned is in ``model.zip``, and what was loaded from there compiled code goes on with.
"""

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from torch import nn

ADAM, RMSPROP, RMSPROP_TF_LIKE = range(3)
KINDS: dict[type[torch.optim.Optimizer], int] = {
    torch.optim.Adam: ADAM,
    torch.optim.RMSprop: RMSPROP,
    RMSpropTFLike: RMSPROP_TF_LIKE,
}


@functools.cache
def take_one_thread() -> None:
    """Let matrix products outside torch, too, be computed by one thread.

    More cost more than they give in small products, and another number of threads rounds otherwise:
    results would depend on the number of cores.
    """
    import scipy.linalg.cython_blas  # noqa: F401 - what compiled code calls; loaded, to be limited
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
            view = self._view(self.values, parameter)
            view.copy_(parameter.data)
            parameter.data = view
        self.gradient = np.zeros_like(self.values)
        self.first = np.zeros_like(self.values)
        self.second = np.zeros_like(self.values)

    def offset(self, parameter: torch.Tensor) -> int:
        """Return where a parameter begins."""
        start: int = self.offsets[id(parameter)]
        return start

    def _view(self, array: np.ndarray, parameter: torch.Tensor) -> torch.Tensor:
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
        self.memory = memory
        self.optimizer = optimizer
        self.kind = KINDS[type(optimizer)]
        if self.kind == ADAM:
            self.settings = (*map(float, group["betas"]), float(group["eps"]))
            moments = {"exp_avg": memory.first, "exp_avg_sq": memory.second}
        else:
            self.settings = (0.0, float(group["alpha"]), float(group["eps"]))
            moments = {"square_avg": memory.second}
        begin = float(self.kind == RMSPROP_TF_LIKE)  # with which that optimiser's moment begins
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
                view = memory._view(array, parameter)  # noqa: SLF001 - the other half of it
                view.copy_(before[name]) if name in before else view.fill_(begin)
                state[name] = view

    @property
    def n_steps(self) -> int:
        """How many steps were taken."""
        return int(self.steps.max())  # parameters without elements take none

    @n_steps.setter
    def n_steps(self, n: int) -> None:
        self.steps[:] = n

    @property
    def learning_rate(self) -> float:
        """The present step size."""
        return float(self.optimizer.param_groups[0]["lr"])


def layer_table(memory: FlatMemory, layers: Sequence[nn.Linear]) -> np.ndarray:
    """Return (layers, 4): inputs, outputs, where the weights and where the biases begin."""
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
