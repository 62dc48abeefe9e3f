"""The verdict on a policy by a log: estimates with intervals, or a refusal with its reason."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from rl_runner.envs.recommender.policies import rule_based_policy, with_exploration
from rl_runner.envs.recommender.rewards import OUTCOMES
from rl_runner.offline.judging.estimators import (
    ESTIMATORS,
    NOT_FOR_CLAIMS,
    CrossFit,
    Terms,
    effective_size,
)
from rl_runner.offline.judging.sessions import SessionJudgement, judge_sessions
from rl_runner.offline.judging.user_bootstrap import (
    Interval,
    interval,
    resampled_totals,
    sums_by_user,
)
from rl_runner.offline.logs.interactions import Interactions

ENOUGH = 100.0  # effective interactions below which no number is given
ENOUGH_USERS = 30.0  # effective users: of fewer, intervals by resampling users are too narrow
ODD_WEIGHTS = 0.1  # a mean weight further from 1, and surely so, means that the propensities lie
EXPECTED = 5.0  # events, fewer of which may be missing by chance

Totals = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Estimate:
    """One estimate of the mean reward of a recommendation, and differences on the same users."""

    value: float
    ci95: Interval
    versus_logging: float
    versus_logging_ci95: Interval
    versus_rule_based: float | None  # None: the log cannot speak about the rule-based policy
    versus_rule_based_ci95: Interval | None
    for_claims: bool = True  # False: it trusts a model's form, and no interval holds that error


@dataclass(frozen=True)
class Rate:
    """How often something happened in the log, and would under the policy (by SNIPS)."""

    logged: float
    policy: float | None
    policy_ci95: Interval | None


@dataclass(frozen=True)
class Support:
    """Whether the log can speak about the policy at all."""

    effective_sample: float  # (Σ w)² / Σ w²
    effective_users: float  # the same with each user's sum of w
    matching: int  # interactions with a weight above 0
    largest_weight: float
    mean_weight: float  # 1 if the propensities are right and every action had a chance
    mean_weight_ci95: Interval
    unsupported: float  # the share of the policy's actions that the log could not have taken
    smallest_pscore: float = 1.0


@dataclass(frozen=True)
class Judgement:
    """What a log says about a policy."""

    interactions: int
    users: int
    logged_reward: float
    logged_reward_ci95: Interval
    support: Support
    refusal: str | None  # why there are no estimates
    needed: int | None  # interactions, logged like these, that would do
    estimates: dict[str, Estimate] = field(default_factory=dict)
    rates: dict[str, Rate] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    switch_threshold: float | None = None
    sessions: SessionJudgement | None = None  # what whole sessions would earn, by a model
    weight_histogram: tuple[tuple[int, ...], tuple[float, ...]] = (
        (),
        (),
    )  # counts, edges of their bins

    @property
    def headline(self) -> Estimate | None:
        """The doubly robust estimate; None if it was refused."""
        return self.estimates.get("DR")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


def judge(
    log: Interactions,
    policy: np.ndarray,
    *,
    seed: int = 0,
    enough: float = ENOUGH,
    enough_users: float = ENOUGH_USERS,
) -> Judgement:
    """Judge a policy by interactions that it has not learned from.

    :param policy: (262500, 27) P(a | s)
    :param enough: the effective sample below which no number is given
    :param enough_users: likewise, the effective users
    """
    models = CrossFit.of(log, seed)
    target = Terms.of(log, policy, models)
    rule_table = with_exploration(rule_based_policy(), 0.0)
    rule = Terms.of(log, rule_table, models)
    columns = {"r": log.reward, "w": target.weight, "rule:w": rule.weight}
    columns |= target.columns | {f"rule:{name}": c for name, c in rule.columns.items()}
    happened = dict(zip(OUTCOMES, log.outcomes.T, strict=True))
    happened["completion_rate"] = log.completion_rate
    columns |= {f"w:{name}": target.weight * column for name, column in happened.items()}
    by_user = sums_by_user(log.user, columns)
    totals = resampled_totals(by_user, seed)
    actual = {name: np.array([column.sum()]) for name, column in by_user.items()}

    support = _support(log, policy, target.weight, ("w", by_user, totals))
    refusal, needed = _refusal(support, len(log), enough, enough_users)
    sure = refusal is None
    of_rule = _support(log, rule_table, rule.weight, ("rule:w", by_user, totals))
    no_rule, _ = _refusal(of_rule, len(log), enough, enough_users, "the rule-based policy")
    return Judgement(
        interactions=len(log),
        users=len(by_user["n"]),
        logged_reward=float(log.reward.mean()),
        logged_reward_ci95=interval(totals, lambda t: t["r"] / t["n"]),
        support=support,
        refusal=refusal,
        needed=needed,
        estimates=_estimates(log, target, None if no_rule else rule, totals) if sure else {},
        rates={
            name: _rate(name, column, actual, totals, sure=sure)
            for name, column in happened.items()
        },
        warnings=_warnings(support, no_rule) if sure else (),
        switch_threshold=target.threshold if math.isfinite(target.threshold) else None,
        sessions=judge_sessions(log, policy, rule_table, seed) if sure else None,
        weight_histogram=_histogram(target.weight),
    )


def _histogram(weight: np.ndarray) -> tuple[tuple[int, ...], tuple[float, ...]]:
    counts, edges = np.histogram(weight, bins=40)
    return tuple(map(int, counts)), tuple(map(float, edges))


def _of(name: str, prefix: str = "") -> Callable[[Totals], np.ndarray]:
    """Return the estimator as a function of totals."""
    if name == "SNIPS":
        return lambda t: t[f"{prefix}IPS"] / t[f"{prefix}w"]
    return lambda t: t[f"{prefix}{name}"] / t["n"]


def _estimates(
    log: Interactions, target: Terms, rule: Terms | None, totals: Totals
) -> dict[str, Estimate]:
    """Return every estimate, its differences, and their intervals on the same resampled users.

    :param rule: None if the log cannot speak about the rule-based policy
    """
    logged = float(log.reward.mean())
    of_target = target.estimates()
    of_rule = {} if rule is None else rule.estimates()

    def estimate(name: str) -> Estimate:
        own, other, value = _of(name), _of(name, "rule:"), of_target[name]
        return Estimate(
            value=value,
            ci95=interval(totals, own),
            versus_logging=value - logged,
            versus_logging_ci95=interval(totals, lambda t: own(t) - t["r"] / t["n"]),
            versus_rule_based=value - of_rule[name] if of_rule else None,
            versus_rule_based_ci95=interval(totals, lambda t: own(t) - other(t))
            if of_rule
            else None,
            for_claims=name not in NOT_FOR_CLAIMS,
        )

    return {name: estimate(name) for name in ESTIMATORS}


def _rate(name: str, column: np.ndarray, actual: Totals, totals: Totals, *, sure: bool) -> Rate:
    def under_policy(t: Totals) -> np.ndarray:
        return t[f"w:{name}"] / t["w"]

    logged = float(column.mean())
    if not sure:
        return Rate(logged, None, None)
    around = interval(totals, under_policy)
    return Rate(logged, float(under_policy(actual)[0]), around)


def _support(
    log: Interactions,
    policy: np.ndarray,
    weight: np.ndarray,
    sums: tuple[str, Totals, Totals],
) -> Support:
    """Return how well the log covers a policy.

    :param weight: (n,) of its interactions
    :param sums: what their sum is called; sums by user, and resampled
    """
    name, by_user, totals = sums
    # Where one action was certain, no other had a chance.
    certain = log.pscore >= 1.0
    elsewhere = 1.0 - policy[log.state[certain], log.action[certain]]
    return Support(
        effective_sample=effective_size(weight),
        effective_users=effective_size(by_user[name]),
        matching=int((weight > 0).sum()),
        largest_weight=float(weight.max()),
        mean_weight=float(weight.mean()),
        mean_weight_ci95=interval(totals, lambda t: t[name] / t["n"]),
        unsupported=float(elsewhere.sum() / len(log)),
        smallest_pscore=float(log.pscore.min()),
    )


def _refusal(
    support: Support, n: int, enough: float, enough_users: float, whom: str = "this policy"
) -> tuple[str | None, int | None]:
    """Say why no number can be given, and how much data like this would do."""
    low, high = support.mean_weight_ci95
    if support.unsupported > ODD_WEIGHTS:
        why = f"{support.unsupported:.0%} of what {whom} does had no chance in the log "
        return why + "(pscore 1). No amount of such data would do: keep an exploration slice.", None
    is_odd = abs(support.mean_weight - 1) > ODD_WEIGHTS and not low <= 1 <= high
    if is_odd and (rare := _rare(support, n, enough)):
        why = f"The mean weight is {support.mean_weight:.2f} ({low:.2f} to {high:.2f}), not 1: "
        why += f"much of what {whom} does is rare in the log (pscore down to "
        why += f"{support.smallest_pscore:.2g}) and has not come up yet. About {rare:,} logged "
        return why + "like these would do; more exploration, fewer.", rare
    if is_odd and (support.mean_weight < 1 or support.effective_sample >= enough):
        why = f"The mean weight is {support.mean_weight:.2f} ({low:.2f} to {high:.2f}), not 1: the "
        why += f"propensities are wrong, or actions of {whom} had no chance. No amount of such "
        return why + "data would do: log `pscore` when the action is drawn.", None
    told = f"{n:,} interactions amount to {support.effective_sample:.1f} effective ones for "
    told += f"{whom}; {enough:.0f} are needed."
    if support.effective_sample == 0:
        return told + f" The log never does what {whom} would.", None
    of_sample = enough / support.effective_sample
    of_users = enough_users / support.effective_users
    if max(of_sample, of_users) <= 1:
        return None, None
    if of_sample <= 1:
        told = f"{n:,} interactions are those of {support.effective_users:.1f} effective users for "
        told += f"{whom}; {enough_users:.0f} are needed for intervals."
    needed = _rounded_up(n * max(of_sample, of_users))
    people = " of more users" if of_sample <= 1 else ""
    told += f" About {needed:,} logged like these{people} would do; more exploration, fewer."
    return told, needed


def _rare(support: Support, n: int, enough: float) -> int | None:
    """Return how much data would do if only large weights are missing; None if that cannot be.

    The weights lack some of their mean, 1. If all that lacks were events of the smallest propensity
    seen, weights of 1 / pscore: were fewer than five to be expected, their absence is no surprise.
    """
    lacking, largest = 1.0 - support.mean_weight, 1.0 / support.smallest_pscore
    if not 0 < n * lacking / largest < EXPECTED:
        return None
    sample = support.effective_sample
    squares = n * support.mean_weight**2 / sample if sample else 0.0  # the mean of w²
    return _rounded_up(enough * (squares + lacking * largest))


def _rounded_up(amount: float) -> int:
    step: int = 10 ** max(0, len(str(math.ceil(amount))) - 2)
    return math.ceil(amount / step) * step


def _warnings(support: Support, no_rule: str | None) -> tuple[str, ...]:
    told = []
    low, high = support.mean_weight_ci95
    if not low <= 1 <= high:
        told.append(f"the mean weight's interval, {low:.3f} to {high:.3f}, does not hold 1")
    if no_rule is not None:
        told.append(f"no comparison with the rule-based policy: {no_rule.rstrip('.')}")
    return tuple(told)
