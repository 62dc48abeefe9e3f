"""How the inner functions of the tutor are compiled: into their callers."""

from collections.abc import Callable
from typing import Any, TypeVar

from rl_runner.compiled import compiled

Function = TypeVar("Function", bound=Callable[..., Any])


def inlined(function: Function) -> Function:
    """Compile a function into its callers; it must not allocate arrays.

    A call passes each array as seven numbers and changes its reference count with locked
    instructions, which costs more than most of these functions do themselves. They keep no array
    after they return, so reference counting is not needed (``_nrt=False``).
    """
    return compiled(function, forceinline=True, _nrt=False)
