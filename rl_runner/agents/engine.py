"""What computes an algorithm: its own class, or the compiled twin that does the same sooner."""

from typing import Any

from rl_runner.agents.registry import Algorithm
from rl_runner.config.schema import Engine
from rl_runner.errors import ConfigError, Problem


def reason_against_fast(algorithm: Algorithm, agent: Any) -> str | None:
    """Return what about a stock agent the compiled twin does not do exactly; None if it does all.

    :param agent: built by the algorithm's own class
    """
    if not algorithm.fast_path:
        return f"{algorithm.name} has no compiled twin"
    from rl_runner.agents.fast.reasons import REASONS

    reason = REASONS[algorithm.name](agent)
    return None if reason is None else f"{algorithm.name}'s compiled twin does not do {reason}"


def choose_engine(algorithm: Algorithm, asked: Engine, agent: Any, where: str) -> Engine:
    """Return ``stock`` or ``fast``.

    :param agent: built by the algorithm's own class
    :param where: the place of the key in the config
    :raises ConfigError: if the fast engine is asked for and cannot do this
    """
    if asked == "stock":
        return "stock"
    reason = reason_against_fast(algorithm, agent)
    if reason is None:
        return "fast"
    if asked == "fast":
        what = f"`engine: fast` cannot be had: {reason}."
        raise ConfigError(Problem(what, where, "Leave it to `engine: auto`."))
    return "stock"
