"""The reward: a person's response to a recommendation as one number.

::

    r = like − dislike + .5 complete − .3 skip + .8 share
        + .5 completion_rate + .5 (valence(mood after) − valence(mood before)) / 2

so that r is in [−1.8, 3.3]. Logs contain outcomes and never rewards: new weights do not need new
logs.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

# In the order of domain.MOODS, from −1 to 1: our own positions on the valence axis of Russell's
# (1980) circumplex. The reward uses differences only.
MOOD_VALENCE = np.array([0.0, 1.0, -1.0, -0.8, 0.5, 0.6, 0.7])

OUTCOMES = ("like", "dislike", "complete", "skip", "share")


@dataclass(frozen=True)
class RewardWeights:
    """The weights of the reward's terms; all terms but the last two are 0 or 1."""

    like: float = 1.0
    dislike: float = -1.0
    complete: float = 0.5
    skip: float = -0.3
    share: float = 0.8
    completion_rate: float = 0.5  # times a fraction from 0 to 1
    mood_improvement: float = 0.5  # times a change from −1 to 1

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest possible reward of one interaction.

        ``like`` and ``dislike`` exclude each other, as do ``complete`` and ``skip``.
        """
        terms = (
            (self.like, self.dislike, 0.0),
            (self.complete, self.skip, 0.0),
            (self.share, 0.0),
            (self.completion_rate, 0.0),
            (self.mood_improvement, -self.mood_improvement),
        )
        return sum(map(min, terms)), sum(map(max, terms))


DEFAULT_WEIGHTS = RewardWeights()


def rewards(
    outcomes: Mapping[str, np.ndarray],
    mood_before: np.ndarray,
    mood_after: np.ndarray,
    weights: RewardWeights = DEFAULT_WEIGHTS,
) -> np.ndarray:
    """Return (n,) rewards.

    :param outcomes: arrays (n,) by the names in :data:`OUTCOMES`, and ``completion_rate``
    :param mood_before: (n,) moods by number, as in :data:`rl_runner.envs.recommender.domain.MOODS`
    :param mood_after: (n,) likewise
    """
    total: np.ndarray = weights.mood_improvement * mood_improvement(mood_before, mood_after)
    for term in (*OUTCOMES, "completion_rate"):
        total = total + getattr(weights, term) * np.asarray(outcomes[term], dtype=float)
    return total


def mood_improvement(mood_before: np.ndarray, mood_after: np.ndarray) -> np.ndarray:
    """Return the change of valence, scaled to [−1, 1], for arrays of mood numbers."""
    change: np.ndarray = (MOOD_VALENCE[mood_after] - MOOD_VALENCE[mood_before]) / 2.0
    return change


def weights_from(section: Mapping[str, Any]) -> RewardWeights:
    """Return the default weights with those in ``section`` replaced.

    :raises ValueError: if a name is not a term, or a weight is not finite
    """
    known = {field.name for field in fields(RewardWeights)}
    if unknown := sorted(set(section) - known):
        message = f"{unknown[0]} is not a term of the reward; terms: {', '.join(sorted(known))}"
        raise ValueError(message)
    for name, weight in section.items():
        if not math.isfinite(weight):
            message = f"the weight of {name} is {weight}, not a finite number"
            raise ValueError(message)
    return RewardWeights(**section)
