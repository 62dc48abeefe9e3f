"""Reward regression over features: a fair competitor of the table, and the estimators' model.

A ridge regression of the reward on the features of
:mod:`rl_runner.offline.learning.reward_features`. Sums by cell are all that it needs of a log,
however long, and they add up over windows and folds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from rl_runner.arrays import load_arrays, save_arrays
from rl_runner.offline.learning.backoff import N_ACTIONS, N_MOMENTS, N_STATES
from rl_runner.offline.learning.reward_features import (
    N_CELLS,
    N_TRAITS,
    WIDTH,
    action_flags,
    cells,
    moment_of,
    part_flags,
    state_units,
    weighted_sums,
)
from rl_runner.offline.logs.interactions import Interactions
from rl_runner.runs.log_results import Coverage, Learned

_PAIRS = [(i, j) for i in range(WIDTH) for j in range(i, WIDTH)]


@dataclass(frozen=True)
class CellSums:
    """The sums over a log that a ridge regression needs."""

    products: np.ndarray  # (n_cells, 6, 6) Σ x xᵀ with x = (1, traits)
    targets: np.ndarray  # (n_cells, 6) Σ y x

    @classmethod
    def empty(cls) -> Self:
        """Return the sums over no interactions."""
        return cls(np.zeros((N_CELLS, WIDTH, WIDTH)), np.zeros((N_CELLS, WIDTH)))

    @classmethod
    def of(cls, state: np.ndarray, action: np.ndarray, target: np.ndarray) -> Self:
        """Return the sums over (n,) interactions."""
        cell = cells(state, action)
        x = [np.ones(len(state)), *state_units()[state].T]
        products = np.zeros((N_CELLS, WIDTH, WIDTH))
        for i, j in _PAIRS:
            total = np.bincount(cell, x[i] * x[j], minlength=N_CELLS)
            products[:, i, j] = products[:, j, i] = total
        return cls(products, weighted_sums(state, action, target))

    def solved(self, right_sides: Sequence[np.ndarray], ridge: float) -> list[np.ndarray]:
        """Return φᵀ (Σ φ φᵀ + ridge)⁻¹ f per unit of (1, traits), for each right side f.

        :param right_sides: (n_cells, 6) each, Σ c x by cell, which makes f = Σ c φ
        :return: (n_moments, n_actions, 6) each
        """
        # The normal equations, with one right side per f.
        flags, parts = action_flags(), part_flags()
        gram = self._gram()
        gram[np.diag_indices_from(gram)] += ridge
        right = [
            np.concatenate([flags.T @ side[:, 0], (side[:, 1:].T @ parts).ravel()])
            for side in right_sides
        ]
        thetas = np.linalg.solve(gram, np.stack(right, axis=1)).T
        # Each solution as a table: one intercept and one slope per trait for every cell.
        n_flags = flags.shape[1]
        tables = []
        for theta in thetas:
            slopes = parts @ theta[n_flags:].reshape(N_TRAITS, -1).T  # (n_cells, 5)
            table = np.column_stack([flags @ theta[:n_flags], slopes])
            tables.append(table.reshape(N_MOMENTS, N_ACTIONS, WIDTH))
        return tables

    def _gram(self) -> np.ndarray:
        """Return (207, 207) Σ φ φᵀ: flags first, then traits × parts of the action.

        It is assembled from the sums by cell, since within a cell the flags are constant.
        """
        flags, parts, sums = action_flags(), part_flags(), self.products
        n_flags, n_slopes = flags.shape[1], N_TRAITS * parts.shape[1]
        gram = np.empty((n_flags + n_slopes, n_flags + n_slopes))
        # Flags × flags, then flags × slopes and its transpose.
        gram[:n_flags, :n_flags] = flags.T @ (sums[:, 0, :1] * flags)
        by_trait = (sums[:, 0, 1:, None] * parts[:, None]).reshape(N_CELLS, n_slopes)
        gram[:n_flags, n_flags:] = flags.T @ by_trait
        gram[n_flags:, :n_flags] = gram[:n_flags, n_flags:].T
        # Slopes × slopes.
        products = (parts[:, :, None] * parts[:, None]).reshape(N_CELLS, -1)
        pairs = sums[:, 1:, 1:].reshape(N_CELLS, -1).T @ products  # (traits², parts²)
        shape = (N_TRAITS,) * 2 + (parts.shape[1],) * 2
        gram[n_flags:, n_flags:] = (
            pairs.reshape(shape).transpose(0, 2, 1, 3).reshape(n_slopes, n_slopes)
        )
        return gram

    def __add__(self, other: "CellSums") -> "CellSums":
        return CellSums(self.products + other.products, self.targets + other.targets)

    def __sub__(self, other: "CellSums") -> "CellSums":
        return CellSums(self.products - other.products, self.targets - other.targets)


@dataclass(frozen=True)
class RewardModel:
    """q̂(s, a) = weights[moment, a] · (1, traits)."""

    weights: np.ndarray  # (n_moments, n_actions, 6)

    @classmethod
    def fitted(cls, sums: CellSums, ridge: float) -> Self:
        """Return the solution of the ridge regression; the average reward is not shrunk."""
        n_rows = max(1.0, float(sums.products[:, 0, 0].sum()))
        mean = float(sums.targets[:, 0].sum()) / n_rows
        weights = sums.solved([sums.targets - mean * sums.products[:, :, 0]], ridge)[0]
        weights[..., 0] += mean
        return cls(weights)

    def of_all_actions(self, states: np.ndarray) -> np.ndarray:
        """Return (n, n_actions) predicted rewards of (n,) states."""
        x = np.column_stack([np.ones(len(states)), state_units()[states]])
        predicted: np.ndarray = np.einsum("naw,nw->na", self.weights[moment_of(states)], x)
        return predicted

    def of_actions(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Return (n,) predicted rewards of (n,) states and actions."""
        x = np.column_stack([np.ones(len(states)), state_units()[states]])
        predicted: np.ndarray = (self.weights[moment_of(states), actions] * x).sum(axis=1)
        return predicted


class RewardRegression:
    """A policy that takes the action with the best predicted reward.

    :param ridge: the penalty on squared weights
    :param epsilon: the share of actions that the deployed policy draws at random
    """

    gamma = 0.0
    values_are_bounded = False  # a linear model may exceed the rewards' bounds where it saw little

    def __init__(self, ridge: float = 10.0, epsilon: float = 0.05) -> None:
        if epsilon > 1:
            message = f"epsilon is {epsilon}, but it is a probability: give 0 to 1"
            raise ValueError(message)
        if ridge == 0:
            message = "ridge is 0, but some features are sums of others: give a number above 0"
            raise ValueError(message)
        self.ridge = ridge
        self.epsilon = epsilon
        self.sums = CellSums.empty()
        self._model: RewardModel | None = None

    @property
    def model(self) -> RewardModel:
        """The regression on all interactions learned from."""
        if self._model is None:
            self._model = RewardModel.fitted(self.sums, self.ridge)
        return self._model

    def learn(self, log: Interactions) -> Learned:
        """Learn from more interactions; return their number and the root mean squared error."""
        self.sums = self.sums + CellSums.of(log.state, log.action, log.reward)
        self._model = None
        error = log.reward - self.model.of_actions(log.state, log.action)
        return Learned(transitions=len(log), rmse=float(np.sqrt(np.mean(error**2))))

    @property
    def lowest_epsilon(self) -> float:
        """ε, which does not decay."""
        return self.epsilon

    def q_values(self, states: np.ndarray) -> np.ndarray:
        """Return (n, n_actions) predicted rewards of (n,) states."""
        return self.model.of_all_actions(states)

    def preferences(self, states: np.ndarray) -> np.ndarray:
        """Return (n, n_actions) predicted rewards, which the deployed policy maximises."""
        return self.q_values(states)

    def policy(self, states: np.ndarray) -> np.ndarray:
        """Return (n, n_actions) P(a | s) of the deployed policy in (n,) states."""
        q_values = self.q_values(states)
        mixed = np.full(q_values.shape, self.epsilon / N_ACTIONS)
        mixed[np.arange(len(states)), q_values.argmax(axis=1)] += 1.0 - self.epsilon
        return mixed

    def coverage(self) -> Coverage:
        """Return how many cells were seen, and the mean and extremes of the predictions."""
        counts = self.sums.products[:, 0, 0]
        q_values = self.q_values(np.arange(N_STATES))
        return Coverage(
            cells=int((counts > 0).sum()),
            of_cells=N_CELLS,
            visits_per_cell=float(counts.mean()),
            avg_q_value=float(q_values.mean()),
            max_q_value=float(q_values.max()),
            min_q_value=float(q_values.min()),
            epsilon=self.epsilon,
        )

    def outside(self, reward_bounds: tuple[float, float]) -> int:
        """Return how many predictions lie beyond the rewards' bounds."""
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
            message = (
                f"the sums have shape {arrays['products'].shape}, not {self.sums.products.shape}"
            )
            raise ValueError(message)
        self.sums = CellSums(arrays["products"], arrays["targets"])
        self._model = None
