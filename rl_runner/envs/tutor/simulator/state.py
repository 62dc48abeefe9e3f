"""A learner is a row of integers; this module says what its columns mean.

The environments, the dynamic program and the tests use the same rows. The first block is hidden
from the agent, the rest is the platform's own record.
"""

from typing import Final, NamedTuple, Self

import numpy as np

from rl_runner.envs.tutor.simulator.model import N_TOPICS

# hidden
KNOWLEDGE: Final = 0  # three columns, 0..L by topic
ENGAGEMENT: Final = 3  # 0..4
CONFUSED: Final = 4  # 0, 1
GOAL: Final = 5  # the topic the learner came for
PACE: Final = 6  # model.SLOW, model.FAST
OPENED: Final = 29  # the difficulty of the module opened in this step (model.EASY …); −1: none
# observed: the profile, and the progress so far
GENRE: Final = 7
EXPERIENCE: Final = 8
MODULES: Final = 9  # three columns: modules completed, 0..L by topic
TESTED: Final = 12  # three columns: whether the quiz on the latest of them is passed
SCORE: Final = 15  # three columns: right answers in the topic's latest quiz, −1 before the first
FOCUS: Final = 18  # the topic last suggested, 0 at the start
TIME: Final = 19  # steps taken
SKIPS: Final = 20
# observed: the last step
ACTION: Final = 21  # −1 before the first step
RESPONSE: Final = 22  # −1 before the first step
TOPIC: Final = 23  # what the action was about
LEVEL: Final = 24  # the module it was about, 1..L; 0 if there is none
FEEDBACK: Final = 25  # −1, 0, 1
CORRECT: Final = 26  # right answers of this step's quiz, 0 if there was none
ANSWER: Final = 27  # the topic named in the last clarifying answer, −1 before the first
ENDING: Final = 28  # model.GOING_ON, GRADUATED, LEFT, TIME_OVER
N_COLUMNS: Final = 30

# what the platform measures; columns of Learners.measured
READING: Final = 0  # noisy engagement, in levels
MINUTES: Final = 1  # on the last module opened; 0 before the first
N_MEASURED: Final = 2

# the platform's belief; columns of Learners.belief
BELIEF_PACE: Final = 0  # two columns
BELIEF_GOAL: Final = 2  # three columns
BELIEF_CONFUSED: Final = 5
BELIEF_LEVEL: Final = 6  # (topic, pace, level): P(level of knowledge | pace)


def belief_width(n_levels: int) -> int:
    """Return the number of columns of a belief."""
    return BELIEF_LEVEL + N_TOPICS * 2 * (n_levels + 1)


class Learners(NamedTuple):
    """n learners, as the compiled code takes them."""

    rows: np.ndarray  # (n, N_COLUMNS) int32
    measured: np.ndarray  # (n, N_MEASURED) float64
    belief: np.ndarray  # (n, belief_width) float64
    streams: np.ndarray  # (n,) uint64: the key of each learner's random numbers
    episodes: np.ndarray  # (n,) uint64: how many episodes have been drawn from the stream
    planned: np.ndarray  # (n, m) uint64: streams of the next episodes, used before `streams`
    plans: np.ndarray  # (n, 2) int64: how many of ``planned`` are used, and how many there are

    @classmethod
    def empty(cls, n: int, n_levels: int) -> Self:
        """Allocate n learners; they have to be reset before their first step."""
        return cls(
            np.zeros((n, N_COLUMNS), dtype=np.int32),
            np.zeros((n, N_MEASURED)),
            np.zeros((n, belief_width(n_levels))),
            np.zeros(n, dtype=np.uint64),
            np.zeros(n, dtype=np.uint64),
            np.zeros((n, 1), dtype=np.uint64),
            np.zeros((n, 2), dtype=np.int64),
        )


def hidden_state(row: np.ndarray) -> dict[str, object]:
    """Return the hidden part of a row by name, for ``info["hidden"]``."""
    return {
        "knowledge": tuple(map(int, row[KNOWLEDGE : KNOWLEDGE + N_TOPICS])),
        "engagement": int(row[ENGAGEMENT]),
        "confused": bool(row[CONFUSED]),
        "goal": int(row[GOAL]),
        "fast": bool(row[PACE]),
    }
