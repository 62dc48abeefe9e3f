"""What run.json must hold for others to rely on it."""

from typing import Any, Literal, get_args

Status = Literal["pending", "running", "finished", "failed", "interrupted", "pruned"]
NUMBERS = ("seed", "timesteps", "seconds")


def wrong_in_record(record: Any) -> str | None:
    """Say what makes a run.json unusable, as far as others rely on it; None if it is sound."""
    if not isinstance(record, dict):
        return "It holds no JSON object."
    if record.get("status", "pending") not in get_args(Status):
        return f"`{record['status']}` is no status of a run."
    for key in NUMBERS:
        if not _is_number(record.get(key)):
            return f"`{key}` is no number."
    results = record.get("results", {})
    if not _are_results(results):
        return "`results` is not what a run writes there."
    if record.get("status") == "finished" and "last" not in results:
        return "The run is said to be finished and has no results."
    return None


def _are_results(results: Any) -> bool:
    """Whether this maps each agent's name to what was measured of it."""
    return isinstance(results, dict) and all(
        isinstance(part, dict)
        and all(_is_number(value) for key, value in part.items() if key.endswith("_reward"))
        for part in results.values()
    )


def _is_number(value: Any) -> bool:
    """Whether it is a number, or missing."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
