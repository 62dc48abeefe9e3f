"""The agent's observation: a flat vector of numbers from 0 to 1, in named slices."""

from collections.abc import Mapping
from itertools import accumulate
from types import MappingProxyType
from typing import Final

import numpy as np
from gymnasium import spaces

from rl_runner.envs.tutor.simulator.model import EXPERIENCES, GENRES, N_ACTIONS, N_TOPICS, RESPONSES

_SIZES: Final = {
    # user profile
    "genre": len(GENRES),  # one-hot
    "experience": len(EXPERIENCES),  # one-hot
    # progress
    "modules": N_TOPICS,  # completed / modules per topic
    "tested": N_TOPICS,  # 1: the quiz on the latest completed module is passed
    "scores": N_TOPICS,  # right answers / questions of the latest quiz
    "focus": N_TOPICS,  # one-hot: the topic last suggested
    "time": 1,  # steps / horizon
    # engagement
    "skips": 1,  # suggestions skipped / horizon
    "engagement": 1,  # (engagement + standard normal noise) / 4, clipped
    "minutes": 1,  # on the last module opened / 60, clipped
    # knowledge
    "knowledge": N_TOPICS,  # posterior mean / modules per topic
    # recent history
    "action": N_ACTIONS,  # one-hot, all zero before the first step
    "response": len(RESPONSES),  # one-hot, all zero before the first step
    "feedback": 2,  # positive, negative
    "answer": N_TOPICS,  # one-hot: the topic named in the last clarifying answer
}
_ENDS: Final = tuple(accumulate(_SIZES.values()))

SLICES: Final[Mapping[str, slice]] = MappingProxyType(
    {name: slice(end - size, end) for (name, size), end in zip(_SIZES.items(), _ENDS, strict=True)}
)
OBSERVATION_SIZE: Final = _ENDS[-1]
MOST_MINUTES: Final = 60.0


def observation_space() -> spaces.Box:
    """Return the space of one learner's observation."""
    return spaces.Box(0.0, 1.0, (OBSERVATION_SIZE,), np.float32)
