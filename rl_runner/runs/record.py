"""What run.json must hold for others to rely on it."""

from types import NoneType
from typing import Any, Literal, get_args

Status = Literal["pending", "running", "finished", "failed", "interrupted", "pruned"]
STATUSES = get_args(Status)
NUMBERS = ("seed", "timesteps", "seconds")
NUMBER = frozenset({int, float, NoneType})  # or nothing; a bool is none


def wrong_in_record(record: Any) -> str | None:
    """Say what makes a run.json unusable, as far as others rely on it; None if it is sound."""
    if not isinstance(record, dict):
        return "It holds no JSON object."
    if record.get("status", "pending") not in STATUSES:
        return f"`{record['status']}` is no status of a run."
    for key in NUMBERS:
        if type(record.get(key)) not in NUMBER:
            return f"`{key}` is no number."
    results = record.get("results", {})
    if not isinstance(results, dict) or not all(map(_is_result, _of_agents(results))):
        return "`results` is not what a run writes there."
    if record.get("status") == "finished" and "last" not in results:
        return "The run is said to be finished and has no results."
    return None


def _of_agents(results: dict[str, Any]) -> list[Any]:
    """Return what was measured of agents; learning from logs writes more beside it."""
    return [results[agent] for agent in ("last", "best") if agent in results]


def _is_result(part: Any) -> bool:
    """Whether this may be what was measured of one agent."""
    if not isinstance(part, dict):
        return False
    return {type(part[key]) for key in part if key.endswith("_reward")} <= NUMBER
