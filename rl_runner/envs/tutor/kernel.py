"""THE transition kernel: a fixed function of a learner, an action and a row of random numbers.

Environments hand it uniform numbers from a counter-based generator. The dynamic programme hands it
only zeros and ones, which make every chance come true or fail, and so replays it over all its
branches (:func:`next_branch`); ``trace`` then holds the branch's probability. What is simulated and
what is solved is therefore the same code.

A step is :func:`act`, then :func:`pass_time`, then :func:`measure`, which changes nothing hidden.
"""

import math
from typing import Final

import numpy as np

from rl_runner.envs.tutor import model
from rl_runner.envs.tutor.compiled import compiled
from rl_runner.envs.tutor.model import (
    CLARIFY,
    COMPLETED,
    EASY,
    HARD,
    HIGHEST_ENGAGEMENT,
    N_TOPICS,
    QUIZ,
    READY,
    RESOURCE,
    SKIPPED,
)
from rl_runner.envs.tutor.options import Model
from rl_runner.envs.tutor.state import (
    ACTION,
    ANSWER,
    CONFUSED,
    CORRECT,
    ENDING,
    ENGAGEMENT,
    FEEDBACK,
    FOCUS,
    GOAL,
    KNOWLEDGE,
    LEVEL,
    MINUTES,
    MODULES,
    OPENED,
    PACE,
    READING,
    RESPONSE,
    SCORE,
    SKIPS,
    TESTED,
    TIME,
    TOPIC,
)

# The random numbers of a step, by what they decide; 0..4 belong to act. Within a part they are used in this order, which
# is what lets next_branch walk through the branches.
N_SLOTS: Final = 12
LEAVE: Final = 5
FORGET_FIRST: Final = 6
FORGET_SECOND: Final = 7
ANSWER_SLOT: Final = 8
NOISE_RADIUS: Final = 9
NOISE_ANGLE: Final = 10

N_TERMS: Final = len(model.REWARD_TERMS)

SKIP: Final = model.skip_probabilities()
LEARN_READY: Final = np.array(model.LEARN_READY)
RESOURCE_LEARN: Final = np.array([[model.RESOURCE_LEARN] * 2, model.RESOURCE_LEARN_CONFUSED])
COMPLETE: Final = np.array(model.COMPLETE)
POSITIVE: Final = np.array(model.POSITIVE_FEEDBACK)
NEGATIVE: Final = np.array(model.NEGATIVE_FEEDBACK)

# trace: the probability of the branch taken, and the last slot of it that came true (−1: none)
PROBABILITY: Final = 0
LAST_TRUE: Final = 1


@compiled
def happens(draws: np.ndarray, slot: int, probability: float, trace: np.ndarray) -> bool:
    """Decide whether something of this probability comes true, and note it in ``trace``."""
    if probability <= 0.0:
        return False
    if probability >= 1.0:
        return True
    if draws[slot] < probability:
        trace[PROBABILITY] *= probability
        trace[LAST_TRUE] = slot
        return True
    trace[PROBABILITY] *= 1.0 - probability
    return False


@compiled
def first_branch(draws: np.ndarray, trace: np.ndarray) -> None:
    """Begin to walk through the branches: everything that can happen happens."""
    draws[:] = 0.0
    trace[PROBABILITY] = 1.0
    trace[LAST_TRUE] = -1.0


@compiled
def next_branch(draws: np.ndarray, trace: np.ndarray) -> bool:
    """Turn to the next branch: the last chance that came true fails; False if none is left."""
    slot = int(trace[LAST_TRUE])
    if slot < 0:
        return False
    draws[slot] = 1.0
    draws[slot + 1 :] = 0.0
    trace[PROBABILITY] = 1.0
    trace[LAST_TRUE] = -1.0
    return True


@compiled
def engage(row: np.ndarray, change: int) -> None:
    """Raise or lower engagement within its bounds."""
    row[ENGAGEMENT] = min(HIGHEST_ENGAGEMENT, max(0, row[ENGAGEMENT] + change))


@compiled
def difficulty(row: np.ndarray, topic: int) -> int:
    """Return how hard the topic's next module is for what the learner knows."""
    distance = row[MODULES + topic] + 1 - row[KNOWLEDGE + topic]
    return EASY if distance <= 0 else READY if distance == 1 else HARD


@compiled
def act(row: np.ndarray, action: int, model_: Model, draws: np.ndarray, trace: np.ndarray) -> None:
    """Let the learner respond to an action; everything but the passing of time."""
    row[ACTION] = action
    row[FEEDBACK] = 0
    row[CORRECT] = 0
    row[TOPIC] = row[FOCUS]
    row[LEVEL] = 0
    row[OPENED] = -1
    if action == RESOURCE:
        _read(row, model_.n_levels, draws, trace)
    elif action == CLARIFY:
        _answer(row, draws, trace)
    elif action == QUIZ:
        _take_quiz(row, draws, trace)
    else:
        row[FOCUS] = action
        row[TOPIC] = action
        _consider(row, action, model_.n_levels, draws, trace)


@compiled
def _consider(
    row: np.ndarray, topic: int, n_levels: int, draws: np.ndarray, trace: np.ndarray
) -> None:
    """Skip the suggested module, or open it."""
    engagement = row[ENGAGEMENT]
    finished = row[MODULES + topic] == n_levels
    hard = difficulty(row, topic)
    skip = 1.0
    if not finished:
        row[LEVEL] = row[MODULES + topic] + 1
        skip = SKIP[engagement, row[CONFUSED], int(row[GOAL] == topic), hard]
    if happens(draws, 0, skip, trace):
        row[RESPONSE] = SKIPPED
        row[SKIPS] += 1
        if happens(draws, 1, model.SKIP_BORES, trace):
            engage(row, -1)
        if happens(draws, 2, NEGATIVE[engagement], trace):
            row[FEEDBACK] = -1
        return
    row[OPENED] = hard
    completed = happens(draws, 1, COMPLETE[hard], trace)
    row[RESPONSE] = model.STOPPED
    if completed:
        row[RESPONSE] = COMPLETED
        row[MODULES + topic] += 1
        row[TESTED + topic] = 0
    if hard == EASY:
        if happens(draws, 2, model.EASY_BORES, trace):
            engage(row, -1)
    elif hard == READY:
        if happens(draws, 2, LEARN_READY[row[PACE]], trace):
            row[KNOWLEDGE + topic] += 1
        if completed:
            if happens(draws, 3, model.READY_ENGAGES, trace):
                engage(row, 1)
            if happens(draws, 4, POSITIVE[engagement], trace):
                row[FEEDBACK] = 1
    else:
        if happens(draws, 2, model.LEARN_HARD, trace):
            row[KNOWLEDGE + topic] += 1
        if happens(draws, 3, model.HARD_BORES, trace):
            engage(row, -1)
        if happens(draws, 4, 0.5 * NEGATIVE[engagement], trace):
            row[FEEDBACK] = -1
        if not completed:
            row[CONFUSED] = 1


@compiled
def _read(row: np.ndarray, n_levels: int, draws: np.ndarray, trace: np.ndarray) -> None:
    """Open a resource on the focus topic: it helps most who is confused."""
    topic, confused = row[FOCUS], row[CONFUSED]
    row[RESPONSE] = model.READ
    row[LEVEL] = min(n_levels, row[MODULES + topic] + 1 - int(untested(row, topic)))
    if row[KNOWLEDGE + topic] <= min(row[MODULES + topic], n_levels - 1) and happens(
        draws, 0, RESOURCE_LEARN[confused, row[PACE]], trace
    ):
        row[KNOWLEDGE + topic] += 1
    if confused:
        if happens(draws, 1, model.RESOURCE_CLEARS, trace):
            row[CONFUSED] = 0
            if happens(draws, 2, 0.5 * POSITIVE[row[ENGAGEMENT]], trace):
                row[FEEDBACK] = 1
    elif happens(draws, 1, model.RESOURCE_BORES, trace):
        engage(row, -1)


@compiled
def _answer(row: np.ndarray, draws: np.ndarray, trace: np.ndarray) -> None:
    """Answer a clarifying question: welcome when confused or bored, tiresome otherwise."""
    confused = row[CONFUSED]
    row[RESPONSE] = model.ANSWERED
    if confused and happens(draws, 0, model.CLARIFY_CLEARS, trace):
        row[CONFUSED] = 0
    if confused or row[ENGAGEMENT] <= 1:
        if happens(draws, 1, model.CLARIFY_ENGAGES, trace):
            engage(row, 1)
    elif happens(draws, 1, model.CLARIFY_BORES, trace):
        engage(row, -1)


@compiled
def untested(row: np.ndarray, topic: int) -> bool:
    """Whether the latest completed module of a topic still waits for its quiz to be passed."""
    return row[MODULES + topic] > 0 and row[TESTED + topic] == 0


@compiled
def _take_quiz(row: np.ndarray, draws: np.ndarray, trace: np.ndarray) -> None:
    """Take the quiz on the focus topic, or on the first topic that has an untested module."""
    topic = row[FOCUS]
    if not untested(row, topic):
        topic = 0
        while topic < N_TOPICS and not untested(row, topic):
            topic += 1
    if topic == N_TOPICS:
        row[RESPONSE] = model.NOTHING
        if happens(draws, 0, model.NOTHING_BORES, trace):
            engage(row, -1)
        return
    row[TOPIC] = topic
    row[LEVEL] = row[MODULES + topic]
    knows = row[KNOWLEDGE + topic] >= row[MODULES + topic]
    right = 1.0 - model.SLIP if knows else model.GUESS
    for question in range(model.N_QUESTIONS):
        row[CORRECT] += int(happens(draws, question, right, trace))
    row[SCORE + topic] = row[CORRECT]
    if row[CORRECT] >= model.PASS_MARK:
        row[RESPONSE] = model.PASSED
        row[TESTED + topic] = 1
        if happens(draws, 3, model.PASS_ENGAGES, trace):
            engage(row, 1)
        return
    row[RESPONSE] = model.FAILED
    if not knows and happens(draws, 3, model.FAIL_LEARN, trace):
        row[KNOWLEDGE + topic] += 1
    if happens(draws, 4, model.FAIL_CONFUSES, trace):
        row[CONFUSED] = 1
        engage(row, -1)


@compiled
def pass_time(row: np.ndarray, model_: Model, draws: np.ndarray, trace: np.ndarray) -> None:
    """End the step: the learner graduates, leaves, or forgets; or the time is over."""
    row[TIME] += 1
    graduated = True
    for topic in range(N_TOPICS):
        graduated &= row[MODULES + topic] == model_.n_levels and row[TESTED + topic] == 1
    if graduated:
        row[ENDING] = model.GRADUATED
    elif happens(draws, LEAVE, model_.hazard[row[ENGAGEMENT]], trace):
        row[ENDING] = model.LEFT
    else:
        _forget(row, model_, draws, trace)
        if row[TIME] >= model_.limit:
            row[ENDING] = model.TIME_OVER


@compiled
def _forget(row: np.ndarray, model_: Model, draws: np.ndarray, trace: np.ndarray) -> None:
    """Let at most one of the two topics out of focus lose a level."""
    first, second = (row[FOCUS] + 1) % N_TOPICS, (row[FOCUS] + 2) % N_TOPICS
    rate = model_.forget[row[MODULES + first] + row[TESTED + first]]
    if happens(draws, FORGET_FIRST, rate, trace):
        row[KNOWLEDGE + first] = max(0, row[KNOWLEDGE + first] - 1)
        return
    other = model_.forget[row[MODULES + second] + row[TESTED + second]]
    if happens(draws, FORGET_SECOND, other / (1.0 - rate), trace):  # `other` of all, exclusive
        row[KNOWLEDGE + second] = max(0, row[KNOWLEDGE + second] - 1)


@compiled
def write_reward(row: np.ndarray, terms: np.ndarray) -> float:
    """Write the step's reward terms (N_TERMS,) and return their sum."""
    complaint = row[FEEDBACK] < 0 or row[ENDING] == model.LEFT  # one −5, even if both happen
    terms[0] = model.MODULE_REWARD if row[RESPONSE] == model.COMPLETED else 0.0
    terms[1] = model.QUESTION_REWARD * row[CORRECT]
    terms[2] = model.POSITIVE_REWARD if row[FEEDBACK] > 0 else 0.0
    terms[3] = model.SKIP_REWARD if row[RESPONSE] == model.SKIPPED else 0.0
    terms[4] = model.NEGATIVE_REWARD if complaint else 0.0
    terms[5] = model.STEP_REWARD
    reward = 0.0
    for term in terms:
        reward += term
    return reward


@compiled
def measure(row: np.ndarray, measured: np.ndarray, draws: np.ndarray) -> None:
    """Draw what the platform measures: an answer, engagement, the minutes on a module."""
    if row[RESPONSE] == model.ANSWERED:
        others = model.ANSWER_RIGHT + 0.5 * (1.0 - model.ANSWER_RIGHT)
        draw = draws[ANSWER_SLOT]
        shift = 0 if draw < model.ANSWER_RIGHT else 1 if draw < others else 2
        row[ANSWER] = (row[GOAL] + shift) % N_TOPICS
    # Box & Muller (1958): two independent standard normals
    radius = math.sqrt(-2.0 * math.log(1.0 - draws[NOISE_RADIUS]))
    angle = 2.0 * math.pi * draws[NOISE_ANGLE]
    measured[READING] = row[ENGAGEMENT] + radius * math.cos(angle)
    if row[OPENED] >= 0:
        factor = model.MINUTES_HARD if row[OPENED] == HARD else 1.0
        noise = model.MINUTES_LOG_STD * radius * math.sin(angle)
        measured[MINUTES] = model.MINUTES_MEDIAN * factor * math.exp(noise)
