"""Loaded first, and only, by the process from which runs are forked: it ends at once.

Taking apart all that it has loaded would take Python a second, in which nothing but the pipe behind
``rl train | tee`` is still waiting for it.
"""

import atexit
import os


def end_at_once(server: int) -> None:
    """End process ``server`` without more ado; in a process forked from it, do nothing."""
    if os.getpid() == server:
        os._exit(0)


atexit.register(end_at_once, os.getpid())
