"""Recommendations from a trained run.

::

    from rl_runner.offline.learning.recommender import RecommendationState, load_recommender

    recommender = load_recommender("runs/recommender-from-logs-1f2e3d4c/seed-0", seed=1)
    state = RecommendationState(
        openness=75, conscientiousness=60, extraversion=40, agreeableness=80, neuroticism=30,
        content_type="music", mood="calm", time_of_day="evening",
    )
    choice = recommender.recommend(state)
    choice.action.to_recommendation_params()   # what a catalogue's API takes
    choice.probability                         # log it as `pscore`, now
    choice.q_values                            # the estimated value of each of the 27 actions
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rl_runner.envs.recommender.domain import (
    N_ACTIONS,
    RecommendationAction,
    RecommendationState,
)
from rl_runner.offline.learning.learners import LogLearner
from rl_runner.offline.learning.trained_run import load_trained

__all__ = [
    "Choice",
    "RecommendationAction",
    "RecommendationState",
    "Recommender",
    "load_recommender",
]


@dataclass(frozen=True)
class Choice:
    """One recommendation."""

    action: RecommendationAction
    probability: float  # with which the action was chosen: the log's `pscore`
    q_values: np.ndarray  # (27,)
    policy_id: str  # for the log
    model_version: str


class Recommender:
    """A trained policy that draws actions.

    :param learner: what was learned
    :param policy_id: for the log
    :param model_version: for the log
    :param seed: of the draws; None draws differently every time
    """

    def __init__(
        self, learner: LogLearner, policy_id: str, model_version: str, seed: int | None = None
    ) -> None:
        self._learner = learner
        self._rng = np.random.default_rng(seed)
        self.policy_id = policy_id
        self.model_version = model_version

    def recommend(self, state: RecommendationState, *, explore: bool = True) -> Choice:
        """Return an action for one person and moment.

        :param explore: False takes the best action, with probability 1; a log of such choices says
            nothing about other actions
        """
        index = np.array([state.index])
        q_values = self._learner.q_values(index)[0]
        shares = self._learner.policy(index)[0] if explore else _greedy(q_values)
        chosen = int(self._rng.choice(N_ACTIONS, p=shares / shares.sum()))
        return Choice(
            RecommendationAction.from_index(chosen),
            float(shares[chosen]),
            q_values,
            self.policy_id,
            self.model_version,
        )


def load_recommender(run: str | Path, seed: int | None = None) -> Recommender:
    """Load a finished run on logs.

    :raises RunFolderError: if ``run`` is not one
    :raises CheckpointError: if its table is missing or damaged
    """
    trained = load_trained(Path(run))
    return Recommender(
        trained.learner, trained.path.parent.name, str(trained.record.finished), seed
    )


def _greedy(q_values: np.ndarray) -> np.ndarray:
    shares = np.zeros(N_ACTIONS)
    shares[q_values.argmax()] = 1.0
    return shares
