"""Off-policy estimators: the reward that another policy would have earned on a log's states.

With weights w_i = π(a_i | s_i) / pscore_i, a reward model q̂ and v̂(s) = Σ_a π(a | s) q̂(s, a):

=========  ================================================  ===================================
IPS        mean(w r)                                         Horvitz & Thompson 1952
SNIPS      Σ w r / Σ w                                       Swaminathan & Joachims 2015
DM         mean(v̂ + ℓ (r − q̂))                               the model alone
DR         mean(v̂ + w (r − q̂))                               Dudík, Langford & Li 2011
SWITCH-DR  DR with ℓ in place of the w that exceed τ         Wang, Agarwal & Dudík 2017
=========  ================================================  ===================================

They estimate the mean reward of *one* recommendation by π in the states that the logging policy
reached. This is not the value of a whole session under π: for that, a log with 27 actions would
have to agree with π many times in a row.

q̂ is cross-fitted: a row's prediction comes from a model that has not seen the row's user. As a
ridge regression it is biased: it underestimates what a policy gains by unusual actions. One step
with its own leverages, ℓ_i = φ_iᵀ (Σ φ φᵀ + ridge)⁻¹ Σ_j Σ_a π(a | s_j) φ(s_j, a), corrects the
bias of penalty and folds (Hirshberg & Wager 2021). It also makes every estimate a ratio of sums
over users, the regression's error included, so that resampling users is cheap.

No interval covers the error of the model's *form*. This error does not shrink as the log grows, so
that DM misses the truth the more surely the larger the log: :data:`NOT_FOR_CLAIMS`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rl_runner.offline.learning.reward_features import weighted_sums
from rl_runner.offline.learning.reward_regression import CellSums, RewardModel
from rl_runner.offline.logs.interactions import Interactions

ESTIMATORS = ("IPS", "SNIPS", "DM", "DR", "SWITCH-DR")
NOT_FOR_CLAIMS = ("DM",)  # they trust the form of the reward model
FOLDS = 3
RIDGE = 1.0
MODEL_ERROR = 0.1  # SWITCH-DR's bound on its model's error, in standard deviations of rewards
_QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99)  # of the positive weights, as candidates for τ


@dataclass(frozen=True)
class CrossFit:
    """Reward models, none of which has seen the users that it predicts for."""

    models: tuple[RewardModel, ...]
    fold: np.ndarray  # (n,) which model predicts each interaction

    @classmethod
    def of(cls, log: Interactions, seed: int = 0, folds: int = FOLDS) -> "CrossFit":
        """Split the users at random into parts, and fit one model per part on the other parts."""
        users = np.random.default_rng(seed).integers(folds, size=int(log.user.max()) + 1)
        fold = users[log.user]
        sums = [
            CellSums.of(log.state[fold == k], log.action[fold == k], log.reward[fold == k])
            for k in range(folds)
        ]
        whole = sum(sums, CellSums.empty())
        return cls(tuple(RewardModel.fitted(whole - part, RIDGE) for part in sums), fold)

    def predict(self, log: Interactions, policy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (n,) v̂ of the interactions' states under a policy, and (n,) q̂ of their actions.

        :param policy: (n_states, n_actions) P(a | s)
        """
        # Predict for the states that occur, each of which has a row.
        present = np.unique(log.state)
        row = np.zeros(len(policy), dtype=np.int64)
        row[present] = np.arange(len(present))
        values, chosen = np.empty(len(log)), np.empty(len(log))
        # Each model predicts for its own part of the users.
        for k, model in enumerate(self.models):
            predicted = model.of_all_actions(present)
            of_state = (policy[present] * predicted).sum(axis=1)
            here = self.fold == k
            values[here] = of_state[row[log.state[here]]]
            chosen[here] = predicted[row[log.state[here]], log.action[here]]
        return values, chosen


@dataclass(frozen=True)
class Terms:
    """The terms that the estimators sum over n interactions, by estimator.

    ``columns`` hold the numerators; the denominator is Σ w for SNIPS and n for the others.
    """

    weight: np.ndarray  # (n,) w
    columns: dict[str, np.ndarray]
    threshold: float  # τ of SWITCH-DR

    @classmethod
    def of(cls, log: Interactions, policy: np.ndarray, models: CrossFit) -> "Terms":
        """Compute them for a policy, (n_states, n_actions) P(a | s)."""
        # Importance weights, and the errors of the cross-fitted model.
        weight = policy[log.state, log.action] / log.pscore
        value, predicted = models.predict(log, policy)
        residual = log.reward - predicted
        # SWITCH-DR for each threshold τ: leverages replace the weights above it.
        taus = _candidates(weight)
        left_out = [np.where(weight > tau, weight, 0.0) for tau in taus]
        fits = _leverages(log, [_policy_sums(log, policy), *map(_sums_of(log), left_out)])
        switched = [
            value + (weight - out + fit) * residual
            for out, fit in zip(left_out, fits[1:], strict=True)
        ]
        error_bound = MODEL_ERROR * float(np.std(log.reward))
        best = _least_error(switched, [error_bound * float(out.mean()) for out in left_out])
        ips = weight * log.reward
        columns = {
            "IPS": ips,
            "SNIPS": ips,
            "DM": value + fits[0] * residual,
            "DR": value + weight * residual,
            "SWITCH-DR": switched[best],
        }
        return cls(weight, columns, taus[best])

    def estimates(self) -> dict[str, float]:
        """Return the five estimates; SNIPS is NaN where no weight is above 0."""
        n, total = len(self.weight), float(self.weight.sum())
        values = {name: float(column.sum()) / n for name, column in self.columns.items()}
        values["SNIPS"] = float(self.columns["SNIPS"].sum()) / total if total else float("nan")
        return values


def effective_size(weight: np.ndarray) -> float:
    """Return Kish's effective sample size, (Σ w)² / Σ w²; 0 where no weight is above 0."""
    squares = float((weight**2).sum())
    return float(weight.sum()) ** 2 / squares if squares else 0.0


def _candidates(weight: np.ndarray) -> list[float]:
    """Return thresholds for SWITCH-DR; the last, ∞, is DR."""
    positive = weight[weight > 0]
    some = np.unique(np.quantile(positive, _QUANTILES)) if len(positive) else np.zeros(0)
    return [*map(float, some), np.inf]


def _least_error(columns: list[np.ndarray], bias: list[float]) -> int:
    """Return which candidate has the least squared error, variance plus squared bias.

    The bias is bounded, not estimated: an estimate depends on the same random sample, and a
    threshold that was chosen by chance makes intervals too narrow. The larger the log, the fewer
    weights are left out.
    """
    n = len(columns[0])
    errors = [
        float(np.var(column)) / n + bound**2 for column, bound in zip(columns, bias, strict=True)
    ]
    return int(np.argmin(errors))


def _policy_sums(log: Interactions, policy: np.ndarray) -> np.ndarray:
    """Return Σ_j Σ_a π(a | s_j) (1, traits) over the log's states, by cell."""
    present, counts = np.unique(log.state, return_counts=True)
    n_actions = policy.shape[1]
    state = np.repeat(present, n_actions)
    action = np.tile(np.arange(n_actions), len(present))
    return weighted_sums(state, action, (counts[:, None] * policy[present]).ravel())


def _sums_of(log: Interactions) -> Callable[[np.ndarray], np.ndarray]:
    return lambda weight: weighted_sums(log.state, log.action, weight)


def _leverages(log: Interactions, sums: list[np.ndarray]) -> list[np.ndarray]:
    """Return, for each sum Σ c φ, (n,) by how much each interaction's reward moves its estimate."""
    whole = CellSums.of(log.state, log.action, log.reward)
    tables = whole.solved(sums, RIDGE)
    return [RewardModel(table).of_actions(log.state, log.action) for table in tables]
