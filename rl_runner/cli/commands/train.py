"""``rl train``."""

from typing import TYPE_CHECKING, Annotated

import typer

from rl_runner.cli import options
from rl_runner.cli.display.console import console, show, show_json, tell
from rl_runner.cli.display.logs import learn_from_logs
from rl_runner.cli.display.results import experiment_document, run_document, show_experiment
from rl_runner.cli.display.unfinished import tell_unfinished
from rl_runner.cli.exit_codes import FAILED, INTERRUPTED
from rl_runner.runs.machine import usable_cores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rl_runner.training.train import ExperimentResult


def train(
    configs: options.Configs,
    overrides: options.Overrides = None,
    seeds: options.SeedList = None,
    runs_dir: options.RunsDir = options.DEFAULT_RUNS_DIR,
    jobs: options.Jobs = None,
    retries: Annotated[
        int, typer.Option("--retries", min=0, help="Try a failed run again this often.")
    ] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Train finished seeds anew.")] = False,
    extend: Annotated[
        bool,
        typer.Option(
            "--extend", help="Go on from the end of the same experiment with a smaller budget."
        ),
    ] = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Every metric too.")] = False,
) -> None:
    """Train algorithms on environments, over several seeds at once, as YAML files say.

    Finished seeds are kept, stopped ones go on exactly where they were, missing ones are trained;
    a changed config gets a folder of its own.

    Example: rl train configs/cartpole/ppo.yaml --seeds 3 --set algo.gamma=0.99
    """
    from rl_runner.cli.display import progress as _progress
    from rl_runner.config import load_config
    from rl_runner.training.processes.process import start_fork_server

    changes = options.with_seeds(overrides, seeds)
    loaded = [load_config(path, changes) for path in configs]
    if any(config.data is not None for config in loaded):
        learn_from_logs(loaded, runs_dir=runs_dir, fresh=fresh, extend=extend, as_json=as_json)
        return
    start_fork_server(config.algo for config in loaded)
    from rl_runner.training.train import train_many  # both processes load torch meanwhile

    reporter = _progress.reporter(quiet=quiet, verbose=verbose)
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
    _print_results(results, as_json=as_json)
    if tell_unfinished(results):
        raise typer.Exit(INTERRUPTED)
    if any(run.status == "failed" for result in results for run in result.runs):
        _name_failures(results)
        raise typer.Exit(FAILED)
    if not as_json and not quiet and console().is_terminal:
        show(f"See the curves: rl dashboard {runs_dir}")


def _print_results(results: "Sequence[ExperimentResult]", *, as_json: bool) -> None:
    documents = []
    for result in results:
        runs = [run_document(r.seed, str(r.path), dict(r.record)) for r in result.runs]
        document = experiment_document(str(result.path), result.name, result.hash, runs)
        documents.append(document)
        if not as_json:
            show_experiment(document, {r.seed: r.record.get("seconds") for r in result.runs})
    if as_json:
        show_json(documents[0] if len(documents) == 1 else documents)


def _name_failures(results: "Sequence[ExperimentResult]") -> None:
    failed = [run for result in results for run in result.runs if run.status == "failed"]
    for run in failed:
        tell(f"Failed: {run.path}: {run.record.get('error')} (see run.json and log.txt there)")
    tell("The same command tries only these again.")
