"""Reward regression over features: the honest competitor of a table, and the estimators' model.

A ridge regression of the reward on products of action and circumstances,

    (energy, diversity, novelty as 9 flags) × (1, content, mood, time as flags, 5 traits)
    and the 27 actions as flags,

207 features. Given the moment (content, mood, time) and the action, all of them are linear in
(1, traits), so that 2,268 cells × 27 numbers (n, Σz, Σzzᵀ, Σr, Σrz) are all it needs of a log,
however long; they add up over windows and folds.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from rl_runner.arrays import load_arrays, save_arrays
from rl_runner.envs.recommender.domain import (
    ACTION_PARTS,
    ACTION_SIZES,
    BINS,
    CONTENT_TYPES,
    MOODS,
    N_ACTIONS,
    N_STATES,
    STATE_SIZES,
    TIMES_OF_DAY,
    TRAITS,
)
from rl_runner.offline.learning.backoff import N_MOMENTS
from rl_runner.offline.logs.interactions import Interactions

N_CELLS = N_MOMENTS * N_ACTIONS
WIDTH = 1 + len(TRAITS)  # of (1, traits)
N_SLOPES = sum(ACTION_SIZES) * len(TRAITS)
N_FEATURES = 207
_PAIRS = [(i, j) for i in range(WIDTH) for j in range(i, WIDTH)]


@dataclass(frozen=True)
class CellSums:
    """What a ridge regression needs to know of a log."""

    products: np.ndarray  # (2268, 6, 6) Σ x xᵀ with x = (1, traits)
    targets: np.ndarray  # (2268, 6) Σ y x

    @classmethod
    def nothing(cls) -> Self:
        """Return the sums over no interactions."""
        return cls(np.zeros((N_CELLS, WIDTH, WIDTH)), np.zeros((N_CELLS, WIDTH)))

    @classmethod
    def of(cls, state: np.ndarray, action: np.ndarray, target: np.ndarray) -> Self:
        """Return the sums over (n,) interactions."""
        cell = _cells(state, action)
        x = [np.ones(len(state)), *_state_units()[state].T]
        products = np.zeros((N_CELLS, WIDTH, WIDTH))
        for i, j in _PAIRS:
            total = np.bincount(cell, x[i] * x[j], minlength=N_CELLS)
            products[:, i, j] = products[:, j, i] = total
        return cls(products, weighted_sums(state, action, target))

    def solved(self, right_sides: Sequence[np.ndarray], ridge: float) -> list[np.ndarray]:
        """Return (84, 27, 6) φᵀ (Σ φ φᵀ + ridge)⁻¹ f per unit of (1, traits), for each f.

        :param right_sides: (2268, 6) each, Σ c x by cell, which makes f = Σ c φ
        """
        flags, parts = _flags(), _parts()
        gram = self._gram()
        gram[np.diag_indices_from(gram)] += ridge
        right = [
            np.concatenate([flags.T @ side[:, 0], (side[:, 1:].T @ parts).ravel()])
            for side in right_sides
        ]
        thetas = np.linalg.solve(gram, np.stack(right, axis=1)).T
        n_flags = flags.shape[1]
        tables = []
        for theta in thetas:
            slopes = parts @ theta[n_flags:].reshape(len(TRAITS), -1).T  # (2268, 5)
            table = np.column_stack([flags @ theta[:n_flags], slopes])
            tables.append(table.reshape(N_MOMENTS, N_ACTIONS, WIDTH))
        return tables

    def _gram(self) -> np.ndarray:
        """Return (207, 207) Σ φ φᵀ: flags first, then traits × parts of the action."""
        flags, parts, sums = _flags(), _parts(), self.products
        n_flags, n_slopes = flags.shape[1], len(TRAITS) * parts.shape[1]
        gram = np.empty((n_flags + n_slopes, n_flags + n_slopes))
        gram[:n_flags, :n_flags] = flags.T @ (sums[:, 0, :1] * flags)
        by_trait = (sums[:, 0, 1:, None] * parts[:, None]).reshape(N_CELLS, n_slopes)
        gram[:n_flags, n_flags:] = flags.T @ by_trait
        gram[n_flags:, :n_flags] = gram[:n_flags, n_flags:].T
        products = (parts[:, :, None] * parts[:, None]).reshape(N_CELLS, -1)
        pairs = sums[:, 1:, 1:].reshape(N_CELLS, -1).T @ products  # (traits², parts²)
        shape = (len(TRAITS),) * 2 + (parts.shape[1],) * 2
        gram[n_flags:, n_flags:] = (
            pairs.reshape(shape).transpose(0, 2, 1, 3).reshape(n_slopes, n_slopes)
        )
        return gram

    def __add__(self, other: "CellSums") -> "CellSums":
        return CellSums(self.products + other.products, self.targets + other.targets)

    def __sub__(self, other: "CellSums") -> "CellSums":
        return CellSums(self.products - other.products, self.targets - other.targets)


def weighted_sums(state: np.ndarray, action: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return (2268, 6) Σ weight · (1, traits) by cell."""
    cell = _cells(state, action)
    x = [np.ones(len(state)), *_state_units()[state].T]
    return np.stack([np.bincount(cell, weight * one, minlength=N_CELLS) for one in x], axis=1)


def _cells(state: np.ndarray, action: np.ndarray) -> np.ndarray:
    cells: np.ndarray = (state % N_MOMENTS).astype(np.int64) * N_ACTIONS + action
    return cells


@dataclass(frozen=True)
class RewardModel:
    """q̂(s, a) = weights[moment, a] · (1, traits)."""

    weights: np.ndarray  # (84, 27, 6)

    @classmethod
    def fitted(cls, sums: CellSums, ridge: float) -> Self:
        """Return the ridge regression's solution; the average reward is not shrunk."""
        n_rows = max(1.0, float(sums.products[:, 0, 0].sum()))
        mean = float(sums.targets[:, 0].sum()) / n_rows
        weights = sums.solved([sums.targets - mean * sums.products[:, :, 0]], ridge)[0]
        weights[..., 0] += mean
        return cls(weights)

    def of_all_actions(self, states: np.ndarray) -> np.ndarray:
        """Return (n, 27) predicted rewards of (n,) states."""
        x = np.column_stack([np.ones(len(states)), _state_units()[states]])
        predicted: np.ndarray = np.einsum("naw,nw->na", self.weights[states % N_MOMENTS], x)
        return predicted

    def of_actions(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Return (n,) predicted rewards of (n,) states and actions."""
        x = np.column_stack([np.ones(len(states)), _state_units()[states]])
        predicted: np.ndarray = (self.weights[states % N_MOMENTS, actions] * x).sum(axis=1)
        return predicted


class RewardRegression:
    """A policy that takes the action with the best predicted reward.

    :param ridge: the penalty on squared weights
    :param epsilon: the share of actions that the deployed policy draws at random
    """

    gamma = 0.0
    values_are_bounded = False  # a linear form may leave the rewards' bounds where it saw little

    def __init__(self, ridge: float = 10.0, epsilon: float = 0.05) -> None:
        if epsilon > 1:
            message = f"epsilon is {epsilon}; it is a probability"
            raise ValueError(message)
        if ridge == 0:
            message = "ridge is 0, but some of the features are sums of others: it must be above 0"
            raise ValueError(message)
        self.ridge = ridge
        self.epsilon = epsilon
        self.sums = CellSums.nothing()
        self._model: RewardModel | None = None

    @property
    def model(self) -> RewardModel:
        """The regression on everything learned from."""
        if self._model is None:
            self._model = RewardModel.fitted(self.sums, self.ridge)
        return self._model

    def learn(self, log: Interactions) -> dict[str, Any]:
        """Add interactions to what is learned from."""
        self.sums = self.sums + CellSums.of(log.state, log.action, log.reward)
        self._model = None
        error = log.reward - self.model.of_actions(log.state, log.action)
        return {"transitions": len(log), "rmse": float(np.sqrt(np.mean(error**2)))}

    def q_values(self, states: np.ndarray) -> np.ndarray:
        """Return (n, 27) predicted rewards."""
        return self.model.of_all_actions(states)

    def policy(self, states: np.ndarray) -> np.ndarray:
        """Return (n, 27) P(a | s) of the policy that is deployed."""
        q_values = self.q_values(states)
        mixed = np.full(q_values.shape, self.epsilon / N_ACTIONS)
        mixed[np.arange(len(states)), q_values.argmax(axis=1)] += 1.0 - self.epsilon
        return mixed

    def coverage(self) -> dict[str, Any]:
        """Return how much of the cells was seen and the predictions' mean and extremes."""
        counts = self.sums.products[:, 0, 0]
        q_values = self.q_values(np.arange(N_STATES))
        return {
            "cells": int((counts > 0).sum()),
            "of_cells": N_CELLS,
            "visits_per_cell": float(counts.mean()),
            "avg_q_value": float(q_values.mean()),
            "max_q_value": float(q_values.max()),
            "min_q_value": float(q_values.min()),
            "epsilon": self.epsilon,
        }

    def outside(self, reward_bounds: tuple[float, float]) -> int:
        """Return how many predictions lie outside the rewards' bounds."""
        low, high = reward_bounds
        q_values = self.q_values(np.arange(N_STATES))
        return int((~((low <= q_values) & (q_values <= high))).sum())

    def save(self, path: Path) -> None:
        """Write the sums to an npz file."""
        save_arrays(path, {"products": self.sums.products, "targets": self.sums.targets})

    def load(self, path: Path) -> None:
        """Read what :meth:`save` wrote; raises OSError, ValueError or KeyError."""
        arrays = load_arrays(path)
        if arrays["products"].shape != self.sums.products.shape:
            message = f"sums over cells of shape {arrays['products'].shape}"
            raise ValueError(message)
        self.sums = CellSums(arrays["products"], arrays["targets"])
        self._model = None


def features(state: np.ndarray, action: np.ndarray) -> np.ndarray:
    """Return (n, 207) features of (n,) states and actions, as rows."""
    cell = _cells(state, action)
    slopes = _state_units()[state][:, :, None] * _parts()[cell][:, None]
    return np.concatenate([_flags()[cell], slopes.reshape(len(cell), N_SLOPES)], axis=1)


def policy_features(state: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """Return (n, 207) Σ_a π(a | s) φ(s, a) of (n,) states."""
    shares, moment = policy[state], state % N_MOMENTS
    flags = np.empty((len(state), _flags().shape[1]))
    by_moment = _flags().reshape(N_MOMENTS, N_ACTIONS, -1)
    for one in np.unique(moment):
        here = moment == one
        flags[here] = shares[here] @ by_moment[one]
    parts = shares @ _parts()[:N_ACTIONS]
    slopes = _state_units()[state][:, :, None] * parts[:, None]
    return np.concatenate([flags, slopes.reshape(len(state), N_SLOPES)], axis=1)


@functools.cache
def _state_units() -> np.ndarray:
    """Return (262500, 5) the traits of each state, from −1 to 1."""
    bins = np.unravel_index(np.arange(N_STATES), STATE_SIZES)[: len(TRAITS)]
    units: np.ndarray = np.stack(bins, axis=1) / ((BINS - 1) / 2) - 1.0
    return units


@functools.cache
def _parts() -> np.ndarray:
    """Return (2268, 9): energy, diversity and novelty of each cell's action, as flags."""
    flags = [np.eye(n)[ACTION_PARTS[:, i]] for i, n in enumerate(ACTION_SIZES)]
    return np.tile(np.concatenate(flags, axis=1), (N_MOMENTS, 1))


@functools.cache
def _flags() -> np.ndarray:
    """Return (2268, 162): parts of the action × (1, the moment's flags), and the action's flag."""
    sizes = (len(CONTENT_TYPES), len(MOODS), len(TIMES_OF_DAY))
    moments = np.stack(np.unravel_index(np.arange(N_MOMENTS), sizes), axis=1)
    around = np.concatenate(  # (84, 15)
        [np.ones((N_MOMENTS, 1)), *(np.eye(n)[moments[:, i]] for i, n in enumerate(sizes))], axis=1
    )
    by_cell = np.repeat(around, N_ACTIONS, axis=0)
    products = np.einsum("ck,cp->ckp", by_cell, _parts()).reshape(N_CELLS, -1)
    return np.concatenate([products, np.tile(np.eye(N_ACTIONS), (N_MOMENTS, 1))], axis=1)
