"""Q-learning's loops over millions of interactions, compiled.

They take arrays only. :mod:`rl_runner.offline.learning.log_q_learning` explains and tests them.
"""

import math

import numpy as np

from rl_runner.compiled import compiled

KNOWN_RATES = 65_536  # visits up to which the step size is looked up instead of computed


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

    Level by level, coarse to fine: q ← (n q_level + κ q) / (n + κ), with n the visits at the level
    but at most ``memory``, since a value that moves with a constant step remembers no more visits.
    There are no branches, so that the loop compiles to vector instructions: a level without visits
    has the weight 0.

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
    terminal. A transition without a successor by the end is not learned from.

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
        # This row completes its predecessor's transition, and its own if it is terminal.
        for is_end in (False, True):
            j = i if is_end else before[i]
            if j < 0 or (is_end and not terminal[i]):
                continue
            # The target: the reward, and the discounted value of the next state.
            target = reward[j]
            if gamma > 0.0 and not is_end:
                blend(levels, counts, rows[state[i]], pull[0], pull[1], next_values)
                target += gamma * next_values.max()
            # Move the value of the state and action towards the target at every level.
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
