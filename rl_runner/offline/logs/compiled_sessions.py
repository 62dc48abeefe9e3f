"""Loops over the sessions of a log, compiled: they run over millions of rows."""

import numpy as np

from rl_runner.compiled import compiled


@compiled
def number_keys(keys: np.ndarray) -> tuple[np.ndarray, int]:
    """Give distinct 64-bit keys the numbers 0, 1, 2 … in the order in which they first appear.

    :param keys: (n,) uint64, well mixed (hashes)
    :return: (n,) int32 numbers, and how many distinct keys there are
    """
    # An open-addressing hash table: slots hold numbers, `known` holds the key of each number.
    size = 1024
    while size < 2 * min(len(keys), 1 << 16):
        size *= 2
    slots = np.full(size, -1, np.int32)
    known = np.empty(size, np.uint64)
    numbers = np.empty(len(keys), np.int32)
    n_known = 0
    for i in range(len(keys)):
        key = keys[i]
        slot = np.int64(key & np.uint64(size - 1))
        while slots[slot] >= 0 and known[slots[slot]] != key:
            slot = (slot + 1) & (size - 1)
        if slots[slot] < 0:
            slots[slot] = n_known
            known[n_known] = key
            n_known += 1
        numbers[i] = slots[slot]
        # Double the table when it is half full, and put every number into its new slot.
        if 2 * n_known > size:
            size *= 2
            slots = np.full(size, -1, np.int32)
            grown = np.empty(size, np.uint64)
            grown[:n_known] = known[:n_known]
            known = grown
            for number in range(n_known):
                slot = np.int64(known[number] & np.uint64(size - 1))
                while slots[slot] >= 0:
                    slot = (slot + 1) & (size - 1)
                slots[slot] = number
    return numbers, n_known


@compiled
def runs_backwards(
    session: np.ndarray, ts: np.ndarray, step: np.ndarray, n_sessions: int
) -> np.ndarray:
    """Mark rows that are out of order: an earlier row of the session has a later time or step.

    :return: (n,) bool; a marked row does not count as an earlier one
    """
    last_ts = np.full(n_sessions, np.iinfo(np.int64).min, np.int64)
    last_step = np.full(n_sessions, -1, np.int32)
    marked = np.zeros(len(session), np.bool_)
    for i in range(len(session)):
        s = session[i]
        if ts[i] < last_ts[s] or step[i] <= last_step[s]:
            marked[i] = True
        else:
            last_ts[s], last_step[s] = ts[i], step[i]
    return marked


@compiled
def predecessors(
    session: np.ndarray, step: np.ndarray, terminal: np.ndarray, n_sessions: int
) -> np.ndarray:
    """Return (n,) int64 the row of the step before in the same session; −1 if there is none.

    A row after a gap (a step was refused or lies outside the window) or after a terminal row has
    no predecessor.
    """
    last = np.full(n_sessions, -1, np.int64)
    before = np.empty(len(session), np.int64)
    for i in range(len(session)):
        candidate = last[session[i]]
        linked = candidate >= 0 and step[candidate] + 1 == step[i] and not terminal[candidate]
        before[i] = candidate if linked else -1
        last[session[i]] = i
    return before
