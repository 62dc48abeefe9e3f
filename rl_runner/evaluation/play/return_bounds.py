"""The bounds of an environment's mean returns, from the strongest source there is."""

from collections.abc import Sequence
from contextlib import closing

import numpy as np

from rl_runner.config import EnvConfig
from rl_runner.envs.baselines import highest_mean_of
from rl_runner.envs.build import make_single_env
from rl_runner.envs.return_bounds import declared_bounds
from rl_runner.errors import EnvError
from rl_runner.evaluation.play.exact_returns import transition_table
from rl_runner.evaluation.statistics import Interval
from rl_runner.evaluation.statistics.bounds import Bounds


def return_bounds(config: EnvConfig, *, exact: bool = False) -> Bounds | None:
    """Return the bounds of an environment's returns; None where they are not known.

    The sources, in this order: ``env.return_bounds`` in the config, the transition table, and what
    the environment declares (:mod:`rl_runner.envs.return_bounds`).

    :param exact: of exact mean returns, between those of the worst and the best policy, instead of
        the returns of single episodes
    """
    if exact and (of_policies := _policy_bounds(config)) is not None:
        return of_policies
    if config.return_bounds is not None:
        return Bounds(*config.return_bounds, "config")
    try:
        table = transition_table(config)
        if table is not None and table.extremes[0] < table.extremes[1]:
            return Bounds(*table.extremes, "transition table")
        declared = declared_bounds(config)
    except EnvError:  # it is not installed here
        return None
    return None if declared is None else Bounds(*declared, "environment")


def bounds_to_check(config: EnvConfig) -> Bounds | None:
    """Return the bounds that the episodes of an evaluation have to keep; None where not known.

    Of an environment that limits its copies (``env.max_copies``) only the config's bounds count,
    since no copy may be opened to read its own.
    """
    if config.max_copies is not None and config.return_bounds is None:
        return None
    return return_bounds(config)


def check_returns(returns: np.ndarray, config: EnvConfig) -> None:
    """Refuse returns outside the bounds of the environment, as soon as they are played.

    :param returns: (n,) of episodes
    :raises OutOfBoundsError: with the first of them
    """
    if (bounds := bounds_to_check(config)) is not None:
        bounds.checked(returns)


def within_policies(ends: Interval | None, mean: float, config: EnvConfig) -> Interval | None:
    """Cut the interval of a mean return to the exact means of the worst and the best policy.

    Single episodes can be better or worse than these, and so can the observed mean. It stays inside
    its interval.

    :param ends: of the mean over episodes or runs; None if there is no interval
    :param mean: the observed one
    :return: unchanged where no policy's exact mean is known to be the best
    """
    if ends is None:
        return None
    limits = _policy_bounds(config.as_it_is)
    lowest, highest = (limits.low, limits.high) if limits else (-np.inf, _highest_mean(config))
    low = min(max(ends[0], lowest), highest, mean)
    high = max(min(ends[1], highest), lowest, mean)
    return float(low), float(high)


def _highest_mean(config: EnvConfig) -> float:
    """Return the exact mean return that no policy exceeds; infinite where none is known."""
    function = highest_mean_of(config.id)
    # Wrappers may change rewards, and a shorter episode may be better than a longer one.
    if function is None or config.wrappers or config.time_limit is not None:
        return np.inf
    try:
        with closing(make_single_env(config.as_it_is)) as env:
            return function(env.unwrapped)
    except EnvError:  # not installed here, or too large to be solved
        return np.inf


def common_bounds(configs: Sequence[EnvConfig], *, exact: bool = False) -> Bounds | None:
    """Return bounds that hold in all of these environments; None if any has none."""
    found = [return_bounds(config, exact=exact) for config in configs]
    known = [bounds for bounds in found if bounds is not None]
    if not known or len(known) < len(found):
        return None
    low, high = min(each.low for each in known), max(each.high for each in known)
    return Bounds(low, high, known[0].source)


def _policy_bounds(config: EnvConfig) -> Bounds | None:
    """Return the exact mean returns of the worst and the best policy; None without a table."""
    try:
        table = transition_table(config)
    except EnvError:
        return None
    if table is None:
        return None
    low, high = table.worst_return(), table.optimal_return()
    return Bounds(low, high, "transition table") if low < high else None
