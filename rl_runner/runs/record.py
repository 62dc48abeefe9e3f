"""What run.json must hold for others to rely on it."""

from typing import Any, Literal, get_args

Status = Literal["pending", "running", "finished", "failed", "interrupted", "pruned"]


def wrong_in_record(record: Any) -> str | None:
    """Say what makes a run.json unusable, as far as others rely on it; None if it is sound."""
    if not isinstance(record, dict):
        return "It holds no JSON object."
    if record.get("status", "pending") not in get_args(Status):
        return f"`{record['status']}` is no status of a run."
    results = record.get("results", {})
    if not isinstance(results, dict) or not all(
        isinstance(part, dict) for part in results.values()
    ):
        return "`results` is not what a run writes there."
    if record.get("status") == "finished" and "last" not in results:
        return "The run is said to be finished and has no results."
    return None
