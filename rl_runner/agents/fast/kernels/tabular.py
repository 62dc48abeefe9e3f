"""The loop of tabular Q-learning, environment included, in compiled code over a transition table.

Every vector step takes :data:`DRAWS` uniform numbers a copy, whether it needs them or not: to
decide whether to explore, to choose an action (at random or among equals), to draw the transition
and to draw the first state of a new episode.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rl_runner.compiled import compiled

DRAWS = 4
EXPLORE, CHOICE, TRANSITION, START = range(DRAWS)

Array = np.ndarray


@dataclass(frozen=True)
class Dynamics:
    """A finite Markov decision process; k is the most outcomes that a state and action have."""

    cumulated: Array  # (n_states, n_actions, k) probabilities, summed up; 2 where there is none
    next_states: Array  # (n_states, n_actions, k)
    rewards: Array  # (n_states, n_actions, k) as float32 numbers, which SB3's environments give
    terminated: Array  # (n_states, n_actions, k)
    starts: Array  # (n_states,) probabilities of beginning there, summed up
    time_limit: int

    @property
    def arrays(self) -> tuple[Any, ...]:
        """What compiled code takes."""
        return (
            self.cumulated,
            self.next_states,
            self.rewards,
            self.terminated,
            self.starts,
            self.time_limit,
        )


def read_dynamics(table: Any, initial: Array, time_limit: int) -> Dynamics:
    """Turn Gymnasium's ``P[state][action]``, lists of outcomes, into arrays."""
    n_states, n_actions = len(table), len(table[0])
    k = max(len(outcomes) for choices in table.values() for outcomes in choices.values())
    shape = n_states, n_actions, k
    cumulated, rewards = np.full(shape, 2.0), np.zeros(shape)
    next_states, terminated = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
    for state, choices in table.items():
        for action, outcomes in choices.items():
            probabilities, states, paid, ends = zip(*outcomes, strict=True)
            n = len(outcomes)
            cumulated[state, action, :n] = np.cumsum(probabilities)
            next_states[state, action, :n] = states
            rewards[state, action, :n] = np.asarray(paid, np.float32)
            terminated[state, action, :n] = ends
    starts = np.cumsum(np.asarray(initial, dtype=float))
    return Dynamics(cumulated, next_states, rewards, terminated, starts, time_limit)


@compiled
def first_above(cumulated: Array, uniform: float) -> int:
    """Draw an index as ``gymnasium.envs.toy_text.utils.categorical_sample`` does."""
    for i in range(len(cumulated)):
        if cumulated[i] > uniform:
            return i
    return 0


@compiled
def _nth(wanted: int, of: Array, value: float) -> int:
    """Return the place of the ``wanted``-th entry that equals a value, counted from 0."""
    for i in range(len(of)):
        if of[i] == value:
            if wanted == 0:
                return i
            wanted -= 1
    return len(of) - 1


@compiled
def choose_greedily(q_values: Array, uniform: float) -> int:
    """Return a best action, ties broken by one uniform number."""
    highest, n_best = q_values[0], 0
    for q in q_values:
        if q > highest:
            highest, n_best = q, 1
        elif q == highest:
            n_best += 1
    return _nth(int(uniform * n_best), q_values, highest)


@compiled
def choose_by_confidence(q_values: Array, visits: Array, ucb_coef: float, uniform: float) -> int:
    """Return an untried action, or the one with the highest upper confidence bound."""
    untried, total = 0, 0
    for count in visits:
        untried += count == 0
        total += count
    if untried:
        return _nth(int(uniform * untried), visits, 0)
    best, highest, log_total = 0, -math.inf, math.log(total)
    for action in range(len(visits)):
        bound = q_values[action] + ucb_coef * math.sqrt(log_total / visits[action])
        if bound > highest:
            best, highest = action, bound
    return best


@compiled
def learn_steps(
    q_table: Array,
    visits: Array,
    dynamics: tuple[Any, ...],
    learner: tuple[float, float, float, float],
    schedules: tuple[Array, Array],
    uniforms: Array,
    states: Array,
    lengths: Array,
    returns: Array,
    ended: Array,
    stop_after: int,
) -> tuple[int, int, float]:
    """Take vector steps until the random numbers are used up, or enough episodes have ended.

    :param learner: γ, the power by which α falls with visits, its minimum, and c of the upper
        confidence bound, below 0 for ε-greedy exploration
    :param schedules: α before its fall by visits, and ε, of each vector step
    :param uniforms: (vector steps, copies, DRAWS)
    :param states: (copies,) where each copy is; with ``lengths`` and ``returns`` of the open
        episodes changed
    :param ended: (…, 5) written: vector step, copy, return, length, terminated of each episode
    :param stop_after: so many episodes
    :return: the vector steps taken, the episodes ended, the sum of |td_error|
    """
    cumulated, next_states, rewards, terminates, starts, time_limit = dynamics
    gamma, power, lowest_alpha, ucb_coef = learner
    alphas, epsilons = schedules
    n_ended, sum_of_errors = 0, 0.0
    n_actions = q_table.shape[1]
    chosen = np.empty(len(states), np.int64)
    for t in range(len(uniforms)):
        for i in range(len(states)):  # all copies choose before any of them learns
            state, uniform = states[i], uniforms[t, i]
            if ucb_coef >= 0.0:
                action = choose_by_confidence(
                    q_table[state], visits[state], ucb_coef, uniform[CHOICE]
                )
            elif uniform[EXPLORE] < epsilons[t]:
                action = int(uniform[CHOICE] * n_actions)
            else:
                action = choose_greedily(q_table[state], uniform[CHOICE])
            chosen[i] = action
        for i in range(len(states)):
            state, action, uniform = states[i], chosen[i], uniforms[t, i]
            k = first_above(cumulated[state, action], uniform[TRANSITION])
            next_state, reward = next_states[state, action, k], rewards[state, action, k]
            terminated = terminates[state, action, k]

            visits[state, action] += 1
            td_target = reward
            if not terminated:
                td_target += gamma * q_table[next_state].max()
            alpha = alphas[t]
            if power != 0.0:
                alpha *= math.pow(visits[state, action], -power)
            td_error = td_target - q_table[state, action]
            q_table[state, action] += max(lowest_alpha, alpha) * td_error
            sum_of_errors += abs(td_error)

            lengths[i] += 1
            returns[i] += reward
            states[i] = next_state
            if terminated or lengths[i] >= time_limit:
                row = ended[n_ended]
                row[0], row[1], row[2], row[3], row[4] = t, i, returns[i], lengths[i], terminated
                n_ended += 1
                states[i] = first_above(starts, uniform[START])
                lengths[i], returns[i] = 0, 0.0
        if n_ended >= stop_after:
            return t + 1, n_ended, sum_of_errors
    return len(uniforms), n_ended, sum_of_errors
