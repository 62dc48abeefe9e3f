"""A policy learned from a log, as a service asks it for actions."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rl_runner.offline.domains.recommender import state_of
from rl_runner.offline.learning.backoff import N_STATES
from rl_runner.offline.learning.learners import LogLearner
from rl_runner.offline.logs.log_schema import ACTIONS
from rl_runner.serving.models.protocol import Arrays, Drawn, draw_from

GOLDEN_STATES = 64
KEPT_STATES = 20_000  # whose preferences are remembered: people come back


class LogPolicyModel:
    """The policy learned from a log, which prefers one action, with an exploring slice.

    :param epsilon: the share of decisions drawn uniformly from the eligible actions
    """

    note = ""  # a table needs no code of its own
    is_recurrent = False
    is_slow = False

    def __init__(self, learner: LogLearner, epsilon: float) -> None:
        self._learner = learner
        # No `lru_cache`: with a method it would keep this model, of 85 MB, alive after its end.
        self._kept: dict[int, np.ndarray] = {}
        self._epsilon = epsilon

    def encode(self, context: Mapping[str, Any]) -> int:
        """Return the number of the state."""
        return state_of(context)

    def check_eligible(self, eligible: Sequence[int]) -> None:
        """Raise ValueError for actions that do not exist, or are named twice."""
        if max(eligible) >= ACTIONS:
            message = f"there is no action {max(eligible)}; actions are 0 … {ACTIONS - 1}"
            raise ValueError(message)
        if len(set(eligible)) < len(eligible):
            message = "an action is named twice"
            raise ValueError(message)

    def draw(
        self, encoded: int, eligible: Sequence[int] | None, rng: random.Random, memory: Any = None
    ) -> tuple[Drawn, Any]:
        """Draw an action for a state."""
        preferences = self._preferences(encoded)
        if eligible is None:
            best = int(preferences.argmax())
        else:
            best = max(eligible, key=lambda action: (preferences[action], -action))
        return draw_from(best, ACTIONS, eligible, self._epsilon, rng), memory

    def _preferences(self, state: int) -> np.ndarray:
        """Return (27,) values of the actions, with any bonus; they never change."""
        found = self._kept.get(state)
        if found is None:
            found = self._learner.preferences(np.array([state]))[0]
            if len(self._kept) >= KEPT_STATES:
                self._kept.clear()
            self._kept[state] = found
        return found

    def example(self) -> None:
        """Return nothing: the domain has an example."""

    def golden_inputs(self) -> Arrays:
        """Return states drawn once and for all."""
        return {"states": np.random.default_rng(0).integers(N_STATES, size=GOLDEN_STATES)}

    def answers(self, inputs: Arrays) -> np.ndarray:
        """Return (n, 27) values of the actions, with any bonus."""
        return self._learner.preferences(inputs["states"])
