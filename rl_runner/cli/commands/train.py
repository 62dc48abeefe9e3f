"""``rl train``."""

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from rl_runner.cli import FAILED, INTERRUPTED, options
from rl_runner.cli.display.console import console, show, show_json, show_message
from rl_runner.cli.display.logs import log_result_document, show_log_result
from rl_runner.cli.display.results import (
    result_document,
    show_failures,
    show_result,
    show_unfinished,
)
from rl_runner.errors import ConfigError, Problem
from rl_runner.runs.provenance import usable_cores
from rl_runner.startup import import_in_background, start_fork_server

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rl_runner.config import ExperimentConfig
    from rl_runner.training.experiment import ExperimentResult


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

    Finished seeds are kept, missing ones are trained, and interrupted ones resume from their last
    checkpoint, with the result of an uninterrupted run. A changed config gets a folder of its own.
    Exit code 0 means that every seed has finished.

    Example: rl train configs/cartpole/ppo.yaml --seeds 3 --set algo.gamma=0.99
    """
    from rl_runner.cli.display.progress import choose_reporter
    from rl_runner.config import load_config

    # Load the configs, and then what they need: torch, or the readers of logs.
    changes = options.with_seeds(overrides, seeds)
    loaded = [load_config(path, changes) for path in configs]
    on_logs = _learn_from_logs(loaded, extend=extend)
    train_all = _prepare_logs() if on_logs else _prepare_environments(loaded, extend=extend)

    # Train every seed of every experiment, and load meanwhile what shows the results.
    import_in_background("rl_runner.evaluation.comparison.scores")
    reporter = choose_reporter(quiet=quiet, verbose=verbose)
    try:
        results = train_all(
            loaded,
            runs_dir=runs_dir,
            fresh=fresh,
            jobs=jobs or usable_cores(),
            reporter=reporter,
            retries=retries,
        )
    finally:
        reporter.close()

    # Show the results, and what is missing.
    titled = [replace(r, name=t) for r, t in zip(results, _titles(loaded), strict=True)]
    _show_results(results, titled, on_logs=on_logs, as_json=as_json)
    _exit_if_incomplete(titled)

    # Say what to do next.
    if not quiet and all(run.was_finished for result in results for run in result.runs):
        show_message("Already finished: nothing was trained. `--fresh` trains it again.")
    if not (as_json or quiet or on_logs) and console().is_terminal:
        show(f"To see the learning curves: rl dashboard {runs_dir}")


def _show_results(
    results: "Sequence[ExperimentResult]",
    titled: "Sequence[ExperimentResult]",
    *,
    on_logs: bool,
    as_json: bool,
) -> None:
    """Print each experiment: as JSON by its own name, as a table under its title."""
    describe = log_result_document if on_logs else result_document
    documents = [describe(result) for result in results]
    if as_json:
        show_json(documents[0] if len(documents) == 1 else documents)
        return
    for result, document in zip(titled, documents, strict=True):
        if on_logs:
            show_log_result(result)
        else:
            show_result(result, {**document, "name": result.name})


def _exit_if_incomplete(results: "Sequence[ExperimentResult]") -> None:
    """Say which runs are missing, and exit with the code of the most important reason.

    Ctrl-C explains more than a failed run does, and a failed run more than what others still do.
    """
    unfinished = show_unfinished(results)
    has_failed = show_failures(results)
    if has_failed and unfinished != INTERRUPTED:
        raise typer.Exit(FAILED)
    if unfinished:
        raise typer.Exit(unfinished)


def _titles(configs: "Sequence[ExperimentConfig]") -> list[str]:
    """Return a title for each experiment: its name and, where others have it too, what differs."""
    from rl_runner.config.identity import describe_configs

    return [
        label if label.startswith(config.name) else f"{config.name}, {label}"
        for config, label in zip(configs, describe_configs(configs), strict=True)
    ]


def _learn_from_logs(configs: "Sequence[ExperimentConfig]", *, extend: bool) -> bool:
    """Whether these configs have a ``data`` section; raises ConfigError if only some of them do."""
    if all(config.data is None for config in configs):
        return False
    if any(config.data is None for config in configs):
        what = "Some of these configs learn from logs, others in an environment."
        raise ConfigError(Problem(what, "CONFIG...", "Train them with two commands."))
    if extend:
        cure = "To continue from an earlier table, name its run in `data.continue_from`."
        raise ConfigError(Problem("Learning from logs has no budget to extend.", "--extend", cure))
    return True


def _prepare_environments(
    configs: "Sequence[ExperimentConfig]", *, extend: bool
) -> "Callable[..., list[ExperimentResult]]":
    """Load what training in an environment needs, here and in the fork server at the same time."""
    from rl_runner.training.task import modules_for

    start_fork_server(modules_for(config.algo for config in configs))
    from rl_runner.training.train import train_many

    return functools.partial(train_many, extend=extend)


def _prepare_logs() -> "Callable[..., list[ExperimentResult]]":
    """Do the same for learning from logs."""
    from rl_runner.offline.learning import MODULES

    start_fork_server(MODULES)
    from rl_runner.offline.learning.training import train_many_on_logs

    return train_many_on_logs
