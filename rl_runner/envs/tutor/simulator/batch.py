"""One step of many learners, compiled. The single environment is a batch of one."""

from typing import NamedTuple, Self

import numpy as np

from rl_runner.compiled import compiled, inlined
from rl_runner.envs.tutor.options import Model
from rl_runner.envs.tutor.simulator import model
from rl_runner.envs.tutor.simulator.branches import N_SLOTS
from rl_runner.envs.tutor.simulator.draws import ONE, draw, draw_learner, episode_key
from rl_runner.envs.tutor.simulator.kernel import N_TERMS, act, measure, pass_time, write_reward
from rl_runner.envs.tutor.simulator.knowledge_filter import (
    begin_belief,
    expected_level,
    update_belief,
)
from rl_runner.envs.tutor.simulator.model import N_TOPICS
from rl_runner.envs.tutor.simulator.observation import MOST_MINUTES, OBSERVATION_SIZE, SLICES
from rl_runner.envs.tutor.simulator.state import (
    ACTION,
    ANSWER,
    CORRECT,
    ENDING,
    EXPERIENCE,
    FEEDBACK,
    FOCUS,
    GENRE,
    MINUTES,
    MODULES,
    N_COLUMNS,
    READING,
    RESPONSE,
    SCORE,
    SKIPS,
    TESTED,
    TIME,
    Learners,
)

(
    GENRE_AT,
    EXPERIENCE_AT,
    MODULES_AT,
    TESTED_AT,
    SCORES_AT,
    FOCUS_AT,
    TIME_AT,
    SKIPS_AT,
    ENGAGEMENT_AT,
    MINUTES_AT,
    KNOWLEDGE_AT,
    ACTION_AT,
    RESPONSE_AT,
    FEEDBACK_AT,
    ANSWER_AT,
) = (part.start for part in SLICES.values())


class Outcome(NamedTuple):
    """The result of one step of n learners."""

    observations: np.ndarray  # (n, OBSERVATION_SIZE) float32; of the next episode where one ended
    final_observations: np.ndarray  # the last one of an episode; set only where one ended
    final_rows: np.ndarray  # (n, N_COLUMNS) int32, the last row; set only where one ended
    sums: np.ndarray  # (1 + N_TERMS, n) float64: the rewards, then the terms that add up to them
    correct: np.ndarray  # (n,) int32: right answers in the step's quiz
    flags: np.ndarray  # (len(model.FLAGS), n) bool

    @classmethod
    def empty(cls, n: int) -> Self:
        """Allocate the arrays for n learners; they are not initialised."""
        return cls(
            np.empty((n, OBSERVATION_SIZE), dtype=np.float32),
            np.empty((n, OBSERVATION_SIZE), dtype=np.float32),
            np.empty((n, N_COLUMNS), dtype=np.int32),
            np.empty((1 + N_TERMS, n)),
            np.empty(n, dtype=np.int32),
            np.empty((len(model.FLAGS), n), dtype=np.bool_),
        )


@compiled
def step_learners(
    model_: Model, learners: Learners, actions: np.ndarray, outcome: Outcome, autoreset: bool
) -> int:
    """Step n learners; return how many episodes ended, or −1 if an action is out of range.

    With an action out of range, no learner is stepped.

    :param autoreset: begin the next episode at once where one ends
    """
    # For speed, each learner is copied into scratch arrays, and the tuple's fields are named once:
    # every view of a row and every access to a field costs a locked reference count.
    rows, measurements, beliefs = learners.rows, learners.measured, learners.belief
    streams, episodes = learners.streams, learners.episodes
    observations, final_observations, final_rows, sums, correct, flags = outcome
    row, measured, belief, seen = scratch(learners)
    draws, terms = np.empty(N_SLOTS), np.empty(N_TERMS)
    # Check all actions before anything changes.
    for i in range(len(actions)):
        if not 0 <= actions[i] < model.N_ACTIONS:
            return -1
    n_ended = 0
    for i in range(len(actions)):
        load(rows, i, row)
        load(measurements, i, measured)
        load(beliefs, i, belief)
        # The learner responds, time passes, and the platform measures and updates its belief.
        draw(episode_key(streams[i], episodes[i]), row[TIME] + 1, draws)
        act(row, actions[i], model_, draws, None)
        pass_time(row, model_, draws, None)
        measure(row, measured, draws)
        update_belief(belief, row, measured[MINUTES], model_)
        # Write what the step returns.
        sums[0, i] = write_reward(row, terms)
        for index in range(N_TERMS):
            sums[1 + index, i] = terms[index]
        correct[i] = row[CORRECT]
        write_flags(row, flags, i)
        write_observation(row, measured, belief, model_, seen)
        # Keep how an episode ended before the next learner takes its place.
        if row[ENDING] != model.GOING_ON:
            n_ended += 1
            if autoreset:
                store(seen, final_observations, i)
                store(row, final_rows, i)
                begin_episode(model_, learners, i, draws, row, measured, belief, seen)
        store(row, rows, i)
        store(measured, measurements, i)
        store(belief, beliefs, i)
        store(seen, observations, i)
    return n_ended


@inlined
def write_flags(row: np.ndarray, flags: np.ndarray, i: int) -> None:
    """Write the flags of learner ``i``'s step, in the order of :data:`.model.FLAGS`."""
    flags[0, i] = row[ENDING] == model.GRADUATED or row[ENDING] == model.LEFT
    flags[1, i] = row[ENDING] == model.TIME_OVER
    flags[2, i] = row[RESPONSE] == model.COMPLETED
    flags[3, i] = row[RESPONSE] == model.SKIPPED
    flags[4, i] = row[FEEDBACK] > 0
    flags[5, i] = row[FEEDBACK] < 0
    flags[6, i] = row[ENDING] == model.LEFT
    flags[7, i] = row[ENDING] == model.GRADUATED


@compiled
def reset_learners(
    model_: Model, learners: Learners, chosen: np.ndarray, observations: np.ndarray
) -> None:
    """Begin a new episode for each learner that ``chosen`` (n,) bool selects."""
    row, measured, belief, seen = scratch(learners)
    draws = np.empty(N_SLOTS)
    for i in range(len(chosen)):
        if chosen[i]:
            begin_episode(model_, learners, i, draws, row, measured, belief, seen)
            store(row, learners.rows, i)
            store(measured, learners.measured, i)
            store(belief, learners.belief, i)
            store(seen, observations, i)


@compiled
def begin_episode(  # noqa: PLR0913, PLR0917 - a learner is four arrays
    model_: Model,
    learners: Learners,
    i: int,
    draws: np.ndarray,
    row: np.ndarray,
    measured: np.ndarray,
    belief: np.ndarray,
    seen: np.ndarray,
) -> None:
    """Draw the next learner ``i`` into the four arrays."""
    # The episode's stream: the next planned one, or the next episode of the current stream.
    used, n_planned = learners.plans[i, 0], learners.plans[i, 1]
    if used < n_planned:
        learners.streams[i] = learners.planned[i, used]
        learners.episodes[i] = 0
        learners.plans[i, 0] = used + 1
    learners.episodes[i] += ONE
    # The learner, the platform's first belief, and the first observation.
    draw(episode_key(learners.streams[i], learners.episodes[i]), 0, draws)
    draw_learner(row, measured, model_, draws)
    begin_belief(belief, row, model_.n_levels)
    write_observation(row, measured, belief, model_, seen)


@compiled
def scratch(learners: Learners) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Allocate scratch arrays for one learner: row, measurements, belief, observation."""
    return (
        np.empty(learners.rows.shape[1], dtype=np.int32),
        np.empty(learners.measured.shape[1]),
        np.empty(learners.belief.shape[1]),
        np.empty(OBSERVATION_SIZE, dtype=np.float32),
    )


@inlined
def load(table: np.ndarray, i: int, row: np.ndarray) -> None:
    """Copy row ``i`` of a table into ``row``."""
    for column in range(len(row)):
        row[column] = table[i, column]


@inlined
def store(row: np.ndarray, table: np.ndarray, i: int) -> None:
    """Copy ``row`` into row ``i`` of a table."""
    for column in range(len(row)):
        table[i, column] = row[column]


@inlined
def write_observation(
    row: np.ndarray,
    measured: np.ndarray,
    belief: np.ndarray,
    model_: Model,
    observation: np.ndarray,
) -> None:
    """Write the agent's observation, part by part as in :data:`.observation.SLICES`."""
    for column in range(len(observation)):
        observation[column] = 0.0
    # User profile.
    observation[GENRE_AT + row[GENRE]] = 1.0
    observation[EXPERIENCE_AT + row[EXPERIENCE]] = 1.0
    # Progress and knowledge by topic.
    for topic in range(N_TOPICS):
        observation[MODULES_AT + topic] = row[MODULES + topic] / model_.n_levels
        observation[TESTED_AT + topic] = row[TESTED + topic]
        observation[SCORES_AT + topic] = max(0, row[SCORE + topic]) / model.N_QUESTIONS
        level = expected_level(belief, topic, model_.n_levels)
        observation[KNOWLEDGE_AT + topic] = min(1.0, level / model_.n_levels)
    observation[FOCUS_AT + row[FOCUS]] = 1.0
    observation[TIME_AT] = row[TIME] / model_.horizon
    observation[SKIPS_AT] = row[SKIPS] / model_.horizon
    # Engagement.
    reading = measured[READING] / model.HIGHEST_ENGAGEMENT
    observation[ENGAGEMENT_AT] = min(1.0, max(0.0, reading))
    observation[MINUTES_AT] = min(1.0, measured[MINUTES] / MOST_MINUTES)
    # The last step, all zero before the first.
    if row[ACTION] >= 0:
        observation[ACTION_AT + row[ACTION]] = 1.0
        observation[RESPONSE_AT + row[RESPONSE]] = 1.0
    if row[FEEDBACK] != 0:
        observation[FEEDBACK_AT + int(row[FEEDBACK] < 0)] = 1.0
    if row[ANSWER] >= 0:
        observation[ANSWER_AT + row[ANSWER]] = 1.0
