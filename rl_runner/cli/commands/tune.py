"""``rl tune``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rl_runner.cli import FAILED, INTERRUPTED, options
from rl_runner.cli.display.console import show_json, show_message
from rl_runner.errors import ConfigError, Problem
from rl_runner.runs.provenance import usable_cores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rl_runner.tuning.report.study_summary import TuneResult

SAMPLERS = "tpe|random|cmaes|gp|qmc|grid"
PRUNERS = "median|hyperband|asha|wilcoxon|none"


ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file.")]
Trials = Annotated[int | None, typer.Option("--trials", min=1, help="The total number of trials.")]
Timeout = Annotated[
    str | None,
    typer.Option(
        "--timeout", metavar="T", help="Start no trial after this time: 90s, 30m, 2h or 1d."
    ),
]
Sampler = Annotated[
    str | None,
    typer.Option("--sampler", metavar=SAMPLERS, help="The algorithm that proposes trials."),
]
Pruner = Annotated[
    str | None,
    typer.Option("--pruner", metavar=PRUNERS, help="The rule that stops unpromising trials early."),
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        help="An Optuna storage URL, to share the study between processes.",
    ),
]
Study = Annotated[
    str | None,
    typer.Option("--study", metavar="NAME", help="The name of the study and of its folder."),
]
Confirm = Annotated[
    int | None,
    typer.Option(
        "--confirm",
        metavar="K",
        min=0,
        help="The number of best trials to train again on fresh seeds.",
    ),
]


def tune(
    config: ConfigFile,
    overrides: options.Overrides = None,
    trials: Trials = None,
    jobs: options.Jobs = None,
    timeout: Timeout = None,
    sampler: Sampler = None,
    pruner: Pruner = None,
    storage: Storage = None,
    study: Study = None,
    confirm: Confirm = None,
    runs_dir: options.RunsDir = options.DEFAULT_RUNS_DIR,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Search for better hyperparameters and confirm the best on fresh seeds.

    The config's `tune` section defines the search space; without one, the algorithm's default
    space is searched. The same command resumes an interrupted study. The result is best.yaml in
    the study's folder, ready for `rl train`.

    Example: rl tune configs/cartpole/ppo.yaml --trials 30 --jobs 2
    """
    from rl_runner.cli.display.study_progress import choose_reporter
    from rl_runner.config import load_config
    from rl_runner.startup import start_fork_server
    from rl_runner.training.task import modules_for

    # Options take precedence over the config's `tune` section.
    chosen = {
        "trials": trials,
        "sampler": sampler,
        "pruner": pruner,
        "confirm.trials": confirm,
    }
    loaded = load_config(config, [*(overrides or []), *_as_overrides(chosen)])
    # Two processes load torch at the same time: this one, and the one that trials are forked from.
    start_fork_server(modules_for([loaded.algo]))
    from rl_runner.tuning.tune import tune as run_study

    reporter = choose_reporter(quiet=quiet)
    try:
        result = run_study(
            loaded,
            runs_dir=runs_dir,
            jobs=jobs or usable_cores(),
            study=study,
            storage=storage,
            timeout=_seconds(timeout),
            reporter=reporter,
        )
    finally:
        reporter.close()
    _show_and_exit(result, as_json=as_json)


def _show_and_exit(result: "TuneResult", *, as_json: bool) -> None:
    """Print a study's result; exit with an error code if it was interrupted or has no winner."""
    from rl_runner.cli.display.study_results import show_result

    if as_json:
        show_json(result.summary.to_json())
    else:
        show_result(result)
    if result.stopped:
        show_message("Interrupted. Run the same command again to resume.")
        raise typer.Exit(INTERRUPTED)
    if result.winner is None and result.confirmed:
        raise typer.Exit(FAILED)


def _as_overrides(chosen: "Mapping[str, object]") -> list[str]:
    """Return options as ``--set tune.KEY=VALUE`` would give them; None is an option not given."""
    return [f"tune.{key}={value}" for key, value in chosen.items() if value is not None]


def _seconds(text: str | None) -> float | None:
    """Read 90, 90s, 30m, 2h or 1d."""
    from rl_runner.config.data import parse_duration

    if text is None:
        return None
    try:
        return parse_duration(text if text[-1:].isalpha() else f"{text}s").total_seconds()
    except ValueError:
        cure = "Write seconds, `--timeout 90`, or with a unit: 90s, 30m, 2h, 1d."
        problem = Problem(f"`{text}` is not a duration.", f"--timeout {text}", cure)
        raise ConfigError(problem) from None
