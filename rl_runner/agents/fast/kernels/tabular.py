"""The loop of tabular Q-learning, environment included, over a transition table.

Every vector step takes :data:`DRAWS` uniform numbers per copy of the environment, whether it needs
them or not: to decide whether to explore, to choose an action (at random or among equals), to draw
the transition and to draw the first state of a new episode.
"""

import math
from typing import Any

import numpy as np

from rl_runner.agents.fast.kernels.structures import (
    Array,
    Dynamics,
    OpenEpisodes,
    QLearningSettings,
    QTable,
)
from rl_runner.compiled import compiled

DRAWS = 4
EXPLORE, CHOICE, TRANSITION, START = range(DRAWS)

# Columns of what is recorded of each finished episode; the step is counted in vector steps.
STEP, COPY, RETURN, LENGTH, TERMINATED = range(5)
N_COLUMNS = 5


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
def _nth(wanted: int, entries: Array, value: float) -> int:
    """Return the index of the ``wanted``-th entry (from 0) that equals a value."""
    for i in range(len(entries)):
        if entries[i] == value:
            if wanted == 0:
                return i
            wanted -= 1
    return len(entries) - 1


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
def _choose_action(
    table: QTable, settings: QLearningSettings, t: int, state: int, uniform: Array
) -> int:
    """Choose one copy's action at vector step t.

    :param uniform: (DRAWS,)
    """
    q_values = table.values[state]
    if settings.uses_ucb:
        return choose_by_confidence(
            q_values, table.visits[state], settings.ucb_coef, uniform[CHOICE]
        )
    if uniform[EXPLORE] < settings.epsilons[t]:
        return int(uniform[CHOICE] * len(q_values))
    return choose_greedily(q_values, uniform[CHOICE])


@compiled
def _update(
    table: QTable,
    settings: QLearningSettings,
    t: int,
    state: int,
    action: int,
    reward: float,
    next_state: int,
    terminated: bool,
) -> float:
    """Move Q(s, a) towards its target; return |td_error|."""
    q_values, visits = table.values, table.visits
    visits[state, action] += 1
    td_target = reward
    if not terminated:
        td_target += settings.gamma * q_values[next_state].max()
    alpha = settings.learning_rates[t]
    if settings.learning_rate_power != 0.0:
        alpha *= math.pow(visits[state, action], -settings.learning_rate_power)
    td_error = td_target - q_values[state, action]
    q_values[state, action] += max(settings.learning_rate_min, alpha) * td_error
    return float(abs(td_error))


@compiled
def learn_steps(
    table: QTable,
    dynamics: Dynamics,
    settings: QLearningSettings,
    uniforms: Array,
    episodes: OpenEpisodes,
    ended: Array,
    stop_after: int,
) -> tuple[int, int, float]:
    """Take vector steps until the random numbers are used up, or enough episodes have ended.

    :param table: learned in place
    :param uniforms: (vector steps, copies, DRAWS)
    :param episodes: where each copy is; changed in place
    :param ended: (…, N_COLUMNS) written, a row for each episode that ends
    :param stop_after: the number of episodes
    :return: the vector steps taken, the episodes ended, the sum of |td_error|
    """
    states, lengths, returns = episodes.states, episodes.lengths, episodes.returns
    n_ended, sum_of_errors = 0, 0.0
    actions = np.empty(len(states), np.int64)
    for t in range(len(uniforms)):
        # All copies choose before any of them learns.
        for i in range(len(states)):
            actions[i] = _choose_action(table, settings, t, states[i], uniforms[t, i])
        for i in range(len(states)):
            state, action, uniform = states[i], actions[i], uniforms[t, i]

            # Step the environment.
            k = first_above(dynamics.cumulated[state, action], uniform[TRANSITION])
            next_state = dynamics.next_states[state, action, k]
            reward = dynamics.rewards[state, action, k]
            terminated = dynamics.terminated[state, action, k]

            # Learn from the transition.
            sum_of_errors += _update(
                table, settings, t, state, action, reward, next_state, terminated
            )

            # Record an episode that has ended, and begin the next one.
            lengths[i] += 1
            returns[i] += reward
            states[i] = next_state
            if terminated or lengths[i] >= dynamics.time_limit:
                row = ended[n_ended]
                row[STEP], row[COPY], row[RETURN] = t, i, returns[i]
                row[LENGTH], row[TERMINATED] = lengths[i], terminated
                n_ended += 1
                states[i] = first_above(dynamics.starts, uniform[START])
                lengths[i], returns[i] = 0, 0.0
        if n_ended >= stop_after:
            return t + 1, n_ended, sum_of_errors
    return len(uniforms), n_ended, sum_of_errors
