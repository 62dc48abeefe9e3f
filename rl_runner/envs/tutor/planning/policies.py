"""Tutors without deep learning: the rungs of the ladder between chance and the oracle.

Each reads the observation that any agent sees, except the oracle, which looks into the learner.
They take and return batches, with the signature of SB3's ``predict``.
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
    """Base of the baselines: a policy over batches of learners."""

    def begin(self, started: np.ndarray) -> None:  # noqa: B027 - most have nothing to forget
        """Forget the learners (n,) bool whose episode begins with the next observation."""

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
        """Return one action per learner; without ``episode_start``, all of them are new."""
        observations = np.atleast_2d(observation)
        if episode_start is None:
            episode_start = np.ones(len(observations), dtype=bool)
        self.begin(np.asarray(episode_start, dtype=bool))
        return self.act(observations), state


class Random(Tutor):
    """Any action, with equal odds."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def act(self, observations: np.ndarray) -> np.ndarray:
        """Draw actions."""
        return self._random.integers(N_ACTIONS, size=len(observations))


class RoundRobin(Tutor):
    """The topics in turn, whatever happens."""

    def act(self, observations: np.ndarray) -> np.ndarray:
        """Suggest the topic after the last one."""
        begun = observations[:, SLICES["action"]].any(axis=1)
        focus = observations[:, SLICES["focus"]].argmax(axis=1)
        return np.where(begun, (focus + 1) % N_TOPICS, 0)


class QuizFarmer(Tutor):
    """Suggests topic 0 until a module is completed, then nothing but quizzes."""

    def act(self, observations: np.ndarray) -> np.ndarray:
        """Ask for points."""
        return np.where(observations[:, SLICES["modules"]].any(axis=1), QUIZ, 0)


class FixedCurriculum(Tutor):
    """Topic by topic; after each completed module its quiz, until it is passed."""

    def act(self, observations: np.ndarray) -> np.ndarray:
        """Quiz what is untested, else suggest the next module."""
        modules, tested = observations[:, SLICES["modules"]], observations[:, SLICES["tested"]]
        untested = ((modules > 0.0) & (tested == 0.0)).any(axis=1)
        return np.where(untested, QUIZ, self.next_topic(observations, modules < 1.0))

    def next_topic(self, observations: np.ndarray, unfinished: np.ndarray) -> np.ndarray:
        """Return (n,) the topic to go on with among those (n, 3) that are unfinished."""
        del observations
        first: np.ndarray = unfinished.argmax(axis=1)
        return first


class GreedyGap(FixedCurriculum):
    """The unfinished topic with the largest gap in knowledge; quizzes as the fixed curriculum."""

    def next_topic(self, observations: np.ndarray, unfinished: np.ndarray) -> np.ndarray:
        """Choose the lowest estimate of knowledge."""
        knowledge = observations[:, SLICES["knowledge"]]
        lowest: np.ndarray = np.where(unfinished, knowledge, np.inf).argmin(axis=1)
        return lowest


class Mastery(FixedCurriculum):
    """The fixed curriculum, with a resource after every failed quiz and unfinished module."""

    def act(self, observations: np.ndarray) -> np.ndarray:
        """Explain what went wrong before trying again."""
        response = observations[:, SLICES["response"]]
        stuck = response[:, [FAILED, STOPPED]].any(axis=1)
        return np.where(stuck, RESOURCE, super().act(observations))
