"""``rl export``."""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from rl_runner.cli import options
from rl_runner.cli.display.console import show, show_json
from rl_runner.errors import ConfigError, Problem, count


class Format(StrEnum):
    """What is written."""

    LOG = "log"
    JSON = "json"
    ONNX = "onnx"


def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="The store of a service (its URL, or the service's YAML file); with --format json "
            "or onnx, a run.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="PATH",
            help="The log to write, FILE.parquet or FILE.jsonl; of a policy, its folder.",
        ),
    ],
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            help="log: decisions and outcomes. onnx: a run's network, for programs without "
            "rl_runner. json: a run's table.",
        ),
    ] = Format.LOG,
    window: Annotated[
        str | None,
        typer.Option("--window", metavar="SPAN", help="Only the last 7d, 12h, …; default: all."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Write the log of a service, or the policy of a run for other programs.

    Example: rl export sqlite:///serve/recommender/service.db --out log.parquet --window 7d

    Example: rl export runs/cartpole-ppo-1f2e3d4c/seed-0 --format onnx --out policy
    """
    if form is Format.LOG:
        _export_log(source, out, window, as_json)
        return
    if window is not None:
        raise ConfigError(Problem("`--window` is for logs.", f"--format {form}", "Leave it out."))
    _export_policy(Path(source), out, "json" if form is Format.JSON else "onnx", as_json)


def _export_log(source: str, out: Path, window: str | None, as_json: bool) -> None:
    from rl_runner.offline.store.database import StoreUrl, is_store_url
    from rl_runner.offline.store.export import Export
    from rl_runner.serving.config import load_serve_config
    from rl_runner.serving.export import write_store_log

    if Path(source).is_dir():
        cure = "Add `--format onnx` (a network) or `--format json` (a table) to write its policy."
        raise ConfigError(Problem("A run has no log of decisions.", source, cure))
    url = StoreUrl(source) if is_store_url(source) else load_serve_config(Path(source)).store
    found = Export(url, _span(window))
    write_store_log(found, out)
    if as_json:
        show_json({"log": str(out), **vars(found.counts)})
        return
    show(
        f"Wrote {count(found.counts.exported, 'decision')} to {out}.", found.counts.sentence() + "."
    )


def _export_policy(run: Path, out: Path, form: Literal["json", "onnx"], as_json: bool) -> None:
    from rl_runner.serving.portable.folder import README, export_policy

    exported = export_policy(run, out, form)
    parity = exported.parity
    if as_json:
        found = None if parity is None else parity._asdict()
        show_json({"policy": str(exported.file), "readme": str(out / README), "parity": found})
        return
    show(f"Wrote {exported.policy} to {exported.file}; {README} beside it says how to use it.")
    if parity is not None:
        show(
            f"On {parity.observations:,} observations its answers are those of the agent, within "
            f"{parity.difference:.1e}."
        )


def _span(window: str | None) -> timedelta | None:
    from rl_runner.config.data import parse_duration

    if window is None:
        return None
    try:
        return parse_duration(window)
    except ValueError as error:
        raise ConfigError(Problem(f"{error}.", f"--window {window}")) from None
