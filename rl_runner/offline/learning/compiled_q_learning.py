"""The loops over millions of interactions, compiled.

They are short on purpose. What they compute is said, and tested, where they are called.
"""

import math

import numpy as np

from rl_runner.compiled import compiled

KNOWN_RATES = 65_536  # visits up to which the step size is looked up


@compiled
def number_keys(keys: np.ndarray) -> tuple[np.ndarray, int]:
    """Give distinct 64-bit keys the numbers 0, 1, 2 … in the order in which they first appear.

    :param keys: (n,) uint64, well mixed (hashes)
    :return: (n,) int32 numbers, and how many distinct keys there are
    """
    size = 1024
    while size < 2 * min(len(keys), 1 << 16):
        size *= 2
    slots = np.full(size, -1, np.int32)
    known = np.empty(size, np.uint64)  # by number
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
        if 2 * n_known > size:  # at most half full: double it
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
    """Mark rows whose time is before, or whose step is not after, an earlier row of the session.

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


@compiled
def blend(
    levels: tuple[np.ndarray, ...],
    counts: tuple[np.ndarray, ...],
    rows: np.ndarray,
    shrinkage: float,
    memory: float,
    out: np.ndarray,
) -> None:
    """Write the shrunk action values of one state into ``out`` (n_actions,).

    Level by level, coarse to fine: q ← (n q_level + κ q) / (n + κ) with n the visits at the level,
    but at most ``memory``: a value that moves with a constant step remembers no more of them.
    Without branches, for vector instructions: a level without visits weighs nothing.

    :param levels: (n_rows_l, n_actions) values, coarse to fine
    :param counts: (n_rows_l, n_actions) visits
    :param rows: (n_levels,) the state's row at each level
    """
    out[:] = 0.0
    for level in range(len(levels)):
        values, visits = levels[level][rows[level]], counts[level][rows[level]]
        for action in range(len(out)):
            n = min(float(visits[action]), memory)
            weight = n / max(n + shrinkage, 1e-300)
            out[action] += weight * (values[action] - out[action])


@compiled
def q_learning_pass(
    tables: tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]],
    rows: np.ndarray,
    log: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    steps: tuple[float, float, float],
    gamma: float,
    pull: tuple[float, float],
) -> tuple[int, float]:
    """Learn from interactions in the order in which their outcomes are known.

    A transition is complete, and is learned from, when its successor arrives, or at once if it is
    terminal. What is still waiting for its successor at the end is not learned from.

    :param tables: values and visits by level, coarse to fine, changed in place
    :param rows: (n_states, n_levels) int32 the row of each state at each level
    :param log: state, action, reward, terminal, row of the predecessor (−1: none), each (n,)
    :param steps: α₀, power and minimum: α = max(minimum, α₀ · N^−power) at the N-th visit
    :param pull: shrinkage κ and memory, see :func:`blend`
    :return: how many transitions were learned from, and the sum of their |TD errors|
    """
    levels, counts = tables
    state, action, reward, terminal, before = log
    first_rate, power, lowest_rate = steps
    rates = np.maximum(first_rate * np.arange(1, KNOWN_RATES) ** -power, lowest_rate)
    next_values = np.empty(levels[0].shape[1])
    n_learned, total_error = 0, 0.0
    for i in range(len(state)):
        for is_end in (False, True):
            j = i if is_end else before[i]  # the transition that is complete now
            if j < 0 or (is_end and not terminal[i]):
                continue
            target = reward[j]
            if gamma > 0.0 and not is_end:
                blend(levels, counts, rows[state[i]], pull[0], pull[1], next_values)
                target += gamma * next_values.max()
            a = action[j]
            for level in range(len(levels)):
                row = rows[state[j], level]
                counts[level][row, a] += 1
                n = counts[level][row, a]
                if n <= len(rates):
                    alpha = rates[n - 1]
                else:
                    alpha = max(first_rate * math.pow(n, -power), lowest_rate)
                error = target - levels[level][row, a]
                levels[level][row, a] += alpha * error
            total_error += abs(error)
            n_learned += 1
    return n_learned, total_error


@compiled
def blend_all(
    levels: tuple[np.ndarray, ...],
    counts: tuple[np.ndarray, ...],
    rows: np.ndarray,
    shrinkage: float,
    memory: float,
) -> np.ndarray:
    """Return (n, n_actions) shrunk values of n states; see :func:`blend`."""
    values = np.empty((len(rows), levels[0].shape[1]))
    for i in range(len(rows)):
        blend(levels, counts, rows[i], shrinkage, memory, values[i])
    return values
