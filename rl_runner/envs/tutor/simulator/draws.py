"""Random numbers from a key and a counter, and the learners drawn with them.

Number ``slot`` of step ``t`` of an episode is a fixed function of (key, t, slot): the element
``t · N_SLOTS + slot`` of the SplitMix64 sequence that begins at the episode's key (Steele, Lea &
Flood 2014). Nothing depends on how many learners are stepped together or in which order, and two
policies on the same seed get the same random numbers.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from gymnasium.utils.seeding import np_random

from rl_runner.compiled import inlined
from rl_runner.envs.tutor.options import Model
from rl_runner.envs.tutor.simulator import model
from rl_runner.envs.tutor.simulator.branches import N_SLOTS
from rl_runner.envs.tutor.simulator.kernel import measure
from rl_runner.envs.tutor.simulator.state import (
    ACTION,
    ANSWER,
    CONFUSED,
    ENGAGEMENT,
    EXPERIENCE,
    GENRE,
    GOAL,
    KNOWLEDGE,
    OPENED,
    PACE,
    RESPONSE,
    SCORE,
)

GAMMA: Final = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, odd
MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
MIX_2: Final = np.uint64(0x94D049BB133111EB)
SHIFT_1, SHIFT_2, SHIFT_3 = np.uint64(30), np.uint64(27), np.uint64(31)
ONE: Final = np.uint64(1)
TO_53_BITS: Final = np.uint64(11)
UNIT: Final = 2.0**-53

EXPERIENCE_THRESHOLDS: Final = np.cumsum(model.EXPERIENCE_PROBABILITIES)
GOAL_THRESHOLDS: Final = np.cumsum(model.goal_probabilities(), axis=1)
LEVEL_THRESHOLDS: Final = np.cumsum(model.LEVEL_PROBABILITIES, axis=1)
FAST: Final = np.array(model.FAST_PROBABILITIES)
FIRST_ENGAGEMENTS: Final = np.array(model.FIRST_ENGAGEMENTS)


def new_stream(generator: np.random.Generator) -> np.uint64:
    """Draw a stream: the key from which the keys of a learner's episodes are computed."""
    return np.uint64(generator.integers(2**64, dtype=np.uint64))


def streams_of(seeds: Sequence[int]) -> np.ndarray:
    """Return (n,) uint64: the streams of environments that are reset with these seeds."""
    return np.array([new_stream(np_random(seed)[0]) for seed in seeds], dtype=np.uint64)


@inlined
def mixed(bits: np.uint64) -> np.uint64:
    """Return SplitMix64's finaliser: each bit of the result depends on each bit of the input."""
    bits = (bits ^ (bits >> SHIFT_1)) * MIX_1
    bits = (bits ^ (bits >> SHIFT_2)) * MIX_2
    return bits ^ (bits >> SHIFT_3)


@inlined
def episode_key(stream: np.uint64, episode: np.uint64) -> np.uint64:
    """Return the key of an episode; ``episode`` is 1 for the first one of the stream."""
    return mixed(mixed(stream) + episode * GAMMA)


@inlined
def draw(key: np.uint64, t: int, draws: np.ndarray) -> None:
    """Fill (N_SLOTS,) draws with the numbers of step ``t``, uniform in [0, 1)."""
    counter = key + np.uint64(t) * np.uint64(N_SLOTS) * GAMMA
    for slot in range(N_SLOTS):
        counter += GAMMA
        draws[slot] = np.float64(mixed(counter) >> TO_53_BITS) * UNIT


@inlined
def choice(thresholds: np.ndarray, draw_: float) -> int:
    """Return the first index whose cumulative probability exceeds the draw."""
    for index in range(len(thresholds) - 1):
        if draw_ < thresholds[index]:
            return index
    return len(thresholds) - 1


@inlined
def draw_learner(row: np.ndarray, measured: np.ndarray, model_: Model, draws: np.ndarray) -> None:
    """Draw a new learner and the first measurements from the numbers of step 0."""
    for column in range(len(row)):
        row[column] = 0
    # Profile.
    row[GENRE] = int(draws[0] * len(model.GENRES))
    row[EXPERIENCE] = choice(EXPERIENCE_THRESHOLDS, draws[1])
    # Prior knowledge by topic, then the other hidden properties.
    for topic in range(model.N_TOPICS):
        level = choice(LEVEL_THRESHOLDS[row[EXPERIENCE]], draws[2 + topic])
        row[KNOWLEDGE + topic] = min(level, model_.n_levels)
        row[SCORE + topic] = -1
    row[ENGAGEMENT] = FIRST_ENGAGEMENTS[int(draws[5] * len(FIRST_ENGAGEMENTS))]
    row[CONFUSED] = 0
    row[GOAL] = choice(GOAL_THRESHOLDS[row[GENRE]], draws[6])
    row[PACE] = int(draws[7] < FAST[row[EXPERIENCE]])
    # Nothing has happened yet.
    row[ACTION] = row[RESPONSE] = row[ANSWER] = row[OPENED] = -1
    for column in range(len(measured)):
        measured[column] = 0.0
    measure(row, measured, draws)
