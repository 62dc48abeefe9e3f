"""Options and arguments that several commands share."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from rl_runner.errors import ConfigError, Problem
from rl_runner.layout import CONFIG, RECORD, STUDY_START


def complete_algorithm(incomplete: str) -> list[str]:
    """Return the algorithms that a shell may complete a word to."""
    from rl_runner.agents.registry import ALGORITHMS

    return [name for name in ALGORITHMS if name.startswith(incomplete)]


def complete_run(incomplete: str) -> list[str]:
    """Return experiments, or the runs of the one that is written already."""
    return _folders_with((f"*/{CONFIG}", f"*/{RECORD}", f"*/*/{CONFIG}"), incomplete)


def complete_experiment_or_study(incomplete: str) -> list[str]:
    """Return experiments and studies."""
    files = (CONFIG, STUDY_START)
    return _folders_with([f"{at}/{file}" for at in ("*", "*/*") for file in files], incomplete)


def _folders_with(patterns: Iterable[str], incomplete: str) -> list[str]:
    """Return the folders of the files near a half-written path whose names match a pattern."""
    folder = Path(incomplete)
    if not incomplete.endswith("/"):
        folder = folder.parent
    if not incomplete:
        folder = DEFAULT_RUNS_DIR
    files = (file for pattern in patterns for file in folder.glob(pattern))
    found = sorted({str(file.parent) for file in files})
    return [path for path in found if path.startswith(incomplete)]


def complete_policy(context: typer.Context, incomplete: str) -> list[str]:
    """Return the baselines of the environment that ``--env`` names, or those of all."""
    from rl_runner.envs.baselines import BASELINES, baselines_of

    env_id = context.params.get("env")
    own = baselines_of(env_id) if env_id else [name for each in BASELINES.values() for name in each]
    known = dict.fromkeys(("random", "greedy", "optimal", *own))
    return [name for name in known if name.startswith(incomplete)]


Configs = Annotated[
    list[Path],
    typer.Argument(metavar="CONFIG", help="YAML files or experiment folders.", show_default=False),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a config value, e.g. algo.gamma=0.99. Repeatable.",
    ),
]
SeedList = Annotated[
    str | None,
    typer.Option(
        "--seeds", metavar="N|LIST", help="The number of seeds, or a list of seeds: 5, or 0,3,7."
    ),
]
RunsDir = Annotated[
    Path, typer.Option("--runs-dir", metavar="DIR", help="The folder that holds the experiments.")
]


def _known_checkpoint(name: str | None) -> str | None:
    if name is not None and name not in CHECKPOINTS and not name.isdigit():
        message = f"{name!r} is neither one of {', '.join(CHECKPOINTS)} nor a number of timesteps."
        raise typer.BadParameter(message)
    return name


def _known_checkpoints(names: str | None) -> str | None:
    for name in () if names is None else names.split(","):
        _known_checkpoint(name.strip())
    return names


def checkpoint_names(names: str | None) -> list[str | None]:
    """Return the names in an option; None stands for the config's ``train.keep``."""
    return [None] if names is None else [name.strip() for name in names.split(",")]


CHECKPOINTS = ("last", "best", "halfway", "untrained")
Checkpoint = Annotated[
    str | None,
    typer.Option(
        "--checkpoint",
        metavar="NAME|TIMESTEPS",
        callback=_known_checkpoint,
        help=f"Which agent: {', '.join(CHECKPOINTS)}, or a saved number of timesteps; default: the "
        "config's train.keep.",
    ),
]
Checkpoints = Annotated[
    str | None,
    typer.Option(
        "--checkpoint",
        metavar="NAME[,NAME...]",
        callback=_known_checkpoints,
        help="One agent or several, named as in `rl eval`, e.g. untrained,halfway,last.",
    ),
]
OneRun = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        help="A run, or an experiment to take its first run.",
        show_default=False,
        autocompletion=complete_run,
    ),
]
AnyRun = Annotated[
    Path | None,
    typer.Argument(
        metavar="[RUN]",
        help="A run, or an experiment to take its first run; with --policy also a config.",
        show_default=False,
        autocompletion=complete_run,
    ),
]
Baseline = Annotated[
    str | None,
    typer.Option(
        "--policy",
        metavar="NAME",
        help="Show a baseline instead: random, greedy, optimal, or one of the environment's own.",
        autocompletion=complete_policy,
    ),
]
BaselineEnv = Annotated[
    str | None,
    typer.Option("--env", metavar="ID", help="The environment for --policy, in place of RUN."),
]
Stochastic = Annotated[
    bool,
    typer.Option("--stochastic", help="Sample actions instead of taking the most likely ones."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Show no progress.")]
NoLocalCode = Annotated[
    bool,
    typer.Option(
        "--no-local-code",
        help="Refuse modules named in a config that are not installed packages.",
    ),
]

Jobs = Annotated[
    int | None,
    typer.Option("--jobs", min=1, help="Number of parallel runs; default: one per core."),
]


def given(context: typer.Context) -> list[str]:
    """Return the names of the options that the command line gives."""
    names = []
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.param_type_name == "option" and source and source.name == "COMMANDLINE":
            names.append(parameter.opts[0])
    return names


DEFAULT_RUNS_DIR = Path("runs")


def with_seeds(overrides: list[str] | None, seeds: str | None) -> list[str]:
    """Return the overrides with ``--seeds`` appended as ``train.seeds=…``.

    :raises ConfigError: if ``seeds`` is neither a count nor a list of seeds
    """
    listed = list(overrides or [])
    if seeds is None:
        return listed
    parts = [part.strip() for part in seeds.split(",") if part.strip()]
    if not parts or not all(part.lstrip("-").isdigit() for part in parts):
        cure = (
            "Write a count, `--seeds 5`, or a list, `--seeds 0,3,7` (`--seeds 3,` is seed 3 alone)."
        )
        raise ConfigError(
            Problem(f"`{seeds}` is neither a count nor a list of seeds.", f"--seeds {seeds}", cure)
        )
    value = f"[{', '.join(parts)}]" if "," in seeds else parts[0]
    return [*listed, f"train.seeds={value}"]
