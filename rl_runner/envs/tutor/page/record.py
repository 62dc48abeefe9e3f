"""Turns the platform's record of one learner into a :class:`TutorView` for the page."""

import numpy as np

from rl_runner.envs.tutor.options import TutorOptions
from rl_runner.envs.tutor.page.view import Exchange, TutorView, recommended_path
from rl_runner.envs.tutor.simulator import model
from rl_runner.envs.tutor.simulator.model import CLARIFY, N_TOPICS
from rl_runner.envs.tutor.simulator.observation import SLICES
from rl_runner.envs.tutor.simulator.state import (
    ACTION,
    ANSWER,
    CORRECT,
    ENDING,
    EXPERIENCE,
    FEEDBACK,
    FOCUS,
    GENRE,
    LEVEL,
    MODULES,
    RESPONSE,
    SCORE,
    SKIPS,
    TESTED,
    TIME,
    TOPIC,
)


class EpisodeRecord:
    """Records the steps of one episode; reads nothing that is hidden from the agent."""

    def __init__(self) -> None:
        self._chat: list[Exchange] = []

    def add(self, row: np.ndarray, reward: float) -> None:
        """Add the step that led to this row, with its reward."""
        action = int(row[ACTION])
        exchange = Exchange(
            step=int(row[TIME]),
            action=action,
            topic=int(row[TOPIC]),
            level=int(row[LEVEL]),
            response=model.RESPONSES[row[RESPONSE]],
            reward=reward,
            correct=int(row[CORRECT]) if row[RESPONSE] in {model.PASSED, model.FAILED} else None,
            feedback=int(row[FEEDBACK]),
            named_topic=int(row[ANSWER]) if action == CLARIFY else None,
            left=bool(row[ENDING] == model.LEFT),
        )
        self._chat.append(exchange)

    def view(
        self, row: np.ndarray, observation: np.ndarray, minutes: float, options: TutorOptions
    ) -> TutorView:
        """Return the page's content after the last step.

        :param observation: (47,) the agent's current observation
        :param minutes: spent on the last module; 0 before the first one
        """
        # The parts of the learner's row that the path and the view both need.
        levels = options.modules_per_topic
        completed = tuple(map(int, row[MODULES : MODULES + N_TOPICS]))
        passed = tuple(map(bool, row[TESTED : TESTED + N_TOPICS]))
        knowledge = tuple(map(float, observation[SLICES["knowledge"]]))
        scores = row[SCORE : SCORE + N_TOPICS]
        suggested = any(exchange.action < N_TOPICS for exchange in self._chat)
        answer = None if row[ANSWER] < 0 else int(row[ANSWER])
        return TutorView(
            genre=model.GENRES[row[GENRE]],
            experience=model.EXPERIENCES[row[EXPERIENCE]],
            step=int(row[TIME]),
            horizon=options.horizon,
            levels=levels,
            completed=completed,
            quiz_passed=passed,
            quiz_scores=tuple(None if score < 0 else int(score) for score in scores),
            knowledge=knowledge,
            engagement=float(observation[SLICES["engagement"]][0]),
            skips=int(row[SKIPS]),
            minutes=minutes or None,
            focus=int(row[FOCUS]) if suggested else None,
            stated_goal=answer,
            return_so_far=sum(exchange.reward for exchange in self._chat),
            path=recommended_path(completed, passed, knowledge, levels, answer),
            chat=tuple(self._chat),
            ending=model.ENDINGS[row[ENDING]],
        )
