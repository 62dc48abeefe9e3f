"""``rl train``."""

from typing import Annotated

import typer

from rl_runner.cli import _options as options
from rl_runner.cli._console import console, show, show_json, tell
from rl_runner.cli._results import experiment_document, run_document, show_experiment


def train(
    configs: options.Configs,
    overrides: options.Overrides = None,
    seeds: options.SeedList = None,
    runs_dir: options.RunsDir = options.DEFAULT_RUNS_DIR,
    fresh: Annotated[bool, typer.Option("--fresh", help="Train finished seeds anew.")] = False,
    as_json: options.AsJson = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Every metric too.")] = False,
) -> None:
    """Train an algorithm on an environment, over several seeds, as a YAML file says.

    Finished seeds are kept, missing ones are trained; a changed config gets a folder of its own.

    Example: rl train configs/cartpole/ppo.yaml --seeds 3 --set algo.gamma=0.99
    """
    from rl_runner.cli import _progress
    from rl_runner.config import load_config
    from rl_runner.training.resolve import resolve

    changes = options.with_seeds(overrides, seeds)
    loaded = [load_config(path, changes) for path in configs]
    for config in loaded:  # all of them before any is trained: bad input changes nothing
        resolve(config)

    from rl_runner.training.train import train as train_experiment

    reporter = _progress.reporter(quiet=quiet, verbose=verbose)
    documents, failed = [], False
    try:
        for config in loaded:
            result = train_experiment(config, runs_dir=runs_dir, fresh=fresh, reporter=reporter)
            runs = [run_document(r.seed, str(r.path), dict(r.record)) for r in result.runs]
            path = str(result.path)
            document = experiment_document(path, result.name, result.hash, runs)
            documents.append(document)
            failed |= any(run.status == "failed" for run in result.runs)
            if not as_json:
                show_experiment(document, {r.seed: r.record.get("seconds") for r in result.runs})
    except KeyboardInterrupt:
        tell("Interrupted. Finished seeds are kept; the same command trains the others.")
        raise typer.Exit(130) from None
    finally:
        reporter.close()
    if as_json:
        show_json(documents[0] if len(documents) == 1 else documents)
    elif not quiet and console().is_terminal:
        show(f"See the curves: rl dashboard {runs_dir}")
    if failed:
        raise typer.Exit(1)
