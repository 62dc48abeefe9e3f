"""Chance as the kernel sees it: a row of numbers, drawn or chosen.

Environments draw the numbers; the dynamic programme sets them to 0 or 1, which makes every chance
come true or fail, and so walks through all branches of a step::

    first_branch(draws, trace)
    while True:
        …  # one step; trace[PROBABILITY] is then the probability of this branch
        if not next_branch(draws, trace):
            break
"""

from typing import Final

import numpy as np

from rl_runner.envs.tutor.simulator.inlining import inlined

# The random numbers of a step, by what they decide; 0..4 belong to act. Within a part they are used
# in this order, which is what lets next_branch find the last one.
N_SLOTS: Final = 11
LEAVE: Final = 5
FORGET_FIRST: Final = 6
FORGET_SECOND: Final = 7
ANSWER_SLOT: Final = 8
NOISE_RADIUS: Final = 9
NOISE_ANGLE: Final = 10

# trace: the probability of the branch taken, and the last slot of it that came true (−1: none)
PROBABILITY: Final = 0
LAST_TRUE: Final = 1
Trace = np.ndarray | None  # None where chance is only drawn: the compiler leaves out the notes then


@inlined
def happens(draws: np.ndarray, slot: int, probability: float, trace: Trace) -> bool:
    """Decide whether something of this probability comes true, and note it in ``trace``."""
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
    """Begin to walk through the branches: everything that can happen happens."""
    draws[:] = 0.0
    trace[PROBABILITY] = 1.0
    trace[LAST_TRUE] = -1.0


@inlined
def next_branch(draws: np.ndarray, trace: np.ndarray) -> bool:
    """Turn to the next branch: the last chance that came true fails; False if none is left."""
    slot = int(trace[LAST_TRUE])
    if slot < 0:
        return False
    draws[slot] = 1.0
    draws[slot + 1 :] = 0.0
    trace[PROBABILITY] = 1.0
    trace[LAST_TRUE] = -1.0
    return True
