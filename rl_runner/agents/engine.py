"""Which engine computes an algorithm: its own class, or its compiled twin, which is faster."""

from typing import Any

from rl_runner.agents.registry import Algorithm
from rl_runner.config.schema import Engine
from rl_runner.errors import ConfigError, Problem


def reason_against_fast(algorithm: Algorithm, agent: Any) -> str | None:
    """Return why the compiled twin cannot take a stock agent's place; None if it can.

    :param agent: built by the algorithm's own class
    """
    if not algorithm.fast_path:
        return f"{algorithm.name} has no compiled twin"
    from rl_runner.agents.fast.reasons import REASONS

    reason = REASONS[algorithm.name](agent)
    return None if reason is None else f"{algorithm.name}'s compiled twin does not support {reason}"


def choose_engine(algorithm: Algorithm, asked: Engine, agent: Any, where: str) -> Engine:
    """Return ``stock`` or ``fast``.

    :param agent: built by the algorithm's own class
    :param where: the location of the key in the config
    :raises ConfigError: if the fast engine is asked for and is not available for this agent
    """
    if asked == "stock":
        return "stock"
    reason = reason_against_fast(algorithm, agent)
    if reason is None:
        return "fast"
    if asked == "fast":
        what = f"`engine: fast` is not available: {reason}."
        raise ConfigError(Problem(what, where, "Set `engine: auto`, which takes the stock engine."))
    return "stock"
