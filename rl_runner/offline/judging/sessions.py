"""What a policy would earn over whole sessions, by least squares (LSTD-Q, Lagoudakis & Parr 2003).

The estimators of :mod:`.estimators` are about one recommendation. A policy that
gives something up now for a better mood later is underrated by them. Here Q^π is linear in the 207
features φ of :mod:`rl_runner.offline.learning.reward_regression`. With γ = 1, since sessions end,
it solves

    Σ φ(s, a) [r + Σ_a' π(a' | s') φ(s', a') · θ − φ(s, a) · θ] = 0

over the log's transitions; the value is the mean of Q^π over how sessions begin. For the logging
policy the next action is the one in the log. Weights of whole sessions, the alternative without a
model, are hopeless with 27 actions; the price is that the form of Q^π is trusted.

Intervals come from the estimate's influence function, (value of the start) + φᵀ A⁻ᵀ f₀ · TD error,
summed by user.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from rl_runner.offline.judging.user_bootstrap import (
    Interval,
    interval,
    resampled_totals,
    sums_by_user,
)
from rl_runner.offline.learning.reward_regression import N_FEATURES, features, policy_features
from rl_runner.offline.logs.interactions import Interactions

ENOUGH_SESSIONS = 300
AT_MOST = 300_000  # interactions; of a larger log, as many users as that takes
RIDGE = 1.0
_AT_ONCE = 20_000

Rows = np.ndarray
FeaturesAt = Callable[[Rows], np.ndarray]  # (k,) rows of the log → (k, 207)


@dataclass(frozen=True)
class SessionJudgement:
    """Estimated rewards of a whole session, and differences on the same users."""

    sessions: int
    value: float
    ci95: Interval
    logging: float
    logging_ci95: Interval
    versus_logging: float
    versus_logging_ci95: Interval
    versus_rule_based: float
    versus_rule_based_ci95: Interval


def judge_sessions(
    log: Interactions, policy: np.ndarray, rule: np.ndarray, seed: int
) -> SessionJudgement | None:
    """Estimate a policy's reward of a session; None if fewer than 300 sessions begin in the log.

    :param policy: (262500, 27) P(a | s)
    :param rule: likewise, of the rule-based policy
    """
    log = _some_users(log, seed)
    starts = log.step == 0
    if starts.sum() < ENOUGH_SESSIONS:
        return None
    links = _Links.of(log)
    columns = {
        "policy": _influence(log, links, lambda rows: policy_features(log.state[rows], policy)),
        "rule": _influence(log, links, lambda rows: policy_features(log.state[rows], rule)),
        "logging": _influence(log, links, lambda rows: features(log.state[rows], log.action[rows])),
    }
    by_user = sums_by_user(log.user, {"starts": starts.astype(float), **columns})
    totals = resampled_totals(by_user, seed)
    actual = {name: np.array([column.sum()]) for name, column in by_user.items()}

    def told(plus: str, minus: str = "") -> tuple[float, Interval]:
        def mean(t: Mapping[str, np.ndarray]) -> np.ndarray:
            total = t[plus] - t[minus] if minus else t[plus]
            each: np.ndarray = total / t["starts"]
            return each

        return float(mean(actual)[0]), interval(totals, mean)

    return SessionJudgement(
        int(starts.sum()),
        *told("policy"),
        *told("logging"),
        *told("policy", "logging"),
        *told("policy", "rule"),
    )


@dataclass(frozen=True)
class _Links:
    """The log's complete transitions."""

    rows: np.ndarray  # (k,) those whose end or successor is known
    successor: np.ndarray  # (n,) the session's next row, −1 at its end

    @classmethod
    def of(cls, log: Interactions) -> "_Links":
        before = log.predecessors()
        successor = np.full(len(log), -1)
        linked = before >= 0
        successor[before[linked]] = np.flatnonzero(linked)
        return cls(np.flatnonzero(log.terminal | (successor >= 0)), successor)

    def chunks(self, log: Interactions, at: FeaturesAt) -> Iterator[tuple[Rows, ...]]:
        """Yield rows, (k, 207) their features and (k, 207) those of what comes after."""
        for first in range(0, len(self.rows), _AT_ONCE):
            rows = self.rows[first : first + _AT_ONCE]
            now, after = (
                features(log.state[rows], log.action[rows]),
                np.zeros((len(rows), N_FEATURES)),
            )
            goes_on = self.successor[rows] >= 0
            after[goes_on] = at(self.successor[rows[goes_on]])
            yield rows, now, after


def _influence(log: Interactions, links: _Links, at: FeaturesAt) -> np.ndarray:
    """Return (n,) what each interaction adds to the sum of the starts' values."""
    matrix = RIDGE * np.eye(N_FEATURES)
    right = np.zeros(N_FEATURES)
    for rows, now, after in links.chunks(log, at):
        matrix += now.T @ (now - after)
        right += log.reward[rows] @ now
    theta = np.linalg.solve(matrix, right)
    starts = np.flatnonzero(log.step == 0)
    influence, begun = np.zeros(len(log)), np.zeros(N_FEATURES)
    for first in range(0, len(starts), _AT_ONCE):
        rows = starts[first : first + _AT_ONCE]
        here = at(rows)
        influence[rows] += here @ theta
        begun += here.sum(axis=0)
    adjoint = np.linalg.solve(matrix.T, begun)
    for rows, now, after in links.chunks(log, at):
        influence[rows] += (now @ adjoint) * (log.reward[rows] + (after - now) @ theta)
    return influence


def _some_users(log: Interactions, seed: int) -> Interactions:
    """Return the log, or as many whole users of it as stay below the limit on average."""
    if len(log) <= AT_MOST:
        return log
    chosen = np.random.default_rng(seed).random(int(log.user.max()) + 1) < AT_MOST / len(log)
    return log.take(chosen[log.user])
