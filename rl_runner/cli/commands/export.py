"""``rl export``."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from rl_runner.cli import options
from rl_runner.cli.display.console import show, show_json
from rl_runner.errors import ConfigError, Problem


def export(
    store: Annotated[
        str,
        typer.Argument(
            metavar="STORE",
            help="The store of a service: its URL, or the service's YAML file.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", help="The log to write: FILE.parquet or FILE.jsonl."),
    ],
    window: Annotated[
        str | None,
        typer.Option("--window", metavar="SPAN", help="Only the last 7d, 12h, …; default: all."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Write the log of a service: decisions that were shown, with their outcomes.

    Example: rl export sqlite:///serve/recommender/service.db --out log.parquet --window 7d
    """
    from rl_runner.offline.store.database import StoreUrl, is_store_url
    from rl_runner.offline.store.export import Export
    from rl_runner.serving.config import load_serve_config
    from rl_runner.serving.export import write_store_log

    url = StoreUrl(store) if is_store_url(store) else load_serve_config(Path(store)).store
    found = Export(url, _span(window))
    write_store_log(found, out)
    if as_json:
        show_json({"log": str(out), **vars(found.counts)})
        return
    show(f"Wrote {found.counts.exported:,} decisions to {out}.", found.counts.sentence() + ".")


def _span(window: str | None) -> timedelta | None:
    from rl_runner.config.data import parse_duration

    if window is None:
        return None
    try:
        return parse_duration(window)
    except ValueError as error:
        raise ConfigError(Problem(f"{error}.", f"--window {window}")) from None
