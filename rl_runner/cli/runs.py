"""``rl runs``."""

from typing import Annotated

import typer

from rl_runner.cli import _options as options
from rl_runner.cli._console import duration, number, show, show_json, table
from rl_runner.cli._results import run_document


def runs(
    runs_dir: options.RunsDir = options.DEFAULT_RUNS_DIR,
    status: Annotated[
        str | None,
        typer.Option("--status", help="pending, running, finished, failed, interrupted, crashed."),
    ] = None,
    env: Annotated[str | None, typer.Option("--env", help="Only this environment.")] = None,
    algo: Annotated[str | None, typer.Option("--algo", help="Only this algorithm.")] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=0, help="Show this many, the latest; 0 for all.")
    ] = 60,
    as_json: options.AsJson = False,
) -> None:
    """List the runs there are, as they stand now.

    Example: rl runs --status failed
    """
    from rl_runner.runs.index import runs_below

    found = [
        run
        for run in runs_below(runs_dir)
        if env in {None, run.record.get("env")}
        and algo in {None, run.record.get("algo")}
        and status in {None, run.status}
    ]
    if as_json:
        show_json(
            [
                {
                    "experiment": run.experiment,
                    "env": run.record.get("env"),
                    "algo": run.record.get("algo"),
                    **run_document(run.record.get("seed", -1), str(run.path), run.record),
                    "status": run.status,
                }
                for run in found
            ]
        )
        return
    oldest_shown = sorted(run.changed for run in found)[-limit:][:1] if limit else []
    shown = [run for run in found if not oldest_shown or run.changed >= oldest_shown[0]]
    columns = (
        "experiment",
        ">seed",
        "status",
        ">timesteps",
        ">mean reward",
        ">best agent",
        ">time",
    )
    rows = []
    for run in shown:
        document = run_document(run.record.get("seed", -1), str(run.path), run.record)
        rows.append(
            (
                run.experiment,
                document["seed"],
                run.status,
                number(document["timesteps"], 0),
                number(document["mean_reward"]),
                number(document["best_mean_reward"]),
                duration(run.record.get("seconds")),
            )
        )
    if rows:
        show(table(columns, rows))
        if len(shown) < len(found):
            show(f"The latest {len(shown)} of {len(found)}; --limit 0 shows all.")
    elif status or env or algo:
        show(f"No such run in {runs_dir}/.")
    else:
        show(f"No runs in {runs_dir}/ yet. Begin with: rl train configs/cartpole/ppo.yaml")
