"""One step of lookahead on the exact posterior: QMDP that also weighs what it would learn.

For each action it walks through everything that may be observed next, computes the posterior that
would follow, and takes QMDP's value from there:

    a = argmax_a  E[r | b, a] + Σ_o P(o | b, a) max_a' Σ_s b_o(s) Q_{t+1}(s, a').

So it sees that a question or a quiz informs later actions, where QMDP does not (Hauskrecht, "Value-
function approximations for partially observable Markov decision processes", JAIR 13, 2000, section
4.6). Looking ahead, it ignores the noisy measurements of engagement and of minutes; its posterior
uses them once they are observed.
"""

from typing import Final

import numpy as np

from rl_runner.compiled import compiled
from rl_runner.envs.tutor.options import Model
from rl_runner.envs.tutor.planning.dynamic_programming import action_values, type_of
from rl_runner.envs.tutor.planning.qmdp import NEGLIGIBLE, QMDP, hidden_index, set_hidden
from rl_runner.envs.tutor.simulator import model
from rl_runner.envs.tutor.simulator.branches import N_SLOTS, PROBABILITY, first_branch, next_branch
from rl_runner.envs.tutor.simulator.kernel import N_TERMS, act, pass_time, write_reward
from rl_runner.envs.tutor.simulator.model import N_ACTIONS, N_TOPICS
from rl_runner.envs.tutor.simulator.state import (
    ANSWER,
    ENDING,
    FEEDBACK,
    GOAL,
    MODULES,
    N_COLUMNS,
    RESPONSE,
    SCORE,
    TESTED,
    TIME,
)

MOST_OBSERVATIONS: Final = 64  # that one action can lead to, without the noisy measurements


class Lookahead(QMDP):
    """Looks one observation ahead on the exact posterior, and uses QMDP's values after that."""

    def choose(self, seen: np.ndarray) -> np.ndarray:
        """Return (n,) the actions of highest expected value for (n, N_COLUMNS) rows."""
        return lookahead_actions(seen, self.beliefs, self._model, self._values)


@compiled
def lookahead_actions(
    seen: np.ndarray, beliefs: np.ndarray, model_: Model, values: np.ndarray
) -> np.ndarray:
    """Return (n,) the best actions for beliefs (n, n_hidden) about learners seen as these rows."""
    actions = np.empty(len(seen), dtype=np.int64)
    for i in range(len(seen)):
        best = -np.inf
        for action in range(N_ACTIONS):
            value = value_of_action(action, seen[i], beliefs[i], model_, values)
            if value > best:
                best, actions[i] = value, action
    return actions


@compiled
def value_of_action(
    action: int, seen: np.ndarray, belief: np.ndarray, model_: Model, values: np.ndarray
) -> float:
    """Return the expected reward of an action plus QMDP's value of the posteriors it leads to."""
    rows = np.zeros((MOST_OBSERVATIONS, N_COLUMNS), dtype=np.int32)
    weights = np.zeros((MOST_OBSERVATIONS, len(belief)))  # P(observation, hidden state)
    row = seen.copy()
    draws, trace, terms = np.empty(N_SLOTS), np.empty(2), np.empty(N_TERMS)
    n, value, mass = 0, 0.0, 0.0
    least = NEGLIGIBLE * belief.max()
    for hidden in range(len(belief)):
        if belief[hidden] <= least:
            continue
        mass += belief[hidden]
        # Walk through all branches of the step from this hidden state.
        first_branch(draws, trace)
        while True:
            row[:] = seen
            row[ENDING] = model.GOING_ON
            set_hidden(row, hidden, model_.n_levels)
            act(row, action, model_, draws, trace)
            pass_time(row, model_, draws, trace)
            weight = belief[hidden] * trace[PROBABILITY]
            value += weight * write_reward(row, terms)
            if row[ENDING] == model.GOING_ON:
                n = add_observation(row, weight, rows, weights, n, model_.n_levels)
            if not next_branch(draws, trace):
                break
    # After each observation, the best action for the posterior that it leaves.
    for each in range(n):
        value += posterior_value(rows[each], weights[each], model_, values)
    return value / mass


@compiled
def add_observation(
    row: np.ndarray, weight: float, rows: np.ndarray, weights: np.ndarray, n: int, n_levels: int
) -> int:
    """Add a state's weight to the observation that it shows; return the number of observations.

    A learner who answers a question names its goal, or by mistake another topic.
    """
    hidden = hidden_index(row, n_levels)
    if row[RESPONSE] != model.ANSWERED:
        place = find_observation(row, rows, n)
        weights[place, hidden] += weight
        return max(n, place + 1)
    for answer in range(N_TOPICS):
        row[ANSWER] = answer
        is_right = row[GOAL] == answer
        share = model.ANSWER_RIGHT if is_right else 0.5 * (1.0 - model.ANSWER_RIGHT)
        place = find_observation(row, rows, n)
        weights[place, hidden] += weight * share
        n = max(n, place + 1)
    return n


@compiled
def find_observation(row: np.ndarray, rows: np.ndarray, n: int) -> int:
    """Return the place of a row's observation among the first n, or add it as the next."""
    for place in range(n):
        other = rows[place]
        same = row[RESPONSE] == other[RESPONSE] and row[FEEDBACK] == other[FEEDBACK]
        same = same and row[ANSWER] == other[ANSWER]
        for topic in range(N_TOPICS):
            same = same and row[MODULES + topic] == other[MODULES + topic]
            same = same and row[TESTED + topic] == other[TESTED + topic]
            same = same and row[SCORE + topic] == other[SCORE + topic]
        if same:
            return place
    if n == MOST_OBSERVATIONS:
        raise ValueError("an action leads to more observations than are foreseen")  # noqa: EM101 - compiled
    rows[n] = row
    return n


@compiled
def posterior_value(
    seen: np.ndarray, weights: np.ndarray, model_: Model, values: np.ndarray
) -> float:
    """Return max_a Σ_s w(s) Q_t(s, a) for weights (n_hidden,) that need not sum to 1."""
    q_values, total, row = np.empty(N_ACTIONS), np.zeros(N_ACTIONS), seen.copy()
    least, mass, used = NEGLIGIBLE * weights.max(), 0.0, 0.0
    for hidden in range(len(weights)):
        mass += weights[hidden]
        if weights[hidden] > least:
            used += weights[hidden]
            set_hidden(row, hidden, model_.n_levels)
            action_values(row, model_, values[row[TIME], type_of(row)], q_values)
            total += weights[hidden] * q_values
    return float(total.max() * mass / used)
