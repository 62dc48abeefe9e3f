"""``rl runs``."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rl_runner.cli import options
from rl_runner.cli.display.console import duration, number, show, show_json
from rl_runner.cli.display.results import run_document
from rl_runner.cli.display.tables import Column, table
from rl_runner.runs.record import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rl_runner.runs.index import IndexedRun

COLUMNS: tuple[str | Column, ...] = (
    "experiment",
    ">seed",
    "status",
    Column(">timesteps", 2),
    ">mean reward",
    Column(">best agent", 1),
    Column(">time", 3),
)

MOST_CONFIGS = 100  # that are read to say what differs: a longer list stays fast

ShownStatus = Literal[Status, "crashed", "unreadable"]  # as the index finds them


def runs(
    runs_dir: options.RunsDir = options.DEFAULT_RUNS_DIR,
    status: Annotated[
        ShownStatus | None, typer.Option("--status", help="List only runs with this status.")
    ] = None,
    env: Annotated[
        str | None, typer.Option("--env", help="List only runs in this environment.")
    ] = None,
    algo: Annotated[
        str | None, typer.Option("--algo", help="List only runs of this algorithm.")
    ] = None,
    limit: Annotated[
        int,
        typer.Option("--limit", min=0, help="Show only this many of the latest runs; 0 shows all."),
    ] = 60,
    as_json: options.AsJson = False,
) -> None:
    """List all runs and their current status.

    Example: rl runs --status failed
    """
    from rl_runner.runs.index import runs_below

    # Select.
    found = [
        run
        for run in runs_below(runs_dir)
        if env in {None, run.record.env}
        and algo in {None, run.record.algo}
        and status in {None, run.status}
    ]
    # Show the latest, or say why there is nothing to show.
    if as_json:
        show_json([_document(run) for run in found])
    elif found:
        shown = _latest(found, limit)
        differing = _what_differs(shown)
        columns = (*COLUMNS, Column("what differs", 4)) if differing else COLUMNS
        show(table(columns, [_row(run, differing) for run in shown]))
        if len(shown) < len(found):
            show(f"The latest {len(shown)} of {len(found)}; --limit 0 shows all.")
    elif status or env or algo:
        show(f"No run in {runs_dir}/ matches.")
    else:
        show(f"No runs in {runs_dir}/ yet. Start with: rl train configs/cartpole/ppo.yaml")


def _latest(found: "Sequence[IndexedRun]", limit: int) -> "Sequence[IndexedRun]":
    """Return the runs that changed last, still by experiment and seed; all of them if 0."""
    if not 0 < limit < len(found):
        return found
    oldest_shown = sorted(run.changed for run in found)[-limit]
    return [run for run in found if run.changed >= oldest_shown]


def _document(run: "IndexedRun") -> dict[str, Any]:
    seed = run.record.seed
    return {
        "experiment": run.experiment,
        "env": run.record.env,
        "algo": run.record.algo,
        **run_document(-1 if seed is None else seed, str(run.path), run.record),
        "status": run.status,
        **({"problem": run.problem} if run.problem else {}),  # why it is unreadable
    }


def _what_differs(shown: "Sequence[IndexedRun]") -> dict[Path, str]:
    """Return what differs between listed experiments of the same name, by their folders."""
    from rl_runner.runs.labelled_links import what_differs

    names = {run.path.parent: run.record.name for run in shown}
    n_of = Counter(names.values())
    folders = [folder for folder, name in names.items() if n_of[name] > 1]
    return what_differs(folders) if len(folders) <= MOST_CONFIGS else {}


def _row(run: "IndexedRun", differing: Mapping[Path, str]) -> tuple[Any, ...]:
    document = _document(run)
    return (
        run.experiment,
        document["seed"],
        document["status"],
        number(document["timesteps"], 0),
        number(document["mean_reward"]),
        number(document["best_mean_reward"]),
        duration(run.record.seconds),
        *([differing.get(run.path.parent, "")] if differing else []),
    )
