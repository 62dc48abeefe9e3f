"""Rules for tutoring: what a person would write down, and shortcuts that must not pay.

Each reads the same observation as an agent. They act on batches of learners, with the signature of
SB3's ``predict``.
"""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from rl_runner.envs.tutor.simulator.model import (
    FAILED,
    N_ACTIONS,
    N_TOPICS,
    QUIZ,
    RESOURCE,
    STOPPED,
)
from rl_runner.envs.tutor.simulator.observation import SLICES


class Tutor(ABC):
    """Base class of the tutor's baselines: a policy for a batch of learners."""

    def begin(self, started: np.ndarray) -> None:  # noqa: B027 - most have no memory
        """Prepare for new learners where ``started`` (n,) is True; called before :meth:`act`."""

    @abstractmethod
    def act(self, observations: np.ndarray) -> np.ndarray:
        """Return (n,) actions for (n, 47) observations."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,  # noqa: ARG002 - SB3's signature
    ) -> tuple[np.ndarray, Any]:
        """Return (n,) actions; without ``episode_start``, all learners are new."""
        observations = np.atleast_2d(observation)
        if episode_start is None:
            episode_start = np.ones(len(observations), dtype=bool)
        self.begin(np.asarray(episode_start, dtype=bool))
        return self.act(observations), state


class Random(Tutor):
    """Every action with the same probability."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def act(self, observations: np.ndarray) -> np.ndarray:
        """Return (n,) random actions."""
        return self._random.integers(N_ACTIONS, size=len(observations))


class RoundRobin(Tutor):
    """Suggests the three topics in turn, whatever happens."""

    def act(self, observations: np.ndarray) -> np.ndarray:
        """Return the topic after the one last suggested."""
        begun = observations[:, SLICES["action"]].any(axis=1)
        focus = observations[:, SLICES["focus"]].argmax(axis=1)
        return np.where(begun, (focus + 1) % N_TOPICS, 0)


class FixedCurriculum(Tutor):
    """Topic by topic; after each completed module its quiz, until it is passed."""

    def act(self, observations: np.ndarray) -> np.ndarray:
        """Return a quiz if a completed module is untested, else the next topic."""
        modules, tested = observations[:, SLICES["modules"]], observations[:, SLICES["tested"]]
        untested = ((modules > 0.0) & (tested == 0.0)).any(axis=1)
        return np.where(untested, QUIZ, self.next_topic(observations, modules < 1.0))

    def next_topic(self, observations: np.ndarray, unfinished: np.ndarray) -> np.ndarray:
        """Return (n,) the topic to suggest; ``unfinished`` (n, 3) bool has the candidates."""
        del observations
        first: np.ndarray = unfinished.argmax(axis=1)
        return first


class GreedyGap(FixedCurriculum):
    """The unfinished topic with the least knowledge; quizzes as in the fixed curriculum."""

    def next_topic(self, observations: np.ndarray, unfinished: np.ndarray) -> np.ndarray:
        """Return the topic with the lowest estimate of knowledge."""
        knowledge = observations[:, SLICES["knowledge"]]
        lowest: np.ndarray = np.where(unfinished, knowledge, np.inf).argmin(axis=1)
        return lowest


class Mastery(FixedCurriculum):
    """The fixed curriculum, with a resource after each failed quiz and each unfinished module."""

    def act(self, observations: np.ndarray) -> np.ndarray:
        """Return a resource where the learner is stuck, else the fixed curriculum's action."""
        response = observations[:, SLICES["response"]]
        stuck = response[:, [FAILED, STOPPED]].any(axis=1)
        return np.where(stuck, RESOURCE, super().act(observations))
