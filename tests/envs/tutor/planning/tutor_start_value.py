"""The exact expected return of the oracle, for tests and for benchmarks/tutor_table.py."""

import itertools

import numpy as np

from rl_runner.envs.tutor.options import TutorOptions
from rl_runner.envs.tutor.planning.dynamic_programming import action_values, type_of
from rl_runner.envs.tutor.simulator import model
from rl_runner.envs.tutor.simulator.model import N_ACTIONS, N_TOPICS
from rl_runner.envs.tutor.simulator.state import ENGAGEMENT, GOAL, KNOWLEDGE, N_COLUMNS, PACE


def start_value(options: TutorOptions, values: np.ndarray) -> float:
    """Return the oracle's expected return: V_0, averaged over the population of learners."""
    model_ = options.build_model()
    goals = model.goal_probabilities().mean(axis=0)
    levels = model.level_probabilities(model_.n_levels)
    row, total = np.zeros(N_COLUMNS, dtype=np.int32), 0.0
    q_values = np.empty(N_ACTIONS)
    for experience, share in enumerate(model.EXPERIENCE_PROBABILITIES):
        fast = model.FAST_PROBABILITIES[experience]
        knowledges = itertools.product(range(model_.n_levels + 1), repeat=N_TOPICS)
        kinds = itertools.product(model.FIRST_ENGAGEMENTS, range(N_TOPICS), (0, 1))
        for knowledge, (engagement, goal, pace) in itertools.product(knowledges, kinds):
            # One kind of new learner: its state, how frequent it is, and its value.
            row[KNOWLEDGE : KNOWLEDGE + N_TOPICS] = knowledge
            row[ENGAGEMENT], row[GOAL], row[PACE] = engagement, goal, pace
            probability = share * levels[experience, list(knowledge)].prod() * goals[goal]
            probability *= (fast if pace == model.FAST else 1.0 - fast) / 2.0
            action_values(row, model_, values[0, type_of(row)], q_values)
            total += float(probability * q_values.max())
    return total
