"""``rl convert``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from rl_runner.cli import options
from rl_runner.cli.display.console import show, show_json
from rl_runner.cli.display.logs import show_refused_rows


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="LOG", help="A log, or another tool's .csv, .jsonl or .parquet file."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FILE", help="The file to write: .parquet, .jsonl, .npz or .vw."
        ),
    ],
    columns: Annotated[
        Path | None,
        typer.Option(
            "--columns", metavar="YAML", help="A file that maps our column names to those of LOG."
        ),
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option("--timezone", help="The time zone of timestamps without one, e.g. UTC."),
    ] = None,
    ambiguous_times: Annotated[
        Literal["earliest", "latest"] | None,
        typer.Option(
            "--ambiguous-times",
            help="Which instant a local time means that occurs twice, when clocks go back.",
        ),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option("--encoding", help="The encoding of a CSV, e.g. latin-1. Default: UTF-8."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Convert logs from other tools, or to Open Bandit arrays or Vowpal Wabbit text.

    Example: rl convert clicks.csv --columns columns.yaml --out log.parquet
    """
    from rl_runner.offline.logs.log_conversion import convert_log

    n_rows, refusals = convert_log(source, out, columns, timezone, ambiguous_times, encoding)
    refused = refusals.report()
    if as_json:
        show_json({"out": str(out), "written": n_rows, "refusals": refused.to_json()})
        return
    show_refused_rows(refused)
    show(f"Wrote {n_rows:,} interactions to {out}")
