"""``rl eval``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rl_runner.cli import options
from rl_runner.cli.display.console import show_json, show_message
from rl_runner.cli.display.evaluations import evaluation_document, show_evaluations
from rl_runner.cli.display.logs import show_log_evaluation
from rl_runner.errors import ConfigError, Problem

if TYPE_CHECKING:
    from rl_runner.evaluation.play.targets import EvaluationOptions


Targets = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="RUN",
        help="Runs or experiments; with --policy also configs, with --trust also SB3 zips.",
        show_default=False,
        autocompletion=options.complete_run,
    ),
]
Episodes = Annotated[
    int | None,
    typer.Option(
        "--episodes",
        min=1,
        help="Held-out episodes per run; default: the config's final_episodes.",
    ),
]
Policy = Annotated[
    str | None,
    typer.Option(
        "--policy",
        metavar="NAME",
        help="Evaluate a baseline: random, greedy, optimal, or one of the environment's own.",
        autocompletion=options.complete_policy,
    ),
]
EnvId = Annotated[
    str | None,
    typer.Option("--env", metavar="ID", help="The environment, for --policy or an SB3 zip file."),
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        min=0,
        help="The seed of the held-out episodes, if RUN is not a run of rl_runner.",
    ),
]
Algo = Annotated[str | None, typer.Option("--algo", help="The algorithm that saved the zip file.")]
Trust = Annotated[
    bool,
    typer.Option("--trust", help="Load zip files not made by rl_runner; this runs pickled code."),
]
Normalization = Annotated[
    Path | None,
    typer.Option(
        "--normalization",
        metavar="FILE",
        help="The statistics that VecNormalize saved for the zip file (this runs pickled "
        "code), or `none`.",
    ),
]
EpisodeTable = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Also write every episode to a .csv or .json file."),
]
Logs = Annotated[
    list[str] | None,
    typer.Option("--data", metavar="LOG", help="Evaluate runs that learned from logs on this log."),
]
Window = Annotated[
    str | None,
    typer.Option(
        "--window",
        metavar="SPAN",
        help="With --data: use only the end of the log, e.g. 3d or 12h.",
    ),
]


def evaluate(
    context: typer.Context,
    targets: Targets = None,
    episodes: Episodes = None,
    checkpoint: options.Checkpoint = None,
    policy: Policy = None,
    env: EnvId = None,
    stochastic: options.Stochastic = False,
    seed: Seed = 0,
    algo: Algo = None,
    trust: Trust = False,
    normalization: Normalization = None,
    out: EpisodeTable = None,
    data: Logs = None,
    window: Window = None,
    as_json: options.AsJson = False,
) -> None:
    """Evaluate trained agents or baselines on held-out episodes.

    With --data, agents that learned from logs are evaluated on a log instead.

    Example: rl eval runs/cartpole-ppo-3f9a1c2e --episodes 1000 --checkpoint best
    """
    if not targets and env is None:
        context.fail("Missing argument 'RUN...' (or --env ID --policy NAME).")
    # Runs that learned from logs are judged by a log.
    if data:
        _check_judged_by_log(targets, options.given(context))
        _judge_by_log(targets or [], data, window, as_json=as_json)
        return
    if window is not None:
        context.fail("--window selects a part of a log: give --data as well.")
    # All others play episodes.
    from rl_runner.evaluation.play.targets import EvaluationOptions

    chosen = EvaluationOptions(
        n_episodes=episodes,
        checkpoint=checkpoint,
        policy=policy,
        deterministic=False if stochastic else None,
        env_id=env,
        seed=seed,
        algo=algo,
        trust=trust,
        normalization=normalization,
    )
    _play_episodes(targets or [], chosen, out, as_json=as_json)


def _play_episodes(
    targets: list[Path], chosen: "EvaluationOptions", out: Path | None, *, as_json: bool
) -> None:
    """Evaluate targets on held-out episodes, show the results, and write every episode to a table.

    :param out: the table; None writes none
    """
    from rl_runner.evaluation.play.policy_evaluation import check_table_path, write_episode_table
    from rl_runner.evaluation.play.targets import evaluate_targets

    if out is not None:
        check_table_path(out)  # before anything is played
    groups = evaluate_targets(targets, chosen)
    # Show notes and results.
    documents = [evaluation_document(group) for group in groups]
    for group in groups:
        if group.note:
            show_message(f"{group.path or group.name}: {group.note}")
    if as_json:
        show_json(documents[0] if len(documents) == 1 else documents)
    else:
        for document in documents:
            show_evaluations(document)
    # Write the table.
    if out is not None:
        write_episode_table(out, [each for group in groups for each in group.evaluations])
        show_message(f"Wrote every episode to {out}")


def _check_judged_by_log(targets: list[Path] | None, given: list[str]) -> None:
    """Refuse ``--data`` without a run, or with options that concern episodes."""
    about_episodes = [each for each in given if each not in {"--data", "--window", "--json"}]
    if about_episodes:
        cure = "Leave out this option, or leave out --data to play episodes."
        raise ConfigError(
            Problem("An evaluation on a log plays no episodes.", about_episodes[0], cure)
        )
    if not targets:
        cure = "Name a run that `rl train` made from a config with a `data` section."
        raise ConfigError(Problem("There is no run to evaluate.", "--data", cure))


def _judge_by_log(runs: list[Path], data: list[str], window: str | None, *, as_json: bool) -> None:
    """Judge each run by the logs ``data``, and show the results."""
    from rl_runner.offline.judging.run_evaluation import evaluate_on_logs

    documents = []
    for run in runs:
        evaluation = evaluate_on_logs(run, data, window)
        documents.append(evaluation.to_dict())
        if not as_json:
            show_log_evaluation(evaluation)
    if as_json:
        show_json(documents[0] if len(documents) == 1 else documents)
