"""Compilation of the tutor's inner functions."""

from collections.abc import Callable
from typing import Any, TypeVar

from rl_runner.compiled import compiled

Function = TypeVar("Function", bound=Callable[..., Any])


def inlined(function: Function) -> Function:
    """Compile a function as a part of those that call it; it may not allocate arrays.

    An array is handed to a compiled function as seven numbers, and counted with locked instructions
    on the way in and out, which together cost more than most of these functions do. They hold no
    array beyond their call, so nothing need be counted (``_nrt``).
    """
    return compiled(function, forceinline=True, _nrt=False)
