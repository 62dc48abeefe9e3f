"""``rl train``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rl_runner.cli import options
from rl_runner.cli.display.console import console, show, show_json
from rl_runner.cli.display.logs import log_result_document, show_log_result
from rl_runner.cli.display.results import (
    result_document,
    show_failures,
    show_result,
    show_unfinished,
)
from rl_runner.cli.exit_codes import FAILED, INTERRUPTED
from rl_runner.errors import ConfigError, Problem
from rl_runner.runs.machine import usable_cores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rl_runner.config import ExperimentConfig


def train(
    configs: options.Configs,
    overrides: options.Overrides = None,
    seeds: options.SeedList = None,
    runs_dir: options.RunsDir = options.DEFAULT_RUNS_DIR,
    jobs: options.Jobs = None,
    retries: Annotated[
        int, typer.Option("--retries", min=0, help="How often to retry a failed run.")
    ] = 0,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Train finished seeds again, from the beginning.")
    ] = False,
    extend: Annotated[
        bool,
        typer.Option(
            "--extend",
            help="Start from the final agents of the same experiment with a smaller budget.",
        ),
    ] = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Print every training metric.")
    ] = False,
) -> None:
    """Train the experiments that YAML files describe, several seeds in parallel.

    Finished seeds are kept, interrupted ones resume exactly where they stopped, and missing ones
    are trained. A changed config gets a folder of its own.

    Example: rl train configs/cartpole/ppo.yaml --seeds 3 --set algo.gamma=0.99
    """
    from rl_runner.cli.display.progress import choose_reporter
    from rl_runner.config import load_config
    from rl_runner.training.processes.process import start_fork_server_for

    changes = options.with_seeds(overrides, seeds)
    loaded = [load_config(path, changes) for path in configs]
    if any(config.data is not None for config in loaded):
        _train_on_logs(loaded, runs_dir=runs_dir, fresh=fresh, extend=extend, as_json=as_json)
        return
    start_fork_server_for(config.algo for config in loaded)
    from rl_runner.training.train import train_many  # both processes load torch meanwhile

    reporter = choose_reporter(quiet=quiet, verbose=verbose)
    try:
        results = train_many(
            loaded,
            runs_dir=runs_dir,
            fresh=fresh,
            extend=extend,
            jobs=jobs or usable_cores(),
            reporter=reporter,
            retries=retries,
        )
    finally:
        reporter.close()

    documents = [result_document(result) for result in results]
    if as_json:
        show_json(documents[0] if len(documents) == 1 else documents)
    else:
        for result, document in zip(results, documents, strict=True):
            show_result(result, document)
    if show_unfinished(results):
        raise typer.Exit(INTERRUPTED)
    if show_failures(results):
        raise typer.Exit(FAILED)
    if not as_json and not quiet and console().is_terminal:
        show(f"To see the learning curves: rl dashboard {runs_dir}")


def _train_on_logs(
    configs: "Sequence[ExperimentConfig]",
    *,
    runs_dir: Path,
    fresh: bool,
    extend: bool,
    as_json: bool,
) -> None:
    """Do the same for configs with a ``data`` section, which learn from logs."""
    from rl_runner.offline.learning.training import train_many_on_logs

    if any(config.data is None for config in configs):
        what = "Some of these configs learn from logs, others in an environment."
        raise ConfigError(Problem(what, "CONFIG...", "Train them with two commands."))
    if extend:
        cure = "To continue from an earlier table, name its run in `data.continue_from`."
        raise ConfigError(Problem("Learning from logs has no budget to extend.", "--extend", cure))
    results = train_many_on_logs(configs, runs_dir=runs_dir, fresh=fresh)
    if as_json:
        documents = [log_result_document(result) for result in results]
        show_json(documents[0] if len(documents) == 1 else documents)
    else:
        for result in results:
            show_log_result(result)
    if any(run.record.status == "failed" for result in results for run in result.runs):
        raise typer.Exit(FAILED)
