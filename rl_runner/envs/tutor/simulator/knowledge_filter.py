"""The platform's belief about a learner: Bayesian knowledge tracing with an individual pace.

Given the pace (slow or fast), the topics are independent hidden Markov chains over the levels of
knowledge, so the posterior over (pace, three levels) factorises and is kept exactly: P(pace), and
P(level | pace) for each topic (Corbett & Anderson 1995; individual learning rates as in Yudelson,
Koedinger & Gordon 2013).

For what it cannot observe, the platform uses the population: a typical engagement, the goal's
probability given the genre and the answers, and the probability of confusion given the results of
earlier modules, quizzes and resources. The evidence: whether a suggested module is skipped, opened
and completed, how long it took, feedback, and every answer in a quiz. The platform assumes ``bkt``
learners; its model of ``half_life`` learners is wrong, as a real platform's may be.
"""

import math
from typing import Final

import numpy as np

from rl_runner.compiled import inlined
from rl_runner.envs.tutor.options import Model
from rl_runner.envs.tutor.simulator import model
from rl_runner.envs.tutor.simulator.kernel import COMPLETE, LEARN_READY, NEGATIVE, POSITIVE, SKIP
from rl_runner.envs.tutor.simulator.model import EASY, HARD, N_TOPICS, READY
from rl_runner.envs.tutor.simulator.state import (
    ANSWER,
    BELIEF_CONFUSED,
    BELIEF_GOAL,
    BELIEF_LEVEL,
    BELIEF_PACE,
    CORRECT,
    EXPERIENCE,
    FEEDBACK,
    FOCUS,
    GENRE,
    LEVEL,
    MODULES,
    RESPONSE,
    TOPIC,
)

TYPICAL_ENGAGEMENT: Final = 3
GOALS: Final = model.goal_probabilities()
FAST: Final = np.array(model.FAST_PROBABILITIES)
INITIAL_LEVELS: Final = np.array(model.LEVEL_PROBABILITIES)
RESOURCE_LEARN_CONFUSED: Final = np.array(model.RESOURCE_LEARN_CONFUSED)
RIGHT: Final = np.arange(model.N_QUESTIONS + 1)
WRONG: Final = model.N_QUESTIONS - RIGHT
QUIZ_KNOWN: Final = (1.0 - model.SLIP) ** RIGHT * model.SLIP**WRONG  # by right answers
QUIZ_GUESSED: Final = model.GUESS**RIGHT * (1.0 - model.GUESS) ** WRONG
LOG_HARD: Final = math.log(model.MINUTES_HARD)
LOG_VARIANCE: Final = model.MINUTES_LOG_STD**2


@inlined
def begin_belief(belief: np.ndarray, row: np.ndarray, n_levels: int) -> None:
    """Set the belief to the prior, given the learner's experience and genre."""
    experience = row[EXPERIENCE]
    for column in range(len(belief)):
        belief[column] = 0.0
    belief[BELIEF_PACE + model.FAST] = FAST[experience]
    belief[BELIEF_PACE + model.SLOW] = 1.0 - FAST[experience]
    for topic in range(N_TOPICS):
        belief[BELIEF_GOAL + topic] = GOALS[row[GENRE], topic]
        for pace in range(2):
            at = levels_at(topic, pace, n_levels)
            for level in range(INITIAL_LEVELS.shape[1]):
                belief[at + min(level, n_levels)] += INITIAL_LEVELS[experience, level]


@inlined
def levels_at(topic: int, pace: int, n_levels: int) -> int:
    """Return the column where P(level | pace) of a topic begins."""
    return BELIEF_LEVEL + (topic * 2 + pace) * (n_levels + 1)


@inlined
def update_belief(belief: np.ndarray, row: np.ndarray, minutes: float, model_: Model) -> None:
    """Update the belief after one step; ``row`` is the learner's record after it."""
    # The evidence of the response, and what the learner may have learned.
    n_levels, response = model_.n_levels, row[RESPONSE]
    if response in (model.SKIPPED, model.COMPLETED, model.STOPPED):
        if row[LEVEL] > 0:  # else the topic was finished: skipping is certain, no evidence
            _after_suggestion(belief, row, minutes, n_levels)
    elif response == model.READ:
        _after_resource(belief, row, n_levels)
    elif response == model.ANSWERED:
        _after_answer(belief, row[ANSWER])
    elif response in (model.PASSED, model.FAILED):
        _after_quiz(belief, row, n_levels)
    # The two topics that are not in focus may be forgotten.
    for shift in (1, 2):
        _forget(belief, (row[FOCUS] + shift) % N_TOPICS, n_levels)


@inlined
def expected_level(belief: np.ndarray, topic: int, n_levels: int) -> float:
    """Return the posterior mean of knowledge in a topic, in levels."""
    mean = 0.0
    for pace in range(2):
        at = levels_at(topic, pace, n_levels)
        for level in range(1, n_levels + 1):
            mean += belief[BELIEF_PACE + pace] * belief[at + level] * level
    return mean


@inlined
def _difficulty(level: int, module: int) -> int:
    return EASY if level >= module else READY if level == module - 1 else HARD


@inlined
def _normalise(belief: np.ndarray, topic: int, n_levels: int) -> None:
    """Turn joint weights of pace and level back into P(pace) and P(level | pace)."""
    total = 0.0
    for pace in range(2):
        at, weight = levels_at(topic, pace, n_levels), 0.0
        for level in range(n_levels + 1):
            weight += belief[at + level]
        for level in range(n_levels + 1):
            belief[at + level] /= weight
        belief[BELIEF_PACE + pace] *= weight
        total += belief[BELIEF_PACE + pace]
    belief[BELIEF_PACE] /= total
    belief[BELIEF_PACE + 1] /= total


@inlined
def _weigh_difficulties(
    belief: np.ndarray, row: np.ndarray, n_levels: int, easy: float, ready: float, hard: float
) -> None:
    """Multiply the levels by the likelihood of the evidence, given the module's difficulty."""
    for pace in range(2):
        at = levels_at(row[TOPIC], pace, n_levels)
        for level in range(n_levels + 1):
            kind = _difficulty(level, row[LEVEL])
            belief[at + level] *= easy if kind == EASY else ready if kind == READY else hard
    _normalise(belief, row[TOPIC], n_levels)


@inlined
def _typical_skip(belief: np.ndarray, topic: int, kind: int) -> float:
    """Return P(skip) of a module of this difficulty, averaged over goal and confusion."""
    confused, goal = belief[BELIEF_CONFUSED], belief[BELIEF_GOAL + topic]
    e = TYPICAL_ENGAGEMENT
    clear = goal * SKIP[e, 0, 1, kind] + (1.0 - goal) * SKIP[e, 0, 0, kind]
    unclear = goal * SKIP[e, 1, 1, kind] + (1.0 - goal) * SKIP[e, 1, 0, kind]
    return float((1.0 - confused) * clear + confused * unclear)


@inlined
def _after_suggestion(belief: np.ndarray, row: np.ndarray, minutes: float, n_levels: int) -> None:
    """Update the belief after a suggestion was skipped, or opened and completed or stopped."""
    # A skip is evidence of the difficulty, and so of the level.
    topic = row[TOPIC]
    easy = _typical_skip(belief, topic, EASY)
    ready = _typical_skip(belief, topic, READY)
    hard = _typical_skip(belief, topic, HARD)
    if row[RESPONSE] == model.SKIPPED:
        _weigh_difficulties(belief, row, n_levels, easy, ready, hard)
        return
    # An opened module: the evidence is the minutes, whether it was completed, and the feedback.
    positive, negative = POSITIVE[TYPICAL_ENGAGEMENT], 0.5 * NEGATIVE[TYPICAL_ENGAGEMENT]
    x = math.log(minutes / model.MINUTES_MEDIAN)
    longer = math.exp((x * LOG_HARD - 0.5 * LOG_HARD**2) / LOG_VARIANCE)
    easy, ready, hard = 1.0 - easy, 1.0 - ready, (1.0 - hard) * longer
    if row[RESPONSE] == model.COMPLETED:
        easy, ready, hard = easy * COMPLETE[EASY], ready * COMPLETE[READY], hard * COMPLETE[HARD]
        ready *= positive if row[FEEDBACK] > 0 else 1.0 - positive
    else:
        easy, ready = easy * (1.0 - COMPLETE[EASY]), ready * (1.0 - COMPLETE[READY])
        hard *= 1.0 - COMPLETE[HARD]
    hard *= negative if row[FEEDBACK] < 0 else 1.0 - negative
    if row[FEEDBACK] > 0:  # only a module at the right level gets positive feedback
        easy = hard = 0.0
    elif row[FEEDBACK] < 0:  # once opened, only one that is too hard gets negative feedback
        easy = ready = 0.0
    _weigh_difficulties(belief, row, n_levels, easy, ready, hard)
    # A module that was too hard and not completed confuses.
    if row[RESPONSE] == model.STOPPED:
        _suspect_confusion(belief, _probability_hard(belief, row, n_levels))
    # What it may have taught, from the highest level down, so that nobody rises twice.
    for pace in range(2):
        at = levels_at(topic, pace, n_levels)
        for level in range(row[LEVEL] - 1, -1, -1):
            is_ready = _difficulty(level, row[LEVEL]) == READY
            _learn(belief, at + level, LEARN_READY[pace] if is_ready else model.LEARN_HARD)


@inlined
def _probability_hard(belief: np.ndarray, row: np.ndarray, n_levels: int) -> float:
    """Return the probability that the module was too hard."""
    hard = 0.0
    for pace in range(2):
        at = levels_at(row[TOPIC], pace, n_levels)
        for level in range(n_levels + 1):
            if _difficulty(level, row[LEVEL]) == HARD:
                hard += belief[BELIEF_PACE + pace] * belief[at + level]
    return hard


@inlined
def _suspect_confusion(belief: np.ndarray, probability: float) -> None:
    """Raise P(confused): a learner who was not confused has become so with this probability."""
    belief[BELIEF_CONFUSED] += (1.0 - belief[BELIEF_CONFUSED]) * probability


@inlined
def _learn(belief: np.ndarray, column: int, rate: float) -> None:
    """Move this share of the probability of a level to the next level."""
    moved = rate * belief[column]
    belief[column] -= moved
    belief[column + 1] += moved


@inlined
def _after_resource(belief: np.ndarray, row: np.ndarray, n_levels: int) -> None:
    """Update the belief after a resource was read: less confusion, perhaps more knowledge."""
    # Confusion at the time of reading, and after it.
    topic, confused = row[TOPIC], belief[BELIEF_CONFUSED]
    thanked = 0.5 * POSITIVE[TYPICAL_ENGAGEMENT]
    if row[FEEDBACK] > 0:  # only given for clearing confusion: there was some, and it is gone
        confused, after = 1.0, 0.0
    else:
        stays = confused * (1.0 - model.RESOURCE_CLEARS)
        after = stays / (1.0 - confused * model.RESOURCE_CLEARS * thanked)
    # A resource teaches more while the learner is confused.
    highest = min(row[MODULES + topic], n_levels - 1)
    for pace in range(2):
        rate = confused * RESOURCE_LEARN_CONFUSED[pace] + (1.0 - confused) * model.RESOURCE_LEARN
        at = levels_at(topic, pace, n_levels)
        for level in range(highest, -1, -1):
            _learn(belief, at + level, rate)
    belief[BELIEF_CONFUSED] = after


@inlined
def _after_answer(belief: np.ndarray, answer: int) -> None:
    """Update the goal's probabilities by the answer, and P(confused) by the question."""
    total = 0.0
    for topic in range(N_TOPICS):
        right = topic == answer
        wrong = (1.0 - model.ANSWER_RIGHT) / (N_TOPICS - 1)
        belief[BELIEF_GOAL + topic] *= model.ANSWER_RIGHT if right else wrong
        total += belief[BELIEF_GOAL + topic]
    for topic in range(N_TOPICS):
        belief[BELIEF_GOAL + topic] /= total
    belief[BELIEF_CONFUSED] *= 1.0 - model.CLARIFY_CLEARS


@inlined
def _after_quiz(belief: np.ndarray, row: np.ndarray, n_levels: int) -> None:
    """Update the belief by the number of right answers; a failed quiz teaches and confuses."""
    knows, guesses = QUIZ_KNOWN[row[CORRECT]], QUIZ_GUESSED[row[CORRECT]]
    _weigh_difficulties(belief, row, n_levels, knows, guesses, guesses)
    if row[RESPONSE] == model.FAILED:
        for pace in range(2):
            at = levels_at(row[TOPIC], pace, n_levels)
            for level in range(row[LEVEL] - 1, -1, -1):
                _learn(belief, at + level, model.FAIL_LEARN)
        _suspect_confusion(belief, model.FAIL_CONFUSES)


@inlined
def _forget(belief: np.ndarray, topic: int, n_levels: int) -> None:
    """Move the forgotten share of the probability of each level to the level below."""
    for pace in range(2):
        at = levels_at(topic, pace, n_levels)
        for level in range(1, n_levels + 1):
            forgotten = model.FORGET * belief[at + level]
            belief[at + level] -= forgotten
            belief[at + level - 1] += forgotten
