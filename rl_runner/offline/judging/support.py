"""Whether a log can say anything about a policy, and if not, why and how much data would."""

import math
from collections.abc import Mapping

import numpy as np

from rl_runner.offline.judging.estimators import effective_size
from rl_runner.offline.judging.user_bootstrap import interval
from rl_runner.offline.logs.interactions import Interactions
from rl_runner.runs.log_results import Support

ENOUGH = 100.0  # effective interactions below which no number is given
ENOUGH_USERS = 30.0  # effective users: with fewer, intervals by resampling users are too narrow
ODD_WEIGHTS = 0.1  # a mean weight that is clearly further from 1 hints at wrong propensities
SURE = 0.999  # the level of the interval that decides so: a log must not be refused by chance
MISSING_BY_CHANCE = 5.0  # fewer expected events than this may be missing by chance

Totals = Mapping[str, np.ndarray]


def support_of(
    log: Interactions,
    policy: np.ndarray,
    weight: np.ndarray,
    sums: tuple[str, Totals, Totals],
) -> Support:
    """Return how well the log covers a policy.

    :param weight: (n,) of its interactions
    :param sums: the name of their sum; the sums by user; the resampled totals
    """
    name, by_user, totals = sums
    # Where one action was certain, all others had the probability 0.
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
        mean_weight_ci999=interval(totals, lambda t: t[name] / t["n"], SURE),
    )


def refusal_of(
    support: Support,
    n: int,
    enough: float = ENOUGH,
    enough_users: float = ENOUGH_USERS,
    subject: str = "this policy",
) -> tuple[str | None, int | None]:
    """Return why a log allows no estimate, and how many interactions like these would.

    :param n: interactions in the log
    :param enough: the effective sample below which no number is given
    :param enough_users: the same for effective users
    :param subject: the policy, as the reason calls it
    :return: both None if there is no reason; the number None if no amount would be enough
    """
    # Actions that the logging policy never takes: more data of the same kind does not help.
    low, high = support.mean_weight_ci999
    if support.unsupported > ODD_WEIGHTS:
        why = f"{support.unsupported:.0%} of the actions of {subject} had no chance in the log "
        why += "(pscore 1). No amount of such data would be enough: keep an exploration slice."
        return why, None
    # The mean weight is clearly not 1, because rare actions have not occurred yet …
    is_odd = abs(support.mean_weight - 1) > ODD_WEIGHTS and not low <= 1 <= high
    mean = f"The mean weight is {support.mean_weight:.2f} ({low:.2f} to {high:.2f}), not 1: "
    if is_odd and (rare := _needed_for_rare_actions(support, n, enough)):
        why = mean + f"much of what {subject} does is rare in the log (pscore down to "
        why += f"{support.smallest_pscore:.2g}) and has not occurred yet. About {rare:,} "
        return (
            why + "interactions logged like these would be enough; more exploration, fewer.",
            rare,
        )
    # … or because the logged propensities are wrong.
    if is_odd and (support.mean_weight < 1 or support.effective_sample >= enough):
        why = (
            mean + f"most likely the propensities are wrong or actions of {subject} had no chance. "
        )
        return why + "More of such data would not help: log `pscore` when it is drawn.", None
    # Too small an effective sample, or too few effective users for intervals.
    why = f"{n:,} interactions amount to {support.effective_sample:.1f} effective ones for "
    why += f"{subject}; {enough:.0f} are needed."
    if support.effective_sample == 0:
        return why + f" The log never does what {subject} would do.", None
    of_sample = enough / support.effective_sample
    of_users = enough_users / support.effective_users
    if max(of_sample, of_users) <= 1:
        return None, None
    if of_sample <= 1:
        why = f"{n:,} interactions amount to {support.effective_users:.1f} effective users for "
        why += f"{subject}; {enough_users:.0f} are needed for intervals."
    needed = _rounded_up(n * max(of_sample, of_users))
    people = " of more users" if of_sample <= 1 else ""
    why += f" About {needed:,} interactions logged like these{people} would be enough; "
    return why + "more exploration, fewer.", needed


def _needed_for_rare_actions(support: Support, n: int, enough: float) -> int | None:
    """Return how much data would be enough if only large weights are missing, or None.

    The weights lack some of their mean, 1. Suppose that all of this belongs to events of the
    smallest propensity seen, with weights of 1 / pscore. If fewer than five of these were expected,
    it is no surprise that none occurred.
    """
    lacking, largest = 1.0 - support.mean_weight, 1.0 / support.smallest_pscore
    if not 0 < n * lacking / largest < MISSING_BY_CHANCE:
        return None
    sample = support.effective_sample
    squares = n * support.mean_weight**2 / sample if sample else 0.0  # the mean of w²
    return _rounded_up(enough * (squares + lacking * largest))


def _rounded_up(amount: float) -> int:
    """Return an amount, rounded up to two significant digits."""
    step: int = 10 ** max(0, len(str(math.ceil(amount))) - 2)
    return math.ceil(amount / step) * step
