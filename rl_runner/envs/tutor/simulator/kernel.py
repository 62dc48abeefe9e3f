"""THE transition kernel: a fixed function of a learner, an action and a row of random numbers.

Environments pass uniform numbers from a counter-based generator; the dynamic program runs the
kernel through all its branches (:mod:`.branches`). The simulated model and the solved model are
therefore the same code.

A step is :func:`act`, then :func:`pass_time`, then :func:`measure`, which changes nothing hidden.
"""

import math
from typing import Final

import numpy as np

from rl_runner.compiled import inlined
from rl_runner.envs.tutor.options import Model
from rl_runner.envs.tutor.simulator import model
from rl_runner.envs.tutor.simulator.branches import (
    ANSWER_SLOT,
    FORGET_FIRST,
    FORGET_SECOND,
    LEAVE,
    NOISE_ANGLE,
    NOISE_RADIUS,
    Trace,
    happens,
)
from rl_runner.envs.tutor.simulator.model import (
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
from rl_runner.envs.tutor.simulator.state import (
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

N_TERMS: Final = len(model.REWARD_TERMS)
SKIP: Final = model.skip_probabilities()
LEARN_READY: Final = np.array(model.LEARN_READY)
RESOURCE_LEARN: Final = np.array([[model.RESOURCE_LEARN] * 2, model.RESOURCE_LEARN_CONFUSED])
COMPLETE: Final = np.array(model.COMPLETE)
POSITIVE: Final = np.array(model.POSITIVE_FEEDBACK)
NEGATIVE: Final = np.array(model.NEGATIVE_FEEDBACK)


@inlined
def engage(row: np.ndarray, change: int) -> None:
    """Change engagement, within its bounds."""
    row[ENGAGEMENT] = min(HIGHEST_ENGAGEMENT, max(0, row[ENGAGEMENT] + change))


@inlined
def difficulty(row: np.ndarray, topic: int) -> int:
    """Return how hard the topic's next module is for the learner: EASY, READY or HARD."""
    distance = row[MODULES + topic] + 1 - row[KNOWLEDGE + topic]
    return EASY if distance <= 0 else READY if distance == 1 else HARD


@inlined
def act(row: np.ndarray, action: int, model_: Model, draws: np.ndarray, trace: Trace) -> None:
    """Let the learner respond to an action, before time passes."""
    # Clear the record of the last step.
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


@inlined
def _consider(row: np.ndarray, topic: int, n_levels: int, draws: np.ndarray, trace: Trace) -> None:
    """Skip the suggested module, or open it."""
    # How likely it is to be skipped; a finished topic always is.
    kind = difficulty(row, topic)
    skip = 1.0
    if row[MODULES + topic] < n_levels:
        row[LEVEL] = row[MODULES + topic] + 1
        skip = SKIP[row[ENGAGEMENT], row[CONFUSED], int(row[GOAL] == topic), kind]
    if happens(draws, 0, skip, trace):
        _skip(row, draws, trace)
        return
    # It is opened, and completed or not.
    row[OPENED] = kind
    completed = happens(draws, 1, COMPLETE[kind], trace)
    row[RESPONSE] = COMPLETED if completed else model.STOPPED
    if completed:
        row[MODULES + topic] += 1
        row[TESTED + topic] = 0
    # What it does to the learner depends on its difficulty.
    if kind == READY:
        _work_through_ready(row, completed, draws, trace)
    elif kind == HARD:
        _work_through_hard(row, completed, draws, trace)
    elif happens(draws, 2, model.EASY_BORES, trace):
        engage(row, -1)


@inlined
def _skip(row: np.ndarray, draws: np.ndarray, trace: Trace) -> None:
    """Skip a suggestion, possibly with negative feedback."""
    complaint = NEGATIVE[row[ENGAGEMENT]]
    row[RESPONSE] = SKIPPED
    row[SKIPS] += 1
    if happens(draws, 1, model.SKIP_BORES, trace):
        engage(row, -1)
    if happens(draws, 2, complaint, trace):
        row[FEEDBACK] = -1


@inlined
def _work_through_ready(row: np.ndarray, completed: bool, draws: np.ndarray, trace: Trace) -> None:
    """Open a module at the right level: it teaches; if completed, it may get positive feedback."""
    praise = POSITIVE[row[ENGAGEMENT]]
    if happens(draws, 2, LEARN_READY[row[PACE]], trace):
        row[KNOWLEDGE + row[TOPIC]] += 1
    if completed:
        if happens(draws, 3, model.READY_ENGAGES, trace):
            engage(row, 1)
        if happens(draws, 4, praise, trace):
            row[FEEDBACK] = 1


@inlined
def _work_through_hard(row: np.ndarray, completed: bool, draws: np.ndarray, trace: Trace) -> None:
    """Open a module that is too hard: it may bore, confuse and get negative feedback."""
    complaint = 0.5 * NEGATIVE[row[ENGAGEMENT]]
    if happens(draws, 2, model.LEARN_HARD, trace):
        row[KNOWLEDGE + row[TOPIC]] += 1
    if happens(draws, 3, model.HARD_BORES, trace):
        engage(row, -1)
    if happens(draws, 4, complaint, trace):
        row[FEEDBACK] = -1
    if not completed:
        row[CONFUSED] = 1


@inlined
def _read(row: np.ndarray, n_levels: int, draws: np.ndarray, trace: Trace) -> None:
    """Open a resource on the focus topic: it helps a confused learner most."""
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


@inlined
def _answer(row: np.ndarray, draws: np.ndarray, trace: Trace) -> None:
    """Answer a clarifying question: it helps a confused or bored learner and bores the others."""
    confused = row[CONFUSED]
    row[RESPONSE] = model.ANSWERED
    if confused and happens(draws, 0, model.CLARIFY_CLEARS, trace):
        row[CONFUSED] = 0
    if confused or row[ENGAGEMENT] <= 1:
        if happens(draws, 1, model.CLARIFY_ENGAGES, trace):
            engage(row, 1)
    elif happens(draws, 1, model.CLARIFY_BORES, trace):
        engage(row, -1)


@inlined
def untested(row: np.ndarray, topic: int) -> bool:
    """Return whether the quiz on the topic's latest completed module has not been passed yet."""
    return bool(row[MODULES + topic] > 0 and row[TESTED + topic] == 0)


@inlined
def _take_quiz(row: np.ndarray, draws: np.ndarray, trace: Trace) -> None:
    """Take the quiz on the focus topic, or on the first topic that has an untested module."""
    # Which topic; without an untested module there is no quiz.
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
    # The questions.
    row[TOPIC] = topic
    row[LEVEL] = row[MODULES + topic]
    knows = row[KNOWLEDGE + topic] >= row[MODULES + topic]
    right = 1.0 - model.SLIP if knows else model.GUESS
    for question in range(model.N_QUESTIONS):
        row[CORRECT] += int(happens(draws, question, right, trace))
    # Passed or failed, and what that does to the learner.
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


@inlined
def pass_time(row: np.ndarray, model_: Model, draws: np.ndarray, trace: Trace) -> None:
    """End the step: the learner graduates, leaves or may forget; the time limit may be reached."""
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


@inlined
def _forget(row: np.ndarray, model_: Model, draws: np.ndarray, trace: Trace) -> None:
    """Let at most one of the two topics that are not in focus lose a level."""
    first, second = (row[FOCUS] + 1) % N_TOPICS, (row[FOCUS] + 2) % N_TOPICS
    rate = model_.forget[row[MODULES + first] + row[TESTED + first]]
    if happens(draws, FORGET_FIRST, rate, trace):
        row[KNOWLEDGE + first] = max(0, row[KNOWLEDGE + first] - 1)
        return
    other = model_.forget[row[MODULES + second] + row[TESTED + second]]
    if happens(draws, FORGET_SECOND, other / (1.0 - rate), trace):  # P(other) overall, never both
        row[KNOWLEDGE + second] = max(0, row[KNOWLEDGE + second] - 1)


@inlined
def write_reward(row: np.ndarray, terms: np.ndarray) -> float:
    """Write the step's reward terms (N_TERMS,) and return their sum."""
    complaint = row[FEEDBACK] < 0 or row[ENDING] == model.LEFT  # −5 once, even if both happen
    terms[0] = model.MODULE_REWARD if row[RESPONSE] == model.COMPLETED else 0.0
    terms[1] = model.QUESTION_REWARD * row[CORRECT]
    terms[2] = model.POSITIVE_REWARD if row[FEEDBACK] > 0 else 0.0
    terms[3] = model.SKIP_REWARD if row[RESPONSE] == model.SKIPPED else 0.0
    terms[4] = model.NEGATIVE_REWARD if complaint else 0.0
    terms[5] = model.STEP_REWARD
    reward = 0.0
    for index in range(len(terms)):
        reward += terms[index]
    return reward


@inlined
def measure(row: np.ndarray, measured: np.ndarray, draws: np.ndarray) -> None:
    """Draw the platform's measurements: the answer, engagement, the minutes on a module."""
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
