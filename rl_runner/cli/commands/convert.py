"""``rl convert``."""

from pathlib import Path
from typing import Annotated

import typer

from rl_runner.cli import options
from rl_runner.cli.display.console import show, show_json
from rl_runner.cli.display.logs import show_refused_rows


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="LOG", help="A log, or a foreign .csv or .parquet file.")
    ],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", help="FILE.parquet, .jsonl, .npz or .vw."),
    ],
    columns: Annotated[
        Path | None,
        typer.Option("--columns", metavar="YAML", help="What the columns are called in LOG."),
    ] = None,
    timezone: Annotated[
        str | None, typer.Option("--timezone", help="Of timestamps without one, e.g. UTC.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Turn foreign logs into ours, and ours into Open Bandit's arrays or Vowpal Wabbit's text.

    Example: rl convert clicks.csv --columns columns.yaml --out log.parquet
    """
    from rl_runner.offline.logs.log_conversion import convert_log

    n_rows, refusals = convert_log(source, out, columns, timezone)
    told = refusals.to_dict()
    if as_json:
        show_json({"out": str(out), "written": n_rows, "refusals": told})
        return
    show_refused_rows(told)
    show(f"{n_rows:,} interactions → {out}")
