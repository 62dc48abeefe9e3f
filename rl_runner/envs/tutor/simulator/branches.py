"""The kernel's random numbers: a row of uniform numbers, drawn at random or set on purpose.

Environments draw the numbers. The dynamic program sets each to 0 or 1, so that the random event
happens or not, and walks through all branches of a step in this way::

    first_branch(draws, trace)
    while True:
        …  # one step; trace[PROBABILITY] is then the probability of this branch
        if not next_branch(draws, trace):
            break
"""

from typing import Final

import numpy as np

from rl_runner.compiled import inlined

# The random numbers of a step, by what they decide; ``act`` uses 0..4. ``act`` and ``pass_time``
# use their numbers in increasing order, so that next_branch can find the last event that happened.
N_SLOTS: Final = 11
LEAVE: Final = 5
FORGET_FIRST: Final = 6
FORGET_SECOND: Final = 7
ANSWER_SLOT: Final = 8
NOISE_RADIUS: Final = 9
NOISE_ANGLE: Final = 10

# trace: the probability of the current branch, and the last slot whose event happened (−1: none)
PROBABILITY: Final = 0
LAST_TRUE: Final = 1
Trace = np.ndarray | None  # None when numbers are only drawn: the compiler then omits the trace


@inlined
def happens(draws: np.ndarray, slot: int, probability: float, trace: Trace) -> bool:
    """Decide whether an event of this probability happens, and record that in ``trace``."""
    if probability <= 0.0:
        return False
    if probability >= 1.0:
        return True
    if draws[slot] < probability:
        if trace is not None:
            trace[PROBABILITY] *= probability
            trace[LAST_TRUE] = slot
        return True
    if trace is not None:
        trace[PROBABILITY] *= 1.0 - probability
    return False


@inlined
def first_branch(draws: np.ndarray, trace: np.ndarray) -> None:
    """Set up the first branch, in which every possible event happens."""
    draws[:] = 0.0
    trace[PROBABILITY] = 1.0
    trace[LAST_TRUE] = -1.0


@inlined
def next_branch(draws: np.ndarray, trace: np.ndarray) -> bool:
    """Set up the next branch: the last event that happened does not. False if none is left."""
    slot = int(trace[LAST_TRUE])
    if slot < 0:
        return False
    draws[slot] = 1.0
    draws[slot + 1 :] = 0.0
    trace[PROBABILITY] = 1.0
    trace[LAST_TRUE] = -1.0
    return True
