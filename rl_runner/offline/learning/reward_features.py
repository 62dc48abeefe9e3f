"""The features φ(s, a) of reward models: products of the action and its circumstances.

    (energy, diversity, novelty as 9 flags) × (1, content, mood, time as flags, 5 traits)
    and the 27 actions as flags,

207 features. Given the moment (content, mood, time) and the action, all of them are linear in
(1, traits). Such a *cell* is therefore all that a regression needs to distinguish: 2,268 cells × 27
sums (n, Σz, Σzzᵀ, Σr, Σrz).
"""

import functools

import numpy as np

from rl_runner.envs.recommender.domain import (
    ACTION_PARTS,
    ACTION_SIZES,
    BINS,
    CONTENT_TYPES,
    MOODS,
    STATE_SIZES,
    TIMES_OF_DAY,
    TRAITS,
)
from rl_runner.offline.learning.backoff import N_ACTIONS, N_MOMENTS, N_STATES

N_TRAITS = len(TRAITS)
N_CELLS = N_MOMENTS * N_ACTIONS
WIDTH = 1 + N_TRAITS  # of (1, traits)
N_SLOPES = sum(ACTION_SIZES) * N_TRAITS
N_FEATURES = 207


def weighted_sums(state: np.ndarray, action: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return (n_cells, 6) Σ weight · (1, traits) by cell."""
    cell = cells(state, action)
    x = [np.ones(len(state)), *state_units()[state].T]
    return np.stack([np.bincount(cell, weight * one, minlength=N_CELLS) for one in x], axis=1)


def moment_of(state: np.ndarray) -> np.ndarray:
    """Return (n,) the moment (content, mood, time of day) of (n,) states."""
    moment: np.ndarray = state % N_MOMENTS
    return moment


def cells(state: np.ndarray, action: np.ndarray) -> np.ndarray:
    """Return (n,) the cell, a moment and an action, of (n,) states and actions."""
    cell: np.ndarray = moment_of(state).astype(np.int64) * N_ACTIONS + action
    return cell


def features(state: np.ndarray, action: np.ndarray) -> np.ndarray:
    """Return (n, 207) features of (n,) states and actions, as rows."""
    cell = cells(state, action)
    slopes = state_units()[state][:, :, None] * part_flags()[cell][:, None]
    return np.concatenate([action_flags()[cell], slopes.reshape(len(cell), N_SLOPES)], axis=1)


def policy_features(state: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """Return (n, 207) Σ_a π(a | s) φ(s, a) of (n,) states."""
    shares, moment = policy[state], moment_of(state)
    flags = np.empty((len(state), action_flags().shape[1]))
    by_moment = action_flags().reshape(N_MOMENTS, N_ACTIONS, -1)
    for one in np.unique(moment):
        here = moment == one
        flags[here] = shares[here] @ by_moment[one]
    parts = shares @ part_flags()[:N_ACTIONS]
    slopes = state_units()[state][:, :, None] * parts[:, None]
    return np.concatenate([flags, slopes.reshape(len(state), N_SLOPES)], axis=1)


@functools.cache
def state_units() -> np.ndarray:
    """Return (n_states, 5) the traits of each state, from −1 to 1."""
    bins = np.unravel_index(np.arange(N_STATES), STATE_SIZES)[:N_TRAITS]
    units: np.ndarray = np.stack(bins, axis=1) / ((BINS - 1) / 2) - 1.0
    return units


@functools.cache
def part_flags() -> np.ndarray:
    """Return (n_cells, 9): energy, diversity and novelty of each cell's action, as flags."""
    flags = [np.eye(n)[ACTION_PARTS[:, i]] for i, n in enumerate(ACTION_SIZES)]
    return np.tile(np.concatenate(flags, axis=1), (N_MOMENTS, 1))


@functools.cache
def action_flags() -> np.ndarray:
    """Return (n_cells, 162): parts of the action × (1, the moment's flags); the action's flag."""
    sizes = (len(CONTENT_TYPES), len(MOODS), len(TIMES_OF_DAY))
    moments = np.stack(np.unravel_index(np.arange(N_MOMENTS), sizes), axis=1)
    around = np.concatenate(  # (84, 15)
        [np.ones((N_MOMENTS, 1)), *(np.eye(n)[moments[:, i]] for i, n in enumerate(sizes))], axis=1
    )
    by_cell = np.repeat(around, N_ACTIONS, axis=0)
    products = np.einsum("ck,cp->ckp", by_cell, part_flags()).reshape(N_CELLS, -1)
    return np.concatenate([products, np.tile(np.eye(N_ACTIONS), (N_MOMENTS, 1))], axis=1)
