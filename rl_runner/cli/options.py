"""Options and arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from rl_runner.errors import ConfigError, Problem

Configs = Annotated[
    list[Path],
    typer.Argument(
        metavar="CONFIG...", help="YAML files, or experiment folders.", show_default=False
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a value, e.g. algo.gamma=0.99."),
]
SeedList = Annotated[
    str | None,
    typer.Option("--seeds", metavar="N|LIST", help="How many seeds, or which: 5, or 0,3,7."),
]
RunsDir = Annotated[
    Path, typer.Option("--runs-dir", metavar="DIR", help="Where experiments are kept.")
]


def _known_checkpoint(name: str) -> str:
    if name not in CHECKPOINTS and not name.isdigit():
        message = f"{name!r} is neither {', '.join(CHECKPOINTS)} nor a number of timesteps."
        raise typer.BadParameter(message)
    return name


def _known_checkpoints(names: str) -> str:
    return ",".join(_known_checkpoint(name.strip()) for name in names.split(","))


CHECKPOINTS = ("last", "best", "halfway", "untrained")
Checkpoint = Annotated[
    str,
    typer.Option(
        "--checkpoint",
        metavar="NAME|TIMESTEPS",
        callback=_known_checkpoint,
        help=f"Which agent: {', '.join(CHECKPOINTS)}, or one kept at these timesteps.",
    ),
]
Checkpoints = Annotated[
    str,
    typer.Option(
        "--checkpoint",
        metavar="NAME,…",
        callback=_known_checkpoints,
        help="As `rl eval` knows them; several with commas, e.g. untrained,halfway,last.",
    ),
]
OneRun = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", help="A run, or an experiment, whose first run is meant.", show_default=False
    ),
]
Stochastic = Annotated[
    bool, typer.Option("--stochastic", help="Sample actions instead of taking the likeliest.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")]

Jobs = Annotated[
    int | None, typer.Option("--jobs", min=1, help="Runs at a time; default: one per core.")
]


def given(context: typer.Context) -> list[str]:
    """Return the options that stand on the command line, as they are called there."""
    told = []
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.param_type_name == "option" and source and source.name == "COMMANDLINE":
            told.append(parameter.opts[0])
    return told


DEFAULT_RUNS_DIR = Path("runs")


def with_seeds(overrides: list[str] | None, seeds: str | None) -> list[str]:
    """Return the overrides, with ``--seeds`` written as one of them."""
    listed = list(overrides or [])
    if seeds is None:
        return listed
    parts = [part.strip() for part in seeds.split(",") if part.strip()]
    if not parts or not all(part.lstrip("-").isdigit() for part in parts):
        cure = "Write a count, `--seeds 5`, or a list, `--seeds 0,3,7` (`--seeds 3,` is seed 3)."
        raise ConfigError(
            Problem(f"`{seeds}` is neither a count nor a list of seeds.", f"--seeds {seeds}", cure)
        )
    value = f"[{', '.join(parts)}]" if "," in seeds else parts[0]
    return [*listed, f"train.seeds={value}"]
