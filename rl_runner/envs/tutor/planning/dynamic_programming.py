"""The optimal values of a policy that sees the learner's full state: exact backward induction.

The full state is small: knowledge, engagement, confusion, modules, quizzes and focus make 101,250
states (with two modules per topic) for each of the six types of goal and pace. The tables are made
by running the kernel through all its branches, so the solved model is the simulated one:

    V_T = 0,   V_t(s) = max_a  r(s, a) + Σ_s' p(s' | s, a) V_{t+1}(s').
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from rl_runner.compiled import compiled, inlined
from rl_runner.envs.tutor.options import Model
from rl_runner.envs.tutor.simulator import model
from rl_runner.envs.tutor.simulator.branches import N_SLOTS, PROBABILITY, first_branch, next_branch
from rl_runner.envs.tutor.simulator.kernel import N_TERMS, act, pass_time, write_reward
from rl_runner.envs.tutor.simulator.model import N_ACTIONS, N_TOPICS
from rl_runner.envs.tutor.simulator.state import (
    CONFUSED,
    ENDING,
    ENGAGEMENT,
    FEEDBACK,
    FOCUS,
    GOAL,
    KNOWLEDGE,
    MODULES,
    N_COLUMNS,
    PACE,
    TESTED,
    TIME,
)

N_TYPES: Final = N_TOPICS * 2  # goal × pace
N_ENGAGEMENTS: Final = model.HIGHEST_ENGAGEMENT + 1
MOST_OUTCOMES: Final = 24  # the most states that one action can lead to

Progress = Callable[[int, int], None]  # sweeps done, sweeps in all


class Transitions(NamedTuple):
    """A sparse matrix of transition probabilities, stored by rows; m rows, k entries."""

    starts: np.ndarray  # (m + 1,) int64: the entries of row i are starts[i]:starts[i + 1]
    targets: np.ndarray  # (k,) int32
    probabilities: np.ndarray  # (k,) float64
    rewards: np.ndarray  # (m,) float64, expected


@compiled
def count_states(n_levels: int) -> int:
    """Return how many states one type of learner has."""
    knowledge = (n_levels + 1) ** N_TOPICS
    progress = (2 * n_levels + 1) ** N_TOPICS
    return int(knowledge * N_ENGAGEMENTS * 2 * progress * N_TOPICS)


@inlined
def state_index(row: np.ndarray, n_levels: int) -> int:
    """Return the index of a learner's state among those of its type."""
    # A stage per topic: 0, or the modules completed and whether the last one's quiz is passed.
    index = 0
    for topic in range(N_TOPICS):
        modules = row[MODULES + topic]
        stage = 0 if modules == 0 else 2 * modules - 1 + row[TESTED + topic]
        index = index * (2 * n_levels + 1) + stage
    index = index * N_TOPICS + row[FOCUS]
    for topic in range(N_TOPICS):
        index = index * (n_levels + 1) + row[KNOWLEDGE + topic]
    return int((index * N_ENGAGEMENTS + row[ENGAGEMENT]) * 2 + row[CONFUSED])


@inlined
def set_state(row: np.ndarray, index: int, n_levels: int) -> None:
    """Write the state of this index into a learner's row; the inverse of :func:`state_index`."""
    row[CONFUSED], index = index % 2, index // 2
    row[ENGAGEMENT], index = index % N_ENGAGEMENTS, index // N_ENGAGEMENTS
    for topic in range(N_TOPICS - 1, -1, -1):
        row[KNOWLEDGE + topic], index = index % (n_levels + 1), index // (n_levels + 1)
    row[FOCUS], index = index % N_TOPICS, index // N_TOPICS
    for topic in range(N_TOPICS - 1, -1, -1):
        stage, index = index % (2 * n_levels + 1), index // (2 * n_levels + 1)
        row[MODULES + topic] = (stage + 1) // 2
        row[TESTED + topic] = int(stage > 0 and stage % 2 == 0)


@inlined
def type_of(row: np.ndarray) -> int:
    """Return the index of a learner's type, 0..5."""
    return int(row[GOAL] * 2 + row[PACE])


@inlined
def _add_outcome(
    targets: np.ndarray, probabilities: np.ndarray, start: int, end: int, target: int, p: float
) -> int:
    """Add an outcome to a row's entries ``start:end``, merging equal targets; return the end."""
    for entry in range(start, end):
        if targets[entry] == target:
            probabilities[entry] += p
            return end
    targets[end] = target
    probabilities[end] = p
    return end + 1


@compiled
def transitions_of_action(model_: Model, action: int, goal: int, pace: int) -> Transitions:
    """Tabulate :func:`act` from every state of a type.

    A target is 2 · state + 1 after negative feedback, else 2 · state: the penalty of −5 is paid at
    most once per step, so leaving costs nothing more after negative feedback.
    """
    # Large enough for every outcome; cut to size at the end.
    n_states = count_states(model_.n_levels)
    starts = np.zeros(n_states + 1, dtype=np.int64)
    targets = np.empty(n_states * MOST_OUTCOMES, dtype=np.int32)
    probabilities = np.empty(n_states * MOST_OUTCOMES)
    rewards = np.zeros(n_states)
    row, terms = np.zeros(N_COLUMNS, dtype=np.int32), np.empty(N_TERMS)
    draws, trace = np.empty(N_SLOTS), np.empty(2)
    row[GOAL], row[PACE] = goal, pace
    for state in range(n_states):
        # Walk through all branches of the action; collect where they lead and what they earn.
        start = end = starts[state]
        first_branch(draws, trace)
        while True:
            set_state(row, state, model_.n_levels)
            act(row, action, model_, draws, trace)
            target = 2 * state_index(row, model_.n_levels) + int(row[FEEDBACK] < 0)
            end = _add_outcome(targets, probabilities, start, end, target, trace[PROBABILITY])
            rewards[state] += trace[PROBABILITY] * write_reward(row, terms)
            if not next_branch(draws, trace):
                break
        starts[state + 1] = end
    k = starts[n_states]
    return Transitions(starts, targets[:k].copy(), probabilities[:k].copy(), rewards)


@compiled
def transitions_of_time(model_: Model) -> Transitions:
    """Tabulate :func:`pass_time` from every target of an action; an ended episode is state n."""
    n_levels = model_.n_levels
    n_states = count_states(n_levels)
    starts = np.zeros(2 * n_states + 1, dtype=np.int64)
    targets = np.empty(2 * n_states * 4, dtype=np.int32)
    probabilities = np.empty(2 * n_states * 4)
    rewards = np.zeros(2 * n_states)
    row, terms = np.zeros(N_COLUMNS, dtype=np.int32), np.empty(N_TERMS)
    draws, trace = np.empty(N_SLOTS), np.empty(2)
    for source in range(2 * n_states):
        # Walk through all branches; the reward of leaving is the change of the step's reward.
        start = end = starts[source]
        first_branch(draws, trace)
        while True:
            set_state(row, source // 2, n_levels)
            # Time −1, so that the time limit never ends the episode: the induction over t does.
            row[FEEDBACK], row[ENDING], row[TIME] = -(source % 2), model.GOING_ON, -1
            before = write_reward(row, terms)
            pass_time(row, model_, draws, trace)
            ended = row[ENDING] != model.GOING_ON
            target = n_states if ended else state_index(row, n_levels)
            end = _add_outcome(targets, probabilities, start, end, target, trace[PROBABILITY])
            rewards[source] += trace[PROBABILITY] * (write_reward(row, terms) - before)
            if not next_branch(draws, trace):
                break
        starts[source + 1] = end
    k = starts[2 * n_states]
    return Transitions(starts, targets[:k].copy(), probabilities[:k].copy(), rewards)


@compiled
def back_up(transitions: Transitions, values: np.ndarray) -> np.ndarray:
    """Return (m,) expected rewards plus the values of the next states: r + P v."""
    result = transitions.rewards.copy()
    for row in range(len(result)):
        for entry in range(transitions.starts[row], transitions.starts[row + 1]):
            target = transitions.targets[entry]
            result[row] += transitions.probabilities[entry] * values[target]
    return result


def optimal_values(model_: Model, progress: Progress | None = None) -> np.ndarray:
    """Return (horizon, 6, n_states) float32 W_t(s) by type: the value after the action of step t.

    s is the state to which the action has led, before time passes. :func:`action_values` gets the
    best action from these values by looking one action ahead.

    :param progress: called after each of the 6 · horizon sweeps
    """
    n_states = count_states(model_.n_levels)
    kept = np.empty((model_.horizon, N_TYPES, n_states), dtype=np.float32)
    time = transitions_of_time(model_)
    for goal in range(N_TOPICS):
        for pace in (model.SLOW, model.FAST):
            type_ = 2 * goal + pace
            # The model of this type: one table per action.
            actions = [transitions_of_action(model_, a, goal, pace) for a in range(N_ACTIONS)]
            # Backward induction from V_T = 0; the last entry is the ended episode.
            values = np.zeros(n_states + 1)
            for t in range(model_.horizon - 1, -1, -1):
                after_action = back_up(time, values)
                kept[t, type_] = after_action[::2]  # without negative feedback in this step
                best = back_up(actions[0], after_action)
                for action in actions[1:]:
                    np.maximum(best, back_up(action, after_action), out=best)
                values[:-1] = best
                if progress is not None:
                    progress((type_ + 1) * model_.horizon - t, N_TYPES * model_.horizon)
    return kept


@compiled
def action_values(row: np.ndarray, model_: Model, after: np.ndarray, result: np.ndarray) -> None:
    """Write (6,) Q_t(s, a) of a learner into ``result``.

    :param after: (n_states,) W_t of the learner's type
    """
    draws, trace, terms = np.empty(N_SLOTS), np.empty(2), np.empty(N_TERMS)
    then = row.copy()
    for action in range(N_ACTIONS):
        # Expected over all branches of the action: its reward and the value of what follows.
        result[action] = 0.0
        first_branch(draws, trace)
        while True:
            for column in range(len(row)):
                then[column] = row[column]
            act(then, action, model_, draws, trace)
            value = write_reward(then, terms) + after[state_index(then, model_.n_levels)]
            if then[FEEDBACK] < 0:  # `after` has the −5 for leaving, which has already been paid
                value -= model.NEGATIVE_REWARD * model_.hazard[then[ENGAGEMENT]]
            result[action] += trace[PROBABILITY] * value
            if not next_branch(draws, trace):
                break
