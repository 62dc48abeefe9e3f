"""``rl runs``."""

from rl_runner.cli import _options as options
from rl_runner.cli._console import duration, number, show, show_json, table
from rl_runner.cli._results import run_document


def runs(
    runs_dir: options.RunsDir = options.DEFAULT_RUNS_DIR, as_json: options.AsJson = False
) -> None:
    """List the runs there are, with their results.

    Example: rl runs --json
    """
    from rl_runner.runs.find import records_below

    found = list(records_below(runs_dir))
    if as_json:
        show_json(
            [
                {
                    "experiment": path.parent.name,
                    "env": record.get("env"),
                    "algo": record.get("algo"),
                    **run_document(record.get("seed", -1), str(path), record),
                }
                for path, record in found
            ]
        )
        return
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
    for path, record in found:
        document = run_document(record.get("seed", -1), str(path), record)
        rows.append(
            (
                path.parent.name,
                document["seed"],
                document["status"],
                number(document["timesteps"], 0),
                number(document["mean_reward"]),
                number(document["best_mean_reward"]),
                duration(record.get("seconds")),
            )
        )
    if rows:
        show(table(columns, rows))
    else:
        show(f"No runs in {runs_dir}/ yet. Begin with: rl train configs/cartpole/ppo.yaml")
