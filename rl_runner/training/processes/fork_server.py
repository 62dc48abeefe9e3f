"""Loaded first, and only, by the process from which runs are forked: it loads and ends quickly.

What it loads lives as long as itself. To look through half a million objects for garbage, again and
again while they are loaded, would take a quarter of the time; to take them apart in the end, a
second in which nothing but the pipe behind ``rl train | tee`` still waits.
"""

import atexit
import gc
import os


def spare_collector(server: int) -> None:
    """Leave the garbage of process ``server`` alone; runs forked from it collect only their own."""

    def freeze() -> None:
        if os.getpid() == server:
            gc.freeze()

    gc.disable()
    os.register_at_fork(before=freeze, after_in_child=gc.enable)


def end_at_once(server: int) -> None:
    """End process ``server`` without more ado; in a process forked from it, do nothing."""
    if os.getpid() == server:
        os._exit(0)


spare_collector(os.getpid())
atexit.register(end_at_once, os.getpid())
