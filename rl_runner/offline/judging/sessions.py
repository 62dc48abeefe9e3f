"""The reward of whole sessions under a policy, by least squares (LSTD-Q, Lagoudakis & Parr 2003).

The estimators of :mod:`.estimators` are about one recommendation. A policy that
gives something up now for a better mood later is underrated by them. Here Q^π is linear in the 207
features φ of :mod:`rl_runner.offline.learning.reward_features`. With γ = 1, since sessions end,
it solves

    Σ φ(s, a) [r + Σ_a' π(a' | s') φ(s', a') · θ − φ(s, a) · θ] = 0

over the log's transitions. The value is the mean of Q^π over the first states of sessions. For the
logging policy the next action is the one in the log. The alternative without a model, weights of
whole sessions, is hopeless with 27 actions. The price is that the form of Q^π is trusted.

Intervals come from the estimate's influence function, (value of the start) + φᵀ A⁻ᵀ f₀ · TD error,
summed by user.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from rl_runner.offline.judging.user_bootstrap import interval, resampled_totals, sums_by_user
from rl_runner.offline.learning.reward_features import N_FEATURES, features, policy_features
from rl_runner.offline.logs.interactions import Interactions
from rl_runner.runs.log_results import Interval, SessionJudgement

ENOUGH_SESSIONS = 300
LEAST_ENDED = 0.8  # the share of sessions that must end in the log
MOST_INTERACTIONS = 300_000  # of a larger log, only some of the users are used
RIDGE = 1.0
_ROWS_AT_ONCE = 20_000

_TITLES = {"policy": "judged", "rule": "rule-based", "logging": "logging"}

Rows = np.ndarray
FeaturesAt = Callable[[Rows], np.ndarray]  # (k,) rows of the log → (k, 207)


def judge_sessions(
    log: Interactions,
    policy: np.ndarray,
    rule: np.ndarray,
    seed: int,
    reward_bounds: tuple[float, float] | None = None,
) -> SessionJudgement | str:
    """Estimate a policy's reward of a whole session, or return why the log does not allow it.

    :param policy: (n_states, n_actions) P(a | s)
    :param rule: the same for the rule-based policy
    :param reward_bounds: of one interaction; default: those of the log
    """
    # With γ = 1 the sum of rewards only exists if sessions end, and the log must show it.
    log = _some_users(log, seed)
    starts = log.step == 0
    if refusal := _why_not(log, starts):
        return refusal
    # The influence of each interaction on the value of each policy, summed by user.
    links = _Links.of(log)
    columns = {
        "policy": _influence(log, links, lambda rows: policy_features(log.state[rows], policy)),
        "rule": _influence(log, links, lambda rows: policy_features(log.state[rows], rule)),
        "logging": _influence(log, links, lambda rows: features(log.state[rows], log.action[rows])),
    }
    by_user = sums_by_user(log.user, {"starts": starts.astype(float), **columns})
    totals = resampled_totals(by_user, seed)
    actual = {name: np.array([column.sum()]) for name, column in by_user.items()}

    def estimate(plus: str, minus: str = "") -> tuple[float, Interval]:
        def mean(t: Mapping[str, np.ndarray]) -> np.ndarray:
            total = t[plus] - t[minus] if minus else t[plus]
            per_session: np.ndarray = total / t["starts"]
            return per_session

        return float(mean(actual)[0]), interval(totals, mean)

    # No session earns more than the longest one could.
    low, high = reward_bounds or (float(log.reward.min()), float(log.reward.max()))
    longest = int(log.step.max()) + 1
    for name in columns:
        value, around = estimate(name)
        if (
            not min(0, low) * longest
            <= min(value, *around)
            <= max(value, *around)
            <= max(0, high) * longest
        ):
            return (
                f"the estimate for the {_TITLES[name]} policy, {value:,.1f} ({around[0]:,.1f} to "
                f"{around[1]:,.1f}), is outside what {longest} rewards of the longest session can "
                "sum to"
            )
    return SessionJudgement(
        int(starts.sum()),
        *estimate("policy"),
        *estimate("logging"),
        *estimate("policy", "logging"),
        *estimate("policy", "rule"),
    )


def _why_not(log: Interactions, starts: np.ndarray) -> str | None:
    """Return why a log says nothing about whole sessions; None if it does.

    :param starts: (n,) whether a session begins
    """
    begun = int(starts.sum())
    if begun < ENOUGH_SESSIONS:
        return f"{begun:,} sessions begin in the log (`step` 0); {ENOUGH_SESSIONS} are needed"
    ended = int(np.isin(log.session[starts], log.session[log.terminal]).sum())
    if ended < LEAST_ENDED * begun:
        return (
            f"only {ended:,} of {begun:,} sessions end in the log (`terminal`), so that what a "
            "whole session earns is not known"
        )
    return None


@dataclass(frozen=True)
class _Links:
    """The log's complete transitions."""

    rows: np.ndarray  # (k,) rows that are terminal or have a successor
    successor: np.ndarray  # (n,) the session's next row, −1 at its end

    @classmethod
    def of(cls, log: Interactions) -> "_Links":
        before = log.predecessors()
        successor = np.full(len(log), -1)
        linked = before >= 0
        successor[before[linked]] = np.flatnonzero(linked)
        return cls(np.flatnonzero(log.terminal | (successor >= 0)), successor)

    def chunks(self, log: Interactions, at: FeaturesAt) -> Iterator[tuple[Rows, ...]]:
        """Yield rows, (k, 207) their features, and (k, 207) the features of their successors."""
        for first in range(0, len(self.rows), _ROWS_AT_ONCE):
            rows = self.rows[first : first + _ROWS_AT_ONCE]
            now = features(log.state[rows], log.action[rows])
            after = np.zeros((len(rows), N_FEATURES))  # 0 at the end of a session
            continues = self.successor[rows] >= 0
            after[continues] = at(self.successor[rows[continues]])
            yield rows, now, after


def _influence(log: Interactions, links: _Links, at: FeaturesAt) -> np.ndarray:
    """Return (n,) what each interaction contributes to the sum of the first states' values."""
    # Solve for θ.
    matrix = RIDGE * np.eye(N_FEATURES)
    right = np.zeros(N_FEATURES)
    for rows, now, after in links.chunks(log, at):
        matrix += now.T @ (now - after)
        right += log.reward[rows] @ now
    theta = np.linalg.solve(matrix, right)
    # The values of first states, and the sum f₀ of their features.
    starts = np.flatnonzero(log.step == 0)
    influence, start_features = np.zeros(len(log)), np.zeros(N_FEATURES)
    for first in range(0, len(starts), _ROWS_AT_ONCE):
        rows = starts[first : first + _ROWS_AT_ONCE]
        here = at(rows)
        influence[rows] += here @ theta
        start_features += here.sum(axis=0)
    # The error of θ: each transition's TD error, by how much it moves the sum.
    adjoint = np.linalg.solve(matrix.T, start_features)
    for rows, now, after in links.chunks(log, at):
        influence[rows] += (now @ adjoint) * (log.reward[rows] + (after - now) @ theta)
    return influence


def _some_users(log: Interactions, seed: int) -> Interactions:
    """Return the log, or a random part of its users with about as many interactions as allowed."""
    if len(log) <= MOST_INTERACTIONS:
        return log
    chosen = np.random.default_rng(seed).random(int(log.user.max()) + 1) < MOST_INTERACTIONS / len(
        log
    )
    return log.take(chosen[log.user])
