"""One recommendation in many sessions at once; every environment here uses it."""

from dataclasses import dataclass

import numpy as np

from rl_runner.envs.recommender.domain import BINS, TRAITS
from rl_runner.envs.recommender.people import Population

N_TRAITS = len(TRAITS)
CONTENT, MOOD, TIME = N_TRAITS, N_TRAITS + 1, N_TRAITS + 2  # columns of a state's components
OPENNESS, NEUROTICISM = 0, 4


@dataclass(frozen=True)
class Outcome:
    """How n people responded to one recommendation each."""

    like: np.ndarray  # (n,) bool, as are the next four
    dislike: np.ndarray
    complete: np.ndarray
    skip: np.ndarray
    share: np.ndarray
    completion_rate: np.ndarray  # (n,) from 0 to 1
    mood_before: np.ndarray  # (n,) moods by number
    mood_after: np.ndarray
    terminal: np.ndarray  # (n,) bool: the person left

    def terms(self) -> dict[str, np.ndarray]:
        """Return the terms of the reward by name, without the moods."""
        names = ("like", "dislike", "complete", "skip", "share", "completion_rate")
        return {name: getattr(self, name) for name in names}


class People:
    """Draws people, begins their sessions and draws their responses.

    It holds the population's tables only. The caller keeps states and tastes, so that a session may
    be a copy of an environment or one of many sessions of the same person.
    """

    def __init__(self, population: Population) -> None:
        self.population = population
        self._trait_cdf = np.cumsum(population.trait_bins)
        self._taste_cdf = np.cumsum(population.tastes, axis=-1)
        self._content_cdf = np.cumsum(population.content)
        self._time_cdf = np.cumsum(population.times)
        self._first_mood_cdf = np.cumsum(population.first_mood, axis=-1)
        self._next_mood_cdf = np.cumsum(population.next_mood, axis=-1)

    def draw_people(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return (n, 5) trait bins and (n,) hidden tastes."""
        traits = _draw(self._trait_cdf, rng.random((n, N_TRAITS)))
        return traits, _draw(self._taste_cdf[traits[:, OPENNESS]], rng.random(n))

    def begin_sessions(self, traits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return (n, 8) first states of people with these (n, 5) trait bins."""
        n = len(traits)
        draws = rng.random((3, n))
        content, time = _draw(self._content_cdf, draws[0]), _draw(self._time_cdf, draws[1])
        mood = _draw(self._first_mood_cdf[traits[:, NEUROTICISM], time], draws[2])
        return np.column_stack([traits, content, mood, time])

    def respond(
        self, states: np.ndarray, tastes: np.ndarray, actions: np.ndarray, rng: np.random.Generator
    ) -> Outcome:
        """Return how people in (n, 8) states with (n,) tastes respond to (n,) actions.

        The next state differs only in the mood, which is ``mood_after``.
        """
        people, content, mood = self.population, states[:, CONTENT], states[:, MOOD]
        # One latent enjoyment decides every response; the thresholds are those of the content type.
        draws = rng.random((7, len(states)))
        enjoyment = self.appeal(states, tastes, actions) + _logistic(draws[0])
        skip = enjoyment < people.skips_below[content]
        complete = enjoyment > people.completes_above[content]
        likes, dislikes, shares = people.presses
        stopped_at = np.where(
            skip, _uniform(people.skip_rate, draws[4]), _uniform(people.stop_rate, draws[4])
        )
        # The mood depends on the recommendation, not on the enjoyment.
        key = (states[:, NEUROTICISM], states[:, TIME], mood, actions)
        mood_after = _draw(self._next_mood_cdf[key], draws[5])
        return Outcome(
            like=(enjoyment > people.likes_above) & (draws[1] < likes),
            dislike=(enjoyment < people.dislikes_below) & (draws[2] < dislikes),
            complete=complete,
            skip=skip,
            share=(enjoyment > people.shares_above) & (draws[3] < shares),
            completion_rate=np.where(complete, 1.0, stopped_at),
            mood_before=mood.copy(),
            mood_after=mood_after,
            terminal=draws[6] < people.leaves[mood_after],
        )

    def appeal(self, states: np.ndarray, tastes: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Return (n,) the appeal of the recommendations: the enjoyment without its noise."""
        people = self.population
        total: np.ndarray = (
            people.appeal_of_moment[states[:, CONTENT], states[:, MOOD], states[:, TIME], actions]
            + people.appeal_of_taste[tastes, actions]
        )
        for trait in range(N_TRAITS):
            total = total + people.appeal_of_traits[trait, states[:, trait], actions]
        return total


def traits_within(bins: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw traits from 0 to 100, uniformly within the given bins."""
    width = 100.0 / BINS
    spread: np.ndarray = (bins + rng.random(bins.shape)) * width
    return spread


def _draw(cdf: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Draw categories by inverting their distribution functions, the last axis of ``cdf``."""
    below: np.ndarray = (uniform[..., None] >= cdf[..., :-1]).sum(axis=-1)
    return below


def _logistic(uniform: np.ndarray) -> np.ndarray:
    """Turn uniform draws into draws of the standard logistic distribution."""
    odds: np.ndarray = np.log(uniform) - np.log1p(-uniform)
    return odds


def _uniform(ends: tuple[float, float], uniform: np.ndarray) -> np.ndarray:
    low, high = ends
    return low + (high - low) * uniform
