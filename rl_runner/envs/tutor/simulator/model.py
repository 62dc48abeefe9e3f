"""Every number of the learner model: rewards, probabilities, and the source of each.

Supported by literature
    Guessing at most .3, slipping at most .1 and learning near .1 per practice item are values of
    Bayesian knowledge tracing (Corbett & Anderson 1995; Baker, Corbett & Aleven 2008). A module is
    five items long: 1 − .9⁵ ≈ .41, between the .35 and .60 of slow and fast learners. Learning is
    best when about 85 % of attempts succeed: Wilson et al. (2019). Unresolved confusion turns into
    frustration and boredom: D'Mello & Graesser (2012). Most learners of open courses do not finish
    them: Jordan (2015). Forgetting of ``half_life`` learners: Settles & Meeder (2016), equations
    1–3.
Calibrated, without a direct source
    The logits of skipping, the hazards of leaving, the rates of feedback, the experience of the
    learners, the usual topic of each genre, and the spread of the minutes.
"""

from typing import Final

import numpy as np

TOPICS: Final = ("Music Distribution", "Copyright & Licensing", "Social Media Marketing")
N_TOPICS: Final = len(TOPICS)
N_ACTIONS: Final = N_TOPICS + 3  # action j < N_TOPICS suggests the next module of topic j
RESOURCE: Final = 3
CLARIFY: Final = 4
QUIZ: Final = 5
ACTIONS: Final = (*TOPICS, "resource link", "clarifying question", "quiz")

# How a learner responds to an action; the numbers are columns of the observation.
RESPONSES: Final = (
    "completed",
    "stopped",
    "skipped",
    "read",
    "answered",
    "passed",
    "failed",
    "nothing to test",
)
COMPLETED, STOPPED, SKIPPED, READ, ANSWERED, PASSED, FAILED, NOTHING = range(len(RESPONSES))

ENDINGS: Final = ("", "graduated", "left", "time over")
GOING_ON, GRADUATED, LEFT, TIME_OVER = range(len(ENDINGS))

# Events of a step. ``step`` returns the first two; the others are in ``info``.
FLAGS: Final = (
    "terminated",
    "truncated",
    "completed",
    "skipped",
    "positive_feedback",
    "negative_feedback",
    "left",
    "graduated",
)

# The terms of the reward, in this order, and their values.
REWARD_TERMS: Final = (
    "module_completed",
    "quiz_questions",
    "positive_feedback",
    "module_skipped",
    "negative_feedback_or_left",
    "step",
)
MODULE_REWARD: Final = 1.0
QUESTION_REWARD: Final = 0.5
POSITIVE_REWARD: Final = 5.0
SKIP_REWARD: Final = -1.0
NEGATIVE_REWARD: Final = -5.0
STEP_REWARD: Final = -0.1

# --- the population of learners -----------------------------------------------------------------

EXPERIENCES: Final = ("beginner", "intermediate", "professional")
EXPERIENCE_PROBABILITIES: Final = (0.50, 0.35, 0.15)
FAST_PROBABILITIES: Final = (0.3, 0.5, 0.7)  # by experience
LEVEL_PROBABILITIES: Final = ((0.85, 0.13, 0.02), (0.50, 0.40, 0.10), (0.25, 0.40, 0.35))
GENRES: Final = ("Afrobeats", "Amapiano", "Gospel", "Highlife", "Hip-hop", "Bongo Flava")
USUAL_TOPICS: Final = (0, 2, 0, 1, 1, 2)  # by genre; each topic is the usual one of two genres
USUAL_TOPIC_PROBABILITY: Final = 0.6
SLOW, FAST = 0, 1
HIGHEST_ENGAGEMENT: Final = 4
FIRST_ENGAGEMENTS: Final = (2, 3)  # equally likely

# --- a suggested module: easy, ready or hard for what the learner knows -------------------------

EASY, READY, HARD = 0, 1, 2
SKIP_LOGIT: Final = -1.4
SKIP_LOGIT_ENGAGEMENT: Final = -0.6  # per level above 2
SKIP_LOGIT_GOAL: Final = -0.9
SKIP_LOGIT_DIFFICULTY: Final = (0.9, 0.0, 0.6)
SKIP_LOGIT_CONFUSED: Final = 0.5
SKIP_BORES: Final = 0.3
COMPLETE: Final = (0.95, 0.80, 0.30)
LEARN_READY: Final = (0.35, 0.60)  # slow, fast
LEARN_HARD: Final = 0.05
EASY_BORES: Final = 0.4
READY_ENGAGES: Final = 0.6
HARD_BORES: Final = 0.5

# --- a resource link, a clarifying question, a quiz ---------------------------------------------

RESOURCE_LEARN_CONFUSED: Final = (0.25, 0.40)  # slow, fast
RESOURCE_CLEARS: Final = 0.7
RESOURCE_LEARN: Final = 0.10
RESOURCE_BORES: Final = 0.15
CLARIFY_CLEARS: Final = 0.4
CLARIFY_ENGAGES: Final = 0.35
CLARIFY_BORES: Final = 0.2
ANSWER_RIGHT: Final = 0.85
N_QUESTIONS: Final = 3
PASS_MARK: Final = 2
SLIP: Final = 0.10
GUESS: Final = 0.20
PASS_ENGAGES: Final = 0.3
FAIL_LEARN: Final = 0.10
FAIL_CONFUSES: Final = 0.35
NOTHING_BORES: Final = 0.3

# --- every step ---------------------------------------------------------------------------------

HAZARDS: Final = (0.15, 0.06, 0.02, 0.006, 0.002)  # of leaving, by engagement after the action
FORGET: Final = 0.01  # each of the two topics out of focus, never both
POSITIVE_FEEDBACK: Final = (0.0, 0.02, 0.06, 0.12, 0.20)  # by engagement before the action
NEGATIVE_FEEDBACK: Final = (0.15, 0.08, 0.04, 0.015, 0.005)
HALF_LIFE: Final = 8.0  # in steps, of knowledge never practised; doubles with each practice

# --- what the platform measures -----------------------------------------------------------------

MINUTES_MEDIAN: Final = 12.0
MINUTES_HARD: Final = 1.6  # a hard module takes this many times as long
MINUTES_LOG_STD: Final = 0.4


def skip_probabilities() -> np.ndarray:
    """Return (5, 2, 2, 3) P(skip) by engagement, confused, topic is the goal, difficulty."""
    engagement = np.arange(HIGHEST_ENGAGEMENT + 1).reshape(-1, 1, 1, 1)
    confused = np.arange(2).reshape(1, -1, 1, 1)
    goal = np.arange(2).reshape(1, 1, -1, 1)
    logit = (
        SKIP_LOGIT
        + SKIP_LOGIT_ENGAGEMENT * (engagement - 2)
        + SKIP_LOGIT_GOAL * goal
        + np.array(SKIP_LOGIT_DIFFICULTY)
        + SKIP_LOGIT_CONFUSED * confused
    )
    skip: np.ndarray = 1.0 / (1.0 + np.exp(-logit))
    return skip


def level_probabilities(n_levels: int) -> np.ndarray:
    """Return (3, n_levels + 1) P(knowledge at the start) by experience.

    The numbers are for two modules per topic. With one module, the two upper levels are merged;
    with more than two, nobody begins above the second level.
    """
    table = np.zeros((len(EXPERIENCES), n_levels + 1))
    for level, column in enumerate(np.array(LEVEL_PROBABILITIES).T):
        table[:, min(level, n_levels)] += column
    return table


def goal_probabilities() -> np.ndarray:
    """Return (n_genres, 3) P(goal topic) by genre."""
    others = (1.0 - USUAL_TOPIC_PROBABILITY) / (N_TOPICS - 1)
    table = np.full((len(GENRES), N_TOPICS), others)
    table[np.arange(len(GENRES)), USUAL_TOPICS] = USUAL_TOPIC_PROBABILITY
    return table
