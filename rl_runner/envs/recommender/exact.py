"""E[r | s, a] of the simulated people, and from it exact values and the best policy.

Traits, content type and time of day stay the same during a session; only the mood changes. The
262,500 states therefore split into 37,500 chains of seven moods. The value of a policy is the
solution of a linear system of size seven per chain, and the best policy takes a few rounds of
policy iteration. Nothing is sampled.

Arrays over states are flat, (262500, …), in the order of
:func:`rl_runner.envs.recommender.domain.state_index`.
"""

import functools
from dataclasses import dataclass

import numpy as np

from rl_runner.envs.recommender.domain import (
    BINS,
    CONTENT_TYPES,
    MOODS,
    N_ACTIONS,
    N_STATES,
    STATE_SIZES,
    TIMES_OF_DAY,
    TRAITS,
)
from rl_runner.envs.recommender.people import Population, default_population
from rl_runner.envs.recommender.rewards import DEFAULT_WEIGHTS, RewardWeights, mood_improvement

N_MOODS, N_TIMES, N_CONTENTS = len(MOODS), len(TIMES_OF_DAY), len(CONTENT_TYPES)


@dataclass(frozen=True)
class ExactModel:
    """The Markov decision process over observed states, with the hidden taste averaged out."""

    rewards: np.ndarray  # (262500, 27) E[r | s, a]
    next_mood: np.ndarray  # (5, 4, 7, 27, 7) P(next mood, no end | neuroticism, …)
    initial: np.ndarray  # (262500,) P(a session begins in s)

    def value(self, policy: np.ndarray, gamma: float = 1.0) -> np.ndarray:
        """Return (262500,) E[Σ γ^t r_t | s_0 = s] of a policy; sessions always end, so γ may be 1.

        :param policy: (262500, 27) P(a | s), or (262500,) the action in each state
        """
        values: np.ndarray = _by_state(
            np.linalg.solve(
                np.eye(N_MOODS) - gamma * self._moves(policy), self._gains(policy)[..., None]
            )[..., 0]
        )
        return values

    def mean_return(self, policy: np.ndarray, gamma: float = 1.0) -> float:
        """Return E[Σ γ^t r_t] over the distribution of initial states."""
        return float(self.initial @ self.value(policy, gamma))

    def action_values(self, values: np.ndarray, gamma: float = 1.0) -> np.ndarray:
        """Return (262500, 27) r(s, a) + γ Σ_s' P(s' | s, a) v(s')."""
        # Move neuroticism and time to the front: each of their 20 pairs is one matrix product.
        grid = values.reshape(-1, BINS, N_CONTENTS, N_MOODS, N_TIMES).transpose(1, 4, 0, 2, 3)
        flat = grid.reshape(BINS, N_TIMES, -1, N_MOODS)
        moves = self.next_mood.reshape(BINS, N_TIMES, N_MOODS * N_ACTIONS, N_MOODS)
        future = (flat @ moves.swapaxes(-1, -2)).reshape(
            BINS, N_TIMES, -1, N_CONTENTS, N_MOODS, N_ACTIONS
        )
        ordered = future.transpose(2, 0, 3, 4, 1, 5).reshape(N_STATES, N_ACTIONS)
        total: np.ndarray = self.rewards + gamma * ordered
        return total

    def occupancy(self, policy: np.ndarray) -> np.ndarray:
        """Return (262500,) the share of a policy's interactions in each state."""
        starts = _by_chain(self.initial)
        system = np.eye(N_MOODS) - self._moves(policy).swapaxes(-1, -2)
        visits = _by_state(np.linalg.solve(system, starts[..., None])[..., 0])
        shares: np.ndarray = visits / visits.sum()
        return shares

    def mean_reward(self, policy: np.ndarray, states: np.ndarray) -> float:
        """Return the mean reward of one recommendation by ``policy`` over given states.

        Off-policy estimators estimate this number from a log: the log's states, other actions.

        :param states: (262500,) shares, e.g. the :meth:`occupancy` of the logging policy
        """
        return float(states @ _chosen(self.rewards, policy))

    def best_policy(self, gamma: float = 1.0) -> np.ndarray:
        """Return (262500,) the best actions by policy iteration; γ = 0 gives the myopic policy."""
        actions: np.ndarray = self.rewards.argmax(axis=1)
        while gamma:
            q_values = self.action_values(self.value(actions, gamma), gamma)
            better = q_values.argmax(axis=1)
            # Change an action only for a real gain: ties could cycle for ever.
            rows = np.arange(N_STATES)
            gains = q_values[rows, better] > q_values[rows, actions] + 1e-12
            if not gains.any():
                break
            actions = np.where(gains, better, actions)
        return actions

    def _gains(self, policy: np.ndarray) -> np.ndarray:
        """Return (5, 5, 5, 5, 5, 3, 4, 7) the expected reward by chain and mood."""
        return _by_chain(_chosen(self.rewards, policy))

    def _moves(self, policy: np.ndarray) -> np.ndarray:
        """Return (5, 5, 5, 5, 5, 3, 4, 7, 7) P(next mood, no end) by chain and mood."""
        if policy.ndim == 1:
            chosen = _by_chain(policy)  # (…, neuroticism, content, time, mood)
            neuroticism = np.arange(BINS)[:, None, None, None]
            times, moods = np.arange(N_TIMES)[:, None], np.arange(N_MOODS)
            moves: np.ndarray = self.next_mood[neuroticism, times, moods, chosen]
            return moves
        grid = policy.reshape(-1, BINS, N_CONTENTS, N_MOODS, N_TIMES, N_ACTIONS)
        mixed = np.einsum("xncmta,ntmap->xnctmp", grid, self.next_mood, optimize=True)
        shaped: np.ndarray = mixed.reshape(
            *(BINS,) * len(TRAITS), N_CONTENTS, N_TIMES, N_MOODS, N_MOODS
        )
        return shaped


@functools.cache
def exact_model(weights: RewardWeights = DEFAULT_WEIGHTS) -> ExactModel:
    """Return the exact model of ``Recommender-v0``, computed once in about a second."""
    return build_exact_model(default_population(), weights)


def build_exact_model(people: Population, weights: RewardWeights) -> ExactModel:
    """Build the exact model of a population by summing over hidden tastes and outcomes."""
    stays = people.next_mood * (1.0 - people.leaves)
    return ExactModel(_expected_rewards(people, weights), stays, _initial(people))


def _expected_rewards(people: Population, weights: RewardWeights) -> np.ndarray:
    """Return (262500, 27) E[r | s, a], averaged over the hidden tastes."""
    # The appeal is additive: the sum over four traits is computed once, openness is looped over.
    table = np.zeros((*STATE_SIZES, N_ACTIONS))
    tables = people.appeal_of_traits
    of_four = (  # all traits but openness
        tables[1][:, None, None, None] + tables[2][:, None, None] + tables[3][:, None] + tables[4]
    )
    for openness in range(BINS):
        of_traits = (tables[0][openness] + of_four)[..., None, None, :]
        for content in range(N_CONTENTS):
            appeal = of_traits + people.appeal_of_moment[content]
            for taste, share in enumerate(people.tastes[openness]):
                expected = _reward_of_appeal(
                    people, weights, content, appeal + people.appeal_of_taste[taste]
                )
                table[openness, ..., content, :, :, :] += share * expected
    # The mood's term depends on the mood before and after, not on the taste.
    moods = np.arange(N_MOODS)
    change = mood_improvement(moods[:, None], moods)  # (mood, next mood)
    lifted = np.einsum("ntmap,mp->nmta", people.next_mood, change)
    table += weights.mood_improvement * lifted[:, None]
    return table.reshape(N_STATES, N_ACTIONS)


def _reward_of_appeal(
    people: Population, weights: RewardWeights, content: int, appeal: np.ndarray
) -> np.ndarray:
    """Return the expected reward, without the mood's term, of recommendations of this appeal."""
    falling = np.exp(-appeal)

    def below(threshold: float) -> np.ndarray:
        """P(enjoyment < threshold), the logistic distribution function."""
        odds = np.exp(threshold) * falling
        probability: np.ndarray = odds / (1.0 + odds)
        return probability

    # Probabilities of the outcomes, and the expected completion rate.
    likes, dislikes, shares = people.presses
    skipped = below(people.skips_below[content])
    unfinished = below(people.completes_above[content])
    skip_rate, stop_rate = np.mean(people.skip_rate), np.mean(people.stop_rate)
    rate = skip_rate * skipped + stop_rate * (unfinished - skipped) + (1.0 - unfinished)
    expected: np.ndarray = (
        weights.like * likes * (1.0 - below(people.likes_above))
        + weights.dislike * dislikes * below(people.dislikes_below)
        + weights.share * shares * (1.0 - below(people.shares_above))
        + weights.skip * skipped
        + weights.complete * (1.0 - unfinished)
        + weights.completion_rate * rate
    )
    return expected


def _initial(people: Population) -> np.ndarray:
    """Return (262500,) P(a session begins in s)."""
    traits = people.trait_bins
    four = functools.reduce(np.multiply.outer, [traits] * (len(TRAITS) - 1))
    moods = traits[:, None, None] * people.times[:, None] * people.first_mood  # (n, time, mood)
    whole = np.einsum("wxyz,c,ntm->wxyzncmt", four, people.content, moods)
    flat: np.ndarray = whole.reshape(N_STATES)
    return flat


def _chosen(table: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """Return (262500,) the entries of a (262500, 27) table of a policy, averaged over actions."""
    if policy.ndim == 1:
        taken: np.ndarray = table[np.arange(N_STATES), policy]
        return taken
    averaged: np.ndarray = np.einsum("sa,sa->s", table, policy)
    return averaged


def _by_chain(states: np.ndarray) -> np.ndarray:
    """Return an array over states with the mood as its last axis: (…, content, time, mood)."""
    return states.reshape(STATE_SIZES).swapaxes(-1, -2)


def _by_state(chains: np.ndarray) -> np.ndarray:
    """Return (262500,) states of an array by chain and mood; the inverse of :func:`_by_chain`."""
    return chains.swapaxes(-1, -2).reshape(N_STATES)
