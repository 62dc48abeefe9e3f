"""The verdict on a policy by a log: estimates with intervals, or a refusal with its reason."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from rl_runner.envs.recommender.policies import rule_based_policy, with_exploration
from rl_runner.envs.recommender.rewards import OUTCOMES
from rl_runner.offline.bootstrap import Interval, interval, resampled_totals, sums_by_user
from rl_runner.offline.estimators import ESTIMATORS, CrossFit, Terms, effective_size
from rl_runner.offline.interactions import Interactions
from rl_runner.offline.sessions import SessionJudgement, judge_sessions

ENOUGH = 100.0  # effective interactions below which no number is given
ENOUGH_USERS = 30.0  # effective users: of fewer, intervals by resampling users are too narrow
ODD_WEIGHTS = 0.1  # a mean weight further from 1, and surely so, means that the propensities lie

Totals = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Estimate:
    """One estimate of the mean reward of a recommendation, and differences on the same users."""

    value: float
    ci95: Interval
    versus_logging: float
    versus_logging_ci95: Interval
    versus_rule_based: float
    versus_rule_based_ci95: Interval


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
    columns |= target.influence | {f"rule:{name}": c for name, c in rule.influence.items()}
    happened = dict(zip(OUTCOMES, log.outcomes.T, strict=True))
    happened["completion_rate"] = log.completion_rate
    columns |= {f"w:{name}": target.weight * column for name, column in happened.items()}
    by_user = sums_by_user(log.user, columns)
    totals = resampled_totals(by_user, seed)
    actual = {name: np.array([column.sum()]) for name, column in by_user.items()}

    support = _support(log, policy, target, by_user["w"], actual, totals)
    refusal, needed = _refusal(support, len(log), enough, enough_users)
    sure = refusal is None
    return Judgement(
        interactions=len(log),
        users=len(by_user["n"]),
        logged_reward=float(log.reward.mean()),
        logged_reward_ci95=interval(actual, totals, lambda t: t["r"] / t["n"]),
        support=support,
        refusal=refusal,
        needed=needed,
        estimates=_estimates(log, target, rule, actual, totals) if sure else {},
        rates={
            name: _rate(name, column, actual, totals, sure=sure)
            for name, column in happened.items()
        },
        warnings=_warnings(support, rule, enough) if sure else (),
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
    log: Interactions, target: Terms, rule: Terms, actual: Totals, totals: Totals
) -> dict[str, Estimate]:
    """Return every estimate, its differences, and their intervals on the same resampled users."""
    logged = float(log.reward.mean())
    of_target, of_rule = target.estimates(), rule.estimates()

    def estimate(name: str) -> Estimate:
        own, other = _of(name), _of(name, "rule:")
        value, beyond_rule = of_target[name], of_target[name] - of_rule[name]
        return Estimate(
            value=value,
            ci95=interval(actual, totals, own, value),
            versus_logging=value - logged,
            versus_logging_ci95=interval(
                actual, totals, lambda t: own(t) - t["r"] / t["n"], value - logged
            ),
            versus_rule_based=beyond_rule,
            versus_rule_based_ci95=interval(
                actual, totals, lambda t: own(t) - other(t), beyond_rule
            ),
        )

    return {name: estimate(name) for name in ESTIMATORS}


def _rate(name: str, column: np.ndarray, actual: Totals, totals: Totals, *, sure: bool) -> Rate:
    def under_policy(t: Totals) -> np.ndarray:
        return t[f"w:{name}"] / t["w"]

    logged = float(column.mean())
    if not sure:
        return Rate(logged, None, None)
    around = interval(actual, totals, under_policy)
    return Rate(logged, float(under_policy(actual)[0]), around)


def _support(
    log: Interactions,
    policy: np.ndarray,
    target: Terms,
    weight_of_user: np.ndarray,
    actual: Totals,
    totals: Totals,
) -> Support:
    # Where one action was certain, no other had a chance.
    certain = log.pscore >= 1.0
    elsewhere = 1.0 - policy[log.state[certain], log.action[certain]]
    return Support(
        effective_sample=effective_size(target.weight),
        effective_users=effective_size(weight_of_user),
        matching=int((target.weight > 0).sum()),
        largest_weight=float(target.weight.max()),
        mean_weight=float(target.weight.mean()),
        mean_weight_ci95=interval(actual, totals, lambda t: t["w"] / t["n"]),
        unsupported=float(elsewhere.sum() / len(log)),
    )


def _refusal(
    support: Support, n: int, enough: float, enough_users: float
) -> tuple[str | None, int | None]:
    """Say why no number can be given, and how much data like this would do."""
    low, high = support.mean_weight_ci95
    if support.unsupported > ODD_WEIGHTS:
        why = f"{support.unsupported:.0%} of what the policy does had no chance in the log "
        return why + "(pscore 1). No amount of such data would do: keep an exploration slice.", None
    if abs(support.mean_weight - 1) > ODD_WEIGHTS and not low <= 1 <= high:
        why = f"The mean weight is {support.mean_weight:.2f} ({low:.2f} to {high:.2f}), not 1: the "
        why += "propensities are wrong, or actions of the policy had no chance. No amount of such "
        return why + "data would do: log `pscore` when the action is drawn.", None
    told = f"{n:,} interactions amount to {support.effective_sample:.1f} effective ones for this "
    told += f"policy; {enough:.0f} are needed."
    if support.effective_sample == 0:
        return told + " The log never does what the policy would.", None
    of_sample = enough / support.effective_sample
    of_users = enough_users / support.effective_users
    if max(of_sample, of_users) <= 1:
        return None, None
    if of_sample <= 1:
        told = f"{n:,} interactions are those of {support.effective_users:.1f} effective users for "
        told += f"this policy; {enough_users:.0f} are needed for intervals."
    needed = math.ceil(n * max(of_sample, of_users))
    digits = max(0, len(str(needed)) - 2)
    needed = math.ceil(needed / 10**digits) * 10**digits
    people = " of more users" if of_sample <= 1 else ""
    told += f" About {needed:,} logged like these{people} would do; more exploration, fewer."
    return told, needed


def _warnings(support: Support, rule: Terms, enough: float) -> tuple[str, ...]:
    told = []
    low, high = support.mean_weight_ci95
    if not low <= 1 <= high:
        told.append(f"the mean weight's interval, {low:.3f} to {high:.3f}, does not hold 1")
    if (of_rule := effective_size(rule.weight)) < enough:
        amount = f"{of_rule:.0f} effective interactions"
        told.append(f"the comparison with the rule-based policy rests on {amount}")
    return tuple(told)
