"""States (a person and a moment) and actions (how to recommend).

States are numbered 0 … 262,499 and actions 0 … 26 by mixed radix, with the last component changing
fastest. The components of a state are in the order of :data:`STATE_SIZES`, those of an action in
the order energy, diversity, novelty.
"""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any, Self

import numpy as np

TRAITS = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")
CONTENT_TYPES = ("music", "video", "game")
MOODS = ("neutral", "happy", "sad", "anxious", "calm", "relaxed", "energetic")
TIMES_OF_DAY = ("morning", "afternoon", "evening", "night")
ENERGIES = ("low", "medium", "high")
DIVERSITIES = ("focused", "balanced", "diverse")
NOVELTIES = ("familiar", "mixed", "exploratory")

BINS = 5
STATE_SIZES = (*(BINS,) * len(TRAITS), len(CONTENT_TYPES), len(MOODS), len(TIMES_OF_DAY))
N_STATES = math.prod(STATE_SIZES)
ACTION_SIZES = (len(ENERGIES), len(DIVERSITIES), len(NOVELTIES))
N_ACTIONS = math.prod(ACTION_SIZES)

# (27, 3) the components of each action; (8,) how much one step in each component adds to the number
# of a state
ACTION_PARTS = np.stack(np.unravel_index(np.arange(N_ACTIONS), ACTION_SIZES), axis=1)
STATE_STRIDES = np.array([math.prod(STATE_SIZES[i + 1 :]) for i in range(len(STATE_SIZES))])


def trait_bins(traits: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Divide traits from 0 to 100 into equal bins; with five bins, 0 → 0, 20 → 1, 100 → 4."""
    numbers: np.ndarray = np.minimum(np.asarray(traits) * bins // 100, bins - 1).astype(np.int64)
    return numbers


def state_index(parts: np.ndarray) -> np.ndarray:
    """Return the numbers (…,) of states with components (…, 8)."""
    rows: np.ndarray = np.asarray(parts, dtype=np.int64) @ STATE_STRIDES
    return rows


def state_parts(index: np.ndarray) -> np.ndarray:
    """Return the components (…, 8) of states with numbers (…,)."""
    return np.stack(np.unravel_index(index, STATE_SIZES), axis=-1)


@dataclass(frozen=True)
class RecommendationState:
    """A person and a moment.

    :raises ValueError: if a trait is not a number from 0 to 100, or a word is unknown
    """

    openness: float
    conscientiousness: float
    extraversion: float
    agreeableness: float
    neuroticism: float
    content_type: str
    mood: str
    time_of_day: str

    def __post_init__(self) -> None:
        for name in TRAITS:
            value = getattr(self, name)
            if not (isinstance(value, Real) and 0 <= float(value) <= 100):  # also refuses NaN
                message = f"{name} is {value!r}, not a number from 0 to 100"
                raise ValueError(message)
        for name, words in _WORDS.items():
            if getattr(self, name) not in words:
                message = f"{name} is {getattr(self, name)!r}; known: {', '.join(words)}"
                raise ValueError(message)

    @property
    def parts(self) -> np.ndarray:
        """The components (8,), as in the observations of ``Recommender-v0``."""
        traits = trait_bins(np.array([getattr(self, name) for name in TRAITS], dtype=float))
        words = [words.index(getattr(self, name)) for name, words in _WORDS.items()]
        return np.concatenate([traits, words])

    @property
    def index(self) -> int:
        """The state's number."""
        return int(state_index(self.parts))


_WORDS = {"content_type": CONTENT_TYPES, "mood": MOODS, "time_of_day": TIMES_OF_DAY}

_ENERGY_RANGE = {"low": (0.0, 0.4), "medium": (0.3, 0.7), "high": (0.6, 1.0)}
_VALENCE = {"low": 0.3, "medium": 0.5, "high": 0.7}
_GENRE_COUNT = {"focused": 1, "balanced": 3, "diverse": 5}
_EXPLORATION_RATE = {"familiar": 0.1, "mixed": 0.3, "exploratory": 0.5}
_POPULARITY = {"familiar": (50, 100), "mixed": (25, 75), "exploratory": (0, 50)}


@dataclass(frozen=True)
class RecommendationAction:
    """How to recommend: one of 27.

    :raises ValueError: if a word is unknown
    """

    energy: str
    diversity: str
    novelty: str

    def __post_init__(self) -> None:
        known = {"energy": ENERGIES, "diversity": DIVERSITIES, "novelty": NOVELTIES}
        for name, words in known.items():
            if getattr(self, name) not in words:
                message = f"{name} is {getattr(self, name)!r}; known: {', '.join(words)}"
                raise ValueError(message)

    @classmethod
    def from_index(cls, index: int) -> Self:
        """Return action number ``index``; raises IndexError outside 0 … 26."""
        if not 0 <= index < N_ACTIONS:
            message = f"there is no action {index}; actions are 0 … {N_ACTIONS - 1}"
            raise IndexError(message)
        energy, diversity, novelty = map(int, ACTION_PARTS[index])
        return cls(ENERGIES[energy], DIVERSITIES[diversity], NOVELTIES[novelty])

    @property
    def index(self) -> int:
        """The action's number."""
        parts = (
            ENERGIES.index(self.energy),
            DIVERSITIES.index(self.diversity),
            NOVELTIES.index(self.novelty),
        )
        return int(np.ravel_multi_index(parts, ACTION_SIZES))

    def to_recommendation_params(self) -> dict[str, Any]:
        """Return the parameters of a catalogue's API: energy, popularity, valence, genres."""
        min_energy, max_energy = _ENERGY_RANGE[self.energy]
        popularity_min, popularity_max = _POPULARITY[self.novelty]
        return {
            "min_energy": min_energy,
            "max_energy": max_energy,
            "valence": _VALENCE[self.energy],
            "genre_count": _GENRE_COUNT[self.diversity],
            "exploration_rate": _EXPLORATION_RATE[self.novelty],
            "popularity_min": popularity_min,
            "popularity_max": popularity_max,
        }
