"""Whether what an agent has learned is still made of finite numbers.

With NaN in every weight an agent keeps acting: the argmax of NaN is action 0, and a run that always
takes action 0 may even win. The same test serves every algorithm and both engines.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch


def check_finite_parameters(agent: Any) -> None:
    """Refuse an agent that has diverged.

    :raises FloatingPointError: naming the first parameter that is no longer finite
    """
    name = parameter_not_finite(agent)
    if name is not None:
        message = (
            f"the agent's parameters are no longer finite ({name}): its training diverged. Lower "
            "`learning_rate`, clip the gradient, or normalise observations and rewards"
        )
        raise FloatingPointError(message)


def parameter_not_finite(agent: Any) -> str | None:
    """Return the name of the first parameter with a number that is not finite; None without one."""
    for name, values in named_parameters(agent):
        if isinstance(values, torch.Tensor):
            if values.is_floating_point() and not bool(torch.isfinite(values).all()):
                return name
        elif values.dtype.kind == "f" and not np.isfinite(values).all():
            return name
    return None


def named_parameters(agent: Any) -> Iterator[tuple[str, torch.Tensor | np.ndarray]]:
    """Yield what an agent has learned, by name: the tensors of its modules, and its tables.

    SB3 lists an algorithm's modules in ``get_parameters``, the optimisers' states among them. Other
    modules and arrays (a table, SAC's entropy coefficient) are attributes of the agent; names that
    begin with an underscore are not parameters.
    """
    modules = agent.get_parameters() if hasattr(agent, "get_parameters") else {}
    for name, state in modules.items():
        yield from _tensors(name, state)
    for name, value in vars(agent).items():
        if name.startswith("_") or name in modules:
            continue
        if isinstance(value, torch.nn.Module):
            yield from _tensors(name, value.state_dict())
        elif isinstance(value, torch.Tensor | np.ndarray):
            yield name, value


def _tensors(name: str, state: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors of a module's state; of an optimiser's nothing, which may hold more."""
    if not isinstance(state, Mapping) or "param_groups" in state:
        return
    for key, value in state.items():
        if isinstance(value, torch.Tensor):
            yield f"{name}.{key}", value
