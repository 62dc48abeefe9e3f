"""E[r | s, a] of the simulated people, and what follows from it: exact values, the best policy.

Traits, content type and time of day stay the same through a session and only the mood moves, so
that the 262,500 states fall apart into 37,500 chains of seven moods. A policy's value is a linear
system of size seven per chain, the best policy a few rounds of policy iteration; nothing is
sampled.

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
    """The decision process that observing states amounts to, the hidden taste averaged out."""

    rewards: np.ndarray  # (262500, 27) E[r | s, a]
    next_mood: np.ndarray  # (5, 4, 7, 27, 7) P(next mood and the session goes on | neuroticism, …)
    initial: np.ndarray  # (262500,) P(a session begins in s)

    def value(self, policy: np.ndarray, gamma: float = 1.0) -> np.ndarray:
        """Return (262500,) E[Σ γ^t r_t | s_0 = s] of a policy; sessions end by themselves.

        :param policy: (262500, 27) P(a | s), or (262500,) the action in each state
        """
        values: np.ndarray = _by_state(
            np.linalg.solve(
                np.eye(N_MOODS) - gamma * self._moves(policy), self._gains(policy)[..., None]
            )[..., 0]
        )
        return values

    def mean_return(self, policy: np.ndarray, gamma: float = 1.0) -> float:
        """Return E[Σ γ^t r_t] of a session that begins as sessions do."""
        return float(self.initial @ self.value(policy, gamma))

    def action_values(self, values: np.ndarray, gamma: float = 1.0) -> np.ndarray:
        """Return (262500, 27) r(s, a) + γ Σ_s' P(s' | s, a) v(s')."""
        # neuroticism and time first, so that each of their 20 pairs is one matrix product
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
        """Return (262500,) the share of a policy's interactions that happen in each state."""
        starts = _by_chain(self.initial)
        system = np.eye(N_MOODS) - self._moves(policy).swapaxes(-1, -2)
        visits = _by_state(np.linalg.solve(system, starts[..., None])[..., 0])
        shares: np.ndarray = visits / visits.sum()
        return shares

    def mean_reward(self, policy: np.ndarray, states: np.ndarray) -> float:
        """Return the mean reward of one recommendation by ``policy`` over given states.

        It is what off-policy estimators estimate from a log: the log's states, another action.

        :param states: (262500,) shares, e.g. the :meth:`occupancy` of the logging policy
        """
        return float(states @ _chosen(self.rewards, policy))

    def best_policy(self, gamma: float = 1.0) -> np.ndarray:
        """Return (262500,) the best action in each state, by policy iteration; 0 is myopic."""
        actions: np.ndarray = self.rewards.argmax(axis=1)
        while gamma:
            q_values = self.action_values(self.value(actions, gamma), gamma)
            better = q_values.argmax(axis=1)
            # Only a real gain counts, or ties between equal actions could go round in circles.
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
        """Return (5, 5, 5, 5, 5, 3, 4, 7, 7) P(next mood and goes on) by chain and mood."""
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
    """Return the exact model of ``Recommender-v0``'s people (a second's work, done once)."""
    return build_exact_model(default_population(), weights)


def build_exact_model(people: Population, weights: RewardWeights) -> ExactModel:
    """Sum the hidden taste and every outcome out of a population."""
    stays = people.next_mood * (1.0 - people.leaves)
    return ExactModel(_expected_rewards(people, weights), stays, _initial(people))


def _expected_rewards(people: Population, weights: RewardWeights) -> np.ndarray:
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
    traits = people.trait_bins
    four = functools.reduce(np.multiply.outer, [traits] * (len(TRAITS) - 1))
    moods = traits[:, None, None] * people.times[:, None] * people.first_mood  # (n, time, mood)
    whole = np.einsum("wxyz,c,ntm->wxyzncmt", four, people.content, moods)
    flat: np.ndarray = whole.reshape(N_STATES)
    return flat


def _chosen(table: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """Return (262500,) what a policy takes of a table over states and actions."""
    if policy.ndim == 1:
        taken: np.ndarray = table[np.arange(N_STATES), policy]
        return taken
    averaged: np.ndarray = np.einsum("sa,sa->s", table, policy)
    return averaged


def _by_chain(states: np.ndarray) -> np.ndarray:
    """Return an array over states with the mood as its last axis: (…, content, time, mood)."""
    return states.reshape(STATE_SIZES).swapaxes(-1, -2)


def _by_state(chains: np.ndarray) -> np.ndarray:
    """Undo :func:`_by_chain`."""
    return chains.swapaxes(-1, -2).reshape(N_STATES)
