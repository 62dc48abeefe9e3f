"""``rl compare``."""

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rl_runner.cli import FAILED, INTERRUPTED, options
from rl_runner.cli.display.comparison import decision_document, show_comparison, show_decision
from rl_runner.cli.display.console import show_json, show_message
from rl_runner.errors import Problem, RunnerError
from rl_runner.runs.provenance import usable_cores

if TYPE_CHECKING:
    from rl_runner.evaluation.comparison.compare import Comparison
    from rl_runner.training.commands.until_decided import Decision

EXIT_CODES = {"failed": FAILED, "interrupted": INTERRUPTED}


def compare(
    experiments: Annotated[
        list[Path],
        typer.Argument(
            metavar="EXPERIMENT",
            help="Experiment folders.",
            show_default=False,
            autocompletion=options.complete_run,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Also write JSON, CSV, LaTeX, PNG and SVG files here.",
        ),
    ] = None,
    checkpoint: Annotated[
        Literal["last", "best"],
        typer.Option(
            "--checkpoint", help="Compare the agents at the end of training, or the best ones."
        ),
    ] = "last",
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            help="Measure the time to this mean return; default: the environment's own.",
        ),
    ] = None,
    until_decided: Annotated[
        bool,
        typer.Option(
            "--until-decided",
            help="Train more seeds of two experiments until the difference is decided.",
        ),
    ] = False,
    max_seeds: Annotated[
        int, typer.Option("--max-seeds", min=5, help="Largest number of seeds per experiment.")
    ] = 30,
    batch: Annotated[
        int, typer.Option("--batch", min=1, help="Seeds per experiment and batch.")
    ] = 5,
    error_rate: Annotated[
        float,
        typer.Option("--error-rate", help="Largest probability of calling equal means different."),
    ] = 0.05,
    jobs: options.Jobs = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Compare experiments on the same environment, with confidence intervals over seeds.

    Example: rl compare runs/cartpole-ppo-f502fd63 runs/cartpole-dqn-7f91b108 --out report
    """
    _check_options(threshold, out)
    decision = None
    if until_decided:
        _check_two(experiments, error_rate)
        decision = _train(experiments, checkpoint, max_seeds, batch, error_rate, jobs, quiet=quiet)
    comparison = _compare(experiments, checkpoint, threshold)
    if decision is not None:
        comparison = _with_verdict_of(decision, comparison)
    _show(comparison, decision, as_json=as_json)
    if out is not None:
        _write(comparison, out)
    if decision is not None and decision.outcome in EXIT_CODES:
        raise typer.Exit(EXIT_CODES[decision.outcome])


def _check_options(threshold: float | None, out: Path | None) -> None:
    """Refuse a threshold that no mean return can reach, and a file in place of the folder."""
    if threshold is not None and not math.isfinite(threshold):
        what = f"The threshold must be a finite mean return, not {threshold}."
        raise RunnerError(
            Problem(what, "--threshold", "Leave it out to use the environment's own.")
        )
    if out is not None and out.exists() and not out.is_dir():
        what = "This is a file, but a comparison is written to a folder."
        raise RunnerError(Problem(what, str(out), "Choose another folder with `--out DIR`."))


def _check_two(experiments: list[Path], error_rate: float) -> None:
    """Refuse what ``--until-decided`` cannot decide."""
    if len(experiments) != 2:
        what = f"--until-decided compares two experiments, not {len(experiments)}."
        raise RunnerError(Problem(what, "", "Name two."))
    if not 0 < error_rate < 1:
        what = f"An error rate lies between 0 and 1; {error_rate} does not."
        raise RunnerError(Problem(what, "--error-rate", "5 % is 0.05."))


def _train(
    experiments: list[Path],
    agent: Literal["last", "best"],
    max_seeds: int,
    batch: int,
    error_rate: float,
    jobs: int | None,
    *,
    quiet: bool,
) -> "Decision":
    """Train more seeds of both experiments until their difference is decided."""
    from rl_runner.cli.display.progress import choose_reporter
    from rl_runner.training.commands.until_decided import train_until_decided

    reporter = choose_reporter(quiet=quiet, verbose=False)
    try:
        return train_until_decided(
            *experiments,
            agent=agent,
            max_seeds=max_seeds,
            batch=batch,
            error_rate=error_rate,
            jobs=jobs or usable_cores(),
            reporter=reporter,
        )
    finally:
        reporter.close()


def _compare(
    experiments: list[Path], agent: Literal["last", "best"], threshold: float | None
) -> "Comparison":
    """Load the experiments' results and compare them on the scale of their environment."""
    from rl_runner.evaluation.comparison.compare import compare as compare_experiments
    from rl_runner.evaluation.comparison.experiments import load_experiments
    from rl_runner.evaluation.comparison.scales import load_scale_or_reason

    loaded = load_experiments(experiments)
    scale, problem = load_scale_or_reason(loaded[0].config.env, loaded[0].path.resolve().parent)
    return compare_experiments(
        loaded, scale=scale, scale_problem=problem, threshold=threshold, agent=agent
    )


def _with_verdict_of(decision: "Decision", comparison: "Comparison") -> "Comparison":
    """Replace the verdict, which assumes a fixed number of seeds, by the sequential test's."""
    is_decided = decision.outcome == "decided"
    pairs = tuple(
        pair.with_sequential_verdict(decision.looks[-1], is_decided=is_decided)
        for pair in comparison.pairs
    )
    return replace(comparison, pairs=pairs)


def _show(comparison: "Comparison", decision: "Decision | None", *, as_json: bool) -> None:
    """Print the comparison, and what was decided if seeds were added."""
    from rl_runner.evaluation.comparison.export import to_document

    if as_json:
        document = to_document(comparison)
        if decision is not None:
            document["until_decided"] = decision_document(decision)
        show_json(document)
        return
    show_comparison(comparison)
    if decision is not None:
        show_decision(decision, [row.label for row in comparison.rows])


def _write(comparison: "Comparison", out: Path) -> None:
    """Write the comparison's tables and pictures into a folder."""
    from rl_runner.evaluation.comparison.export import write_comparison

    files = write_comparison(comparison, out)
    show_message(f"Wrote {len(files)} files to {out}: {', '.join(file.name for file in files)}")
