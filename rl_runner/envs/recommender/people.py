"""The simulated people: their traits, what appeals to them, and how their mood changes.

One latent quantity decides every response of a person to a recommendation, the enjoyment

    x = appeal(s, a, taste) + ε,   ε ~ Logistic(0, 1).

Each outcome is a threshold on x (an ordered logit), so that its probability is a sigmoid of the
appeal and expectations are finite sums. The appeal is additive,

    appeal = moment[content, mood, time, a] + traits[traits, a] + taste[k, a],

and depends on traits only through their five bins. Each person has one of four hidden *tastes*,
which never changes. Moods and the ends of sessions depend on the recommendation, never on the taste
or on x. An observer of states therefore learns nothing about the taste from the mood: the belief
stays P(taste | openness), and E[r | s, a] does not depend on the policy.

Effect sizes. Traits explain little (published correlations of traits with preferences are mostly
below .1; openness has the largest), the moment explains more, the hidden taste most. About a
quarter of music plays are skipped early and about half do not reach the end. All other parameters
are invented.
"""

import functools
from dataclasses import dataclass

import numpy as np

from rl_runner.envs.recommender.domain import (
    ACTION_PARTS,
    BINS,
    CONTENT_TYPES,
    MOODS,
    TIMES_OF_DAY,
    TRAITS,
)
from rl_runner.envs.recommender.rewards import MOOD_VALENCE

MOOD_AROUSAL = np.array([0.0, 0.5, -0.5, 0.7, -0.5, -0.7, 0.9])  # in the order of MOODS


@dataclass(frozen=True)
class Population:
    """The tables of a population with K tastes; actions are in the order of their numbers."""

    trait_bins: np.ndarray  # (5,) P(bin), the same for every trait; traits are independent
    tastes: np.ndarray  # (5, K) P(taste | openness bin)
    content: np.ndarray  # (3,) P(content type) of a session
    times: np.ndarray  # (4,) P(time of day) of a session
    first_mood: np.ndarray  # (5, 4, 7) P(mood | neuroticism bin, time) as a session begins
    next_mood: np.ndarray  # (5, 4, 7, 27, 7) P(next mood | neuroticism bin, time, mood, action)
    leaves: np.ndarray  # (7,) P(the session ends | mood after the recommendation)
    appeal_of_moment: np.ndarray  # (3, 7, 4, 27)
    appeal_of_traits: np.ndarray  # (5 traits, 5 bins, 27), summed over the traits
    appeal_of_taste: np.ndarray  # (K, 27)
    skips_below: np.ndarray  # (3,) thresholds on the enjoyment, by content type
    completes_above: np.ndarray  # (3,)
    dislikes_below: float
    likes_above: float
    shares_above: float
    presses: tuple[float, float, float]  # P(button pressed | would like, dislike, share)
    skip_rate: tuple[float, float]  # completion rate if skipped: uniform in this range
    stop_rate: tuple[float, float]  # completion rate if stopped later


# How pleasant each energy (low, medium, high) is in a mood, and how much it lifts the mood. The two
# conflict on purpose: sad people enjoy quiet things more, but livelier ones lift their mood.
_ENERGY_APPEAL = {
    "neutral": (0.0, 0.2, 0.0),
    "happy": (-0.3, 0.2, 0.5),
    "sad": (0.6, 0.0, -0.5),
    "anxious": (0.1, 0.3, 0.0),
    "calm": (0.5, 0.1, -0.4),
    "relaxed": (0.5, 0.2, -0.3),
    "energetic": (-0.6, 0.1, 0.8),
}
_ENERGY_LIFT = {
    "neutral": (0.0, 0.3, 0.3),
    "happy": (-0.1, 0.1, 0.1),
    "sad": (-0.2, 0.8, 0.4),
    "anxious": (0.8, 0.1, -0.4),
    "calm": (0.0, 0.2, 0.0),
    "relaxed": (0.0, 0.2, -0.1),
    "energetic": (-0.2, 0.0, 0.1),
}
_ENERGY_BY_TIME = {
    "morning": (-0.2, 0.3, 0.1),
    "afternoon": (-0.2, 0.1, 0.3),
    "evening": (0.1, 0.2, -0.1),
    "night": (0.5, 0.0, -0.6),
}
_NOVELTY_APPEAL = {  # (familiar, mixed, exploratory)
    "neutral": (0.0, 0.2, 0.0),
    "happy": (-0.2, 0.1, 0.3),
    "sad": (0.4, 0.0, -0.3),
    "anxious": (0.5, 0.0, -0.4),
    "calm": (0.0, 0.2, 0.1),
    "relaxed": (0.1, 0.2, 0.0),
    "energetic": (-0.2, 0.1, 0.3),
}
_DIVERSITY_APPEAL = {  # (focused, balanced, diverse)
    "music": (0.1, 0.2, 0.0),
    "video": (-0.2, 0.1, 0.3),
    "game": (0.4, 0.0, -0.3),
}
# Per unit of the trait (−1 … 1): slopes on (energy, diversity, novelty), each −1 … 1.
_TRAIT_SLOPES = {
    "openness": (0.0, 0.15, 0.30),
    "conscientiousness": (-0.05, -0.08, 0.0),
    "extraversion": (0.15, 0.0, 0.05),
    "agreeableness": (-0.05, 0.0, 0.0),
    "neuroticism": (-0.08, 0.0, -0.10),
}
# Hidden tastes: (low, medium, high), (focused, balanced, diverse), (familiar, mixed, exploratory)
_TASTES = (
    ((0.4, 0.1, -0.5), (0.2, 0.1, -0.3), (0.5, 0.0, -0.5)),  # quiet and known
    ((-0.5, 0.0, 0.6), (0.1, 0.1, -0.2), (0.2, 0.1, -0.3)),  # loud and known
    ((0.0, 0.1, -0.1), (-0.6, 0.0, 0.6), (-0.5, 0.0, 0.6)),  # explorers
    ((-0.2, 0.2, 0.0), (0.0, 0.2, -0.2), (-0.2, 0.3, 0.0)),  # the middle of the road
)
_TASTE_SHARES = (0.30, 0.25, 0.15, 0.30)
_EXPLORERS = 2  # the index of the taste that openness makes more likely


@functools.cache
def default_population() -> Population:
    """Return the population of ``Recommender-v0``; every call returns the same object."""
    return Population(
        trait_bins=np.array([0.07, 0.24, 0.38, 0.24, 0.07]),
        tastes=_taste_shares(),
        content=np.array([0.60, 0.25, 0.15]),
        times=np.array([0.20, 0.25, 0.35, 0.20]),
        first_mood=_first_mood(),
        next_mood=_next_mood(),
        leaves=0.12 - 0.06 * MOOD_VALENCE,
        appeal_of_moment=_appeal_of_moment(),
        appeal_of_traits=_appeal_of_traits(),
        appeal_of_taste=np.stack([_by_parts(*taste) for taste in _TASTES]),
        skips_below=np.array([-0.75, -1.0, -1.4]),
        completes_above=np.array([0.5, 0.9, 0.6]),
        dislikes_below=-1.5,
        likes_above=1.0,
        shares_above=2.0,
        presses=(0.5, 0.5, 0.25),
        skip_rate=(0.0, 0.25),
        stop_rate=(0.25, 1.0),
    )


def trait_units() -> np.ndarray:
    """Return (5,) the values of the bins: −1, −.5, 0, .5, 1."""
    return np.linspace(-1.0, 1.0, BINS)


def _by_parts(energy: object, diversity: object, novelty: object) -> np.ndarray:
    """Return (27,) the sum of three tables over the components of each action."""
    tables = np.array([energy, diversity, novelty], dtype=float)
    total: np.ndarray = tables[np.arange(3), ACTION_PARTS].sum(axis=1)
    return total


def _softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: np.ndarray = weights / weights.sum(axis=-1, keepdims=True)
    return shares


def _taste_shares() -> np.ndarray:
    """Return (5, K) P(taste | openness bin)."""
    logits = np.tile(np.log(_TASTE_SHARES), (BINS, 1))
    logits[:, _EXPLORERS] += 0.8 * trait_units()
    return _softmax(logits)


def _appeal_of_moment() -> np.ndarray:
    """Return (3, 7, 4, 27) the appeal by content type, mood, time of day and action."""
    table = np.zeros((len(CONTENT_TYPES), len(MOODS), len(TIMES_OF_DAY), len(ACTION_PARTS)))
    nothing = (0.0, 0.0, 0.0)
    # Each part of the moment adds its own appeal.
    for c, content in enumerate(CONTENT_TYPES):
        table[c] += _by_parts(nothing, _DIVERSITY_APPEAL[content], nothing)
    for m, mood in enumerate(MOODS):
        table[:, m] += _by_parts(_ENERGY_APPEAL[mood], nothing, _NOVELTY_APPEAL[mood])
        table[:, m] += 0.35 * MOOD_VALENCE[m]  # in a good mood, everything is more enjoyable
    for t, time in enumerate(TIMES_OF_DAY):
        table[:, :, t] += _by_parts(_ENERGY_BY_TIME[time], nothing, nothing)
    energy, diversity, _ = (ACTION_PARTS - 1).T
    table -= 0.15 * energy * diversity  # high energy and high diversity together are tiring
    return table


def _appeal_of_traits() -> np.ndarray:
    """Return (5, 5, 27) the appeal by trait, bin and action."""
    slopes = np.array([_TRAIT_SLOPES[trait] for trait in TRAITS])  # (5, 3)
    table: np.ndarray = np.einsum("tp,b,ap->tba", slopes, trait_units(), ACTION_PARTS - 1.0)
    return table


def _first_mood() -> np.ndarray:
    """Return (5, 4, 7) P(first mood | neuroticism bin, time of day)."""
    usual = np.log([0.25, 0.16, 0.12, 0.13, 0.13, 0.11, 0.10])
    drift = np.array([0.3, 0.3, -0.2, -0.6])  # of arousal, by time of day
    neuroticism = -0.5 * trait_units()[:, None, None] * MOOD_VALENCE
    return _softmax(usual + neuroticism + drift[:, None] * MOOD_AROUSAL)


def _next_mood() -> np.ndarray:
    """Return (5, 4, 7, 27, 7) P(next mood | neuroticism bin, time of day, mood, action)."""
    # Where a recommendation moves the mood to, on the axes valence and arousal.
    lift = np.array([_ENERGY_LIFT[mood] for mood in MOODS])  # (7, 3)
    energy, novelty = ACTION_PARTS[:, 0], ACTION_PARTS[:, 2]
    unease = np.where(MOOD_VALENCE < 0, -0.15, 0.05)  # in a bad mood, new things lower the valence
    valence = MOOD_VALENCE[:, None] + lift[:, energy] + unease[:, None] * (novelty - 1)  # (7, 27)
    valence = np.clip(valence, -1.0, 1.0)
    arousal = MOOD_AROUSAL[:, None] + 0.4 * ((energy - 1.0) - MOOD_AROUSAL[:, None])
    drift = np.array([0.1, 0.05, 0.0, -0.2])[:, None, None]  # (4, 1, 1) by time of day
    # Moods near that point are likely; moods also tend to stay.
    distance = (valence[..., None] - MOOD_VALENCE) ** 2 + (
        (arousal + drift)[..., None] - MOOD_AROUSAL
    ) ** 2  # (4, 7, 27, 7)
    inertia = 1.0 * np.eye(len(MOODS))[:, None, :]
    neuroticism = -0.3 * trait_units()[:, None, None, None, None] * MOOD_VALENCE
    return _softmax(-2.5 * distance + inertia + neuroticism)
