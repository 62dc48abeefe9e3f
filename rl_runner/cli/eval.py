"""``rl eval``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from rl_runner.cli import _options as options
from rl_runner.cli._console import show_json
from rl_runner.cli._offline import judge_by_logs
from rl_runner.cli._results import Document, experiment_document, run_document, show_experiment


def evaluate(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Runs or experiments.", show_default=False),
    ],
    episodes: Annotated[
        int | None,
        typer.Option(
            "--episodes", min=1, help="Held-out episodes per run; default: the config's number."
        ),
    ] = None,
    checkpoint: Annotated[
        Literal["last", "best"],
        typer.Option("--checkpoint", help="The agent at the end, or the best one on the way."),
    ] = "last",
    stochastic: Annotated[
        bool, typer.Option("--stochastic", help="Sample actions instead of taking the likeliest.")
    ] = False,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data", metavar="LOG", help="Judge runs that learned from logs by this one."
        ),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option("--window", metavar="SPAN", help="With --data: only the log's last 3d, 12h …"),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Play held-out episodes with trained agents, or judge them by a log.

    Example: rl eval runs/cartpole-ppo-3f9a1c2e --episodes 1000 --checkpoint best
    """
    if data:
        judge_by_logs(runs, data, window, as_json=as_json)
        return

    from rl_runner.config import experiment_hash
    from rl_runner.evaluation.saved_agent import load_run
    from rl_runner.runs.find import find_runs

    by_experiment: dict[Path, list[Path]] = {}
    for path in (run for argument in runs for run in find_runs(argument)):
        listed = by_experiment.setdefault(path.parent, [])
        if path not in listed:
            listed.append(path)

    documents: list[Document] = []
    for experiment, paths in by_experiment.items():
        described = []
        for path in paths:
            run = load_run(path, checkpoint)
            result = run.evaluate(episodes, deterministic=False if stochastic else None)
            document = run_document(run.seed, str(path), dict(run.record))
            document["mean_reward"] = result.mean_reward
            document["std_reward"] = result.std_reward
            document["n_episodes"] = len(result.returns)
            described.append(document)
        digest, name = experiment_hash(run.config), run.config.name
        documents.append(experiment_document(str(experiment), name, digest, described))
    if as_json:
        show_json(documents[0] if len(documents) == 1 else documents)
    else:
        for document in documents:
            show_experiment(document)
