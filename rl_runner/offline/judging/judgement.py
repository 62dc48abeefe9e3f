"""What a log says about a policy: estimates with intervals, or a refusal with its reason."""

import math
from collections.abc import Callable

import numpy as np

from rl_runner.offline.judging.estimators import ESTIMATORS, NOT_FOR_CLAIMS, CrossFit, Terms
from rl_runner.offline.judging.named_policies import reference_policy
from rl_runner.offline.judging.sessions import judge_sessions
from rl_runner.offline.judging.support import (
    ENOUGH,
    ENOUGH_USERS,
    Totals,
    refusal_of,
    support_of,
)
from rl_runner.offline.judging.user_bootstrap import interval, resampled_totals, sums_by_user
from rl_runner.offline.logs.interactions import Interactions
from rl_runner.offline.logs.log_schema import OUTCOMES
from rl_runner.runs.log_results import Estimate, Judgement, Rate, SessionJudgement, Support


def judge(
    log: Interactions,
    policy: np.ndarray,
    *,
    seed: int = 0,
    enough: float = ENOUGH,
    enough_users: float = ENOUGH_USERS,
    reward_bounds: tuple[float, float] | None = None,
) -> Judgement:
    """Judge a policy by interactions that it has not learned from.

    :param policy: (n_states, n_actions) P(a | s)
    :param enough: the effective sample below which no number is given
    :param enough_users: the effective users below which no number is given
    :param reward_bounds: of one interaction; an estimate outside of them is warned about
    """
    # The terms of the estimators, for the policy and for the rule-based one.
    models = CrossFit.of(log, seed)
    target = Terms.of(log, policy, models)
    rule_table = reference_policy()
    rule = Terms.of(log, rule_table, models)
    # Everything is a ratio of sums over users, so it is enough to resample these sums.
    columns = {"r": log.reward, "w": target.weight, "rule:w": rule.weight}
    columns |= target.columns | {f"rule:{name}": c for name, c in rule.columns.items()}
    occurred = dict(zip(OUTCOMES, log.outcomes.T, strict=True))
    occurred["completion_rate"] = log.completion_rate
    columns |= {f"w:{name}": target.weight * column for name, column in occurred.items()}
    by_user = sums_by_user(log.user, columns)
    totals = resampled_totals(by_user, seed)
    actual = {name: np.array([column.sum()]) for name, column in by_user.items()}

    # Whether the log supports the policy, and the comparison with the rule-based one.
    support = support_of(log, policy, target.weight, ("w", by_user, totals))
    refusal, needed = refusal_of(support, len(log), enough, enough_users)
    is_supported = refusal is None
    of_rule = support_of(log, rule_table, rule.weight, ("rule:w", by_user, totals))
    no_rule, _ = refusal_of(of_rule, len(log), enough, enough_users, "the rule-based policy")
    estimates = _estimates(log, target, None if no_rule else rule, totals) if is_supported else {}
    sessions: SessionJudgement | str | None = None
    if is_supported:
        sessions = judge_sessions(log, policy, rule_table, seed, reward_bounds)
    return Judgement(
        interactions=len(log),
        users=len(by_user["n"]),
        logged_reward=float(log.reward.mean()),
        logged_reward_ci95=interval(totals, lambda t: t["r"] / t["n"]),
        support=support,
        refusal=refusal,
        needed=needed,
        estimates=estimates,
        rates={
            name: _rate(name, column, actual, totals, is_supported=is_supported)
            for name, column in occurred.items()
        },
        warnings=_warnings(support, no_rule, estimates, reward_bounds) if is_supported else (),
        switch_threshold=target.threshold if math.isfinite(target.threshold) else None,
        sessions=sessions if isinstance(sessions, SessionJudgement) else None,
        no_sessions=sessions if isinstance(sessions, str) else None,
        weight_histogram=_histogram(target.weight),
    )


def _histogram(weight: np.ndarray) -> tuple[tuple[int, ...], tuple[float, ...]]:
    counts, edges = np.histogram(weight, bins=40)
    return tuple(map(int, counts)), tuple(map(float, edges))


def _statistic(name: str, prefix: str = "") -> Callable[[Totals], np.ndarray]:
    """Return an estimator as a function of totals."""
    if name == "SNIPS":
        return lambda t: t[f"{prefix}IPS"] / t[f"{prefix}w"]
    return lambda t: t[f"{prefix}{name}"] / t["n"]


def _estimates(
    log: Interactions, target: Terms, rule: Terms | None, totals: Totals
) -> dict[str, Estimate]:
    """Return every estimate, its differences, and their intervals on the same resampled users.

    :param rule: None if the log says nothing about the rule-based policy
    """
    logged = float(log.reward.mean())
    of_target = target.estimates()
    of_rule = {} if rule is None else rule.estimates()

    # Each statistic is a function of totals: the actual ones give the value, resampled ones the
    # interval.
    def estimate(name: str) -> Estimate:
        own, other, value = _statistic(name), _statistic(name, "rule:"), of_target[name]
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


def _rate(
    name: str, column: np.ndarray, actual: Totals, totals: Totals, *, is_supported: bool
) -> Rate:
    def under_policy(t: Totals) -> np.ndarray:
        return t[f"w:{name}"] / t["w"]

    logged = float(column.mean())
    if not is_supported:
        return Rate(logged, None, None)
    around = interval(totals, under_policy)
    return Rate(logged, float(under_policy(actual)[0]), around)


def _warnings(
    support: Support,
    no_rule: str | None,
    estimates: dict[str, Estimate],
    reward_bounds: tuple[float, float] | None,
) -> tuple[str, ...]:
    warnings = []
    low, high = support.mean_weight_ci95
    if not low <= 1 <= high:
        warnings.append(f"the mean weight's interval, {low:.3f} to {high:.3f}, does not contain 1")
    if no_rule is not None:
        warnings.append(f"no comparison with the rule-based policy: {no_rule.rstrip('.')}")
    if reward_bounds is not None:
        low, high = reward_bounds
        outside = [name for name, e in estimates.items() if not low <= e.value <= high]
        if outside:
            warnings.append(
                f"{', '.join(outside)}: outside what a reward can be, {low:.3g} to {high:.3g}"
            )
    return tuple(warnings)
