"""What `rl train` says of runs that it has not brought to their end."""

from typing import TYPE_CHECKING

from rl_runner.cli.display.console import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rl_runner.training.task import RunResult
    from rl_runner.training.train import ExperimentResult


def tell_unfinished(results: "Sequence[ExperimentResult]") -> bool:
    """Say which runs stopped where, which have not begun, and which are another process's.

    :return: whether the same command would go on with any of them
    """
    several = len(results) > 1
    runs = [
        (f"{result.name} seed {run.seed}" if several else f"seed {run.seed}", run)
        for result in results
        for run in result.runs
    ]
    ours = [(label, run) for label, run in runs if not run.elsewhere]
    theirs = [(label, run) for label, run in runs if run.elsewhere]
    stopped = [f"{label} {_where(run)}" for label, run in ours if run.status == "interrupted"]
    not_begun = [label for label, run in ours if run.status == "pending"]
    left = [
        f"{label} {_where(run)}" if run.status == "interrupted" else label
        for label, run in theirs
        if run.status in {"interrupted", "pending"}
    ]
    for told, parts in (
        ("Stopped", stopped),
        ("Not begun", not_begun),
        ("Left to another process, which has stopped", left),
        ("Trained by another process, which is still at it", _labels(theirs, "running")),
        ("Trained by another process", _labels(theirs, "finished")),
    ):
        if parts:
            tell(f"{told}: {'; '.join(parts)}.")
    if stopped or not_begun or left:
        tell("The same command goes on from there.")
    return bool(stopped or not_begun or left)


def _labels(runs: "Sequence[tuple[str, RunResult]]", status: str) -> list[str]:
    return [label for label, run in runs if run.status == status]


def _where(run: "RunResult") -> str:
    """Say from where a stopped run will go on, and what of it has to be repeated."""
    saved, stopped_at = int(run.record.get("timesteps") or 0), run.record.get("stopped_at")
    if stopped_at == 0:
        return "at its beginning"
    if saved == stopped_at:
        return f"at {saved:,} timesteps, saved there"
    was_at = "" if stopped_at is None else f"at {stopped_at:,} timesteps, "
    return f"{was_at}to go on from {f'its checkpoint at {saved:,}' if saved else 'the beginning'}"
