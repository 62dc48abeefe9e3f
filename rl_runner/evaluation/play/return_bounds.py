"""The bounds of an environment's mean returns, from the strongest source there is."""

from collections.abc import Sequence

from rl_runner.config import EnvConfig
from rl_runner.envs.return_bounds import declared_bounds
from rl_runner.errors import EnvError
from rl_runner.evaluation.play.exact_returns import transition_table
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
