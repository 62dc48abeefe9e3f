"""The four levels of the back-off, coarse to fine.

======= ======= ==================================================
global       1  every state
moment      84  content type × mood × time of day
thirds  20,412  moment × the five traits in three bins each
full   262,500  moment × the five traits in five bins each
======= ======= ==================================================

A state's value at a level is shrunk towards its value at the next coarser level, the more so the
fewer visits the level has. A state that was never visited has the value of similar states.
"""

import functools

import numpy as np

from rl_runner.envs.recommender.domain import (
    BINS,
    CONTENT_TYPES,
    MOODS,
    N_ACTIONS,
    N_STATES,
    STATE_SIZES,
    TIMES_OF_DAY,
    TRAITS,
)

__all__ = ["LEVELS", "N_ACTIONS", "N_MOMENTS", "N_STATES", "SIZES", "level_rows"]

LEVELS = ("global", "moment", "thirds", "full")
N_MOMENTS = len(CONTENT_TYPES) * len(MOODS) * len(TIMES_OF_DAY)
THIRDS = 3
SIZES = (1, N_MOMENTS, THIRDS ** len(TRAITS) * N_MOMENTS, N_STATES)


@functools.cache
def level_rows() -> np.ndarray:
    """Return (n_states, 4) int32, each state's row at each level."""
    states = np.arange(N_STATES)
    moment = states % N_MOMENTS
    bins = np.stack(np.unravel_index(states, STATE_SIZES)[: len(TRAITS)])
    thirds = (2 * bins + 1) * THIRDS // (2 * BINS)  # by the middle of each bin: 0 0 1 2 2
    coarse = np.ravel_multi_index(tuple(thirds), (THIRDS,) * len(TRAITS))
    rows = (np.zeros_like(states), moment, coarse * N_MOMENTS + moment, states)
    return np.ascontiguousarray(np.stack(rows, axis=1), dtype=np.int32)
