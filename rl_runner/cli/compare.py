"""``rl compare``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rl_runner.cli import _options as options
from rl_runner.cli._console import duration, number, show, show_json, table, tell

if TYPE_CHECKING:
    from rl_runner.evaluation.comparison import Comparison, Row
    from rl_runner.evaluation.intervals import Interval
    from rl_runner.training.until_decided import Decision

EXIT_CODES = {"failed": 1, "interrupted": 130}
MOST_PAIRS = 15  # more are shown against the first experiment only


def compare(
    experiments: Annotated[
        list[Path],
        typer.Argument(metavar="EXPERIMENT...", help="Experiment folders.", show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write JSON, CSV, LaTeX, PNG and SVG there."),
    ] = None,
    checkpoint: Annotated[
        Literal["last", "best"],
        typer.Option("--checkpoint", help="Compare the agents at the end, or the best ones."),
    ] = "last",
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            help="A mean return whose first reaching is timed; default: the environment's own.",
        ),
    ] = None,
    until_decided: Annotated[
        bool,
        typer.Option(
            "--until-decided",
            help="Train more seeds of two experiments until they differ for sure.",
        ),
    ] = False,
    max_seeds: Annotated[
        int, typer.Option("--max-seeds", min=5, help="At most so many seeds of each.")
    ] = 30,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Seeds of each at a time.")] = 5,
    error_rate: Annotated[
        float,
        typer.Option("--error-rate", help="How often equal means may be called different."),
    ] = 0.05,
    jobs: options.Jobs = None,
    as_json: options.AsJson = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")] = False,
) -> None:
    """Compare experiments on the same environment, with intervals over seeds.

    Example: rl compare runs/cartpole-ppo-047f9429 runs/cartpole-dqn-4fe21192 --out report
    """
    from rl_runner.evaluation.comparison import compare as compare_experiments
    from rl_runner.evaluation.comparison_files import to_document, write_comparison
    from rl_runner.evaluation.experiments import load_experiments
    from rl_runner.evaluation.scales import load_scale_or_none

    decision = None
    if until_decided:
        _check_two(experiments, error_rate)
        decision = _train(experiments, max_seeds, batch, error_rate, jobs, quiet=quiet)
    loaded = load_experiments(experiments)
    scale = load_scale_or_none(loaded[0].config.env, loaded[0].path.resolve().parent)
    comparison = compare_experiments(loaded, scale=scale, threshold=threshold, agent=checkpoint)
    if as_json:
        document = to_document(comparison)
        if decision is not None:
            document["until_decided"] = _decision_document(decision)
        show_json(document)
    else:
        _show(comparison)
        if decision is not None:
            _show_decision(decision, [row.label for row in comparison.rows])
    if out is not None:
        files = write_comparison(comparison, out)
        tell(f"{len(files)} files in {out}: {', '.join(file.name for file in files)}")
    if decision is not None and decision.outcome in EXIT_CODES:
        raise typer.Exit(EXIT_CODES[decision.outcome])


def _check_two(experiments: list[Path], error_rate: float) -> None:
    from rl_runner.errors import Problem, RunnerError

    if len(experiments) != 2:
        what = f"--until-decided compares two experiments, not {len(experiments)}."
        raise RunnerError(Problem(what, "", "Name two."))
    if not 0 < error_rate < 1:
        what = f"An error rate lies between 0 and 1; {error_rate} does not."
        raise RunnerError(Problem(what, "--error-rate", "5 % is 0.05."))


def _train(
    experiments: list[Path],
    max_seeds: int,
    batch: int,
    error_rate: float,
    jobs: int | None,
    *,
    quiet: bool,
) -> "Decision":
    from rl_runner.cli import _progress
    from rl_runner.training.launcher import n_cores
    from rl_runner.training.until_decided import train_until_decided

    reporter = _progress.reporter(quiet=quiet, verbose=False)
    try:
        return train_until_decided(
            *experiments,
            max_seeds=max_seeds,
            batch=batch,
            error_rate=error_rate,
            jobs=jobs or n_cores(),
            reporter=reporter,
        )
    finally:
        reporter.close()


def _show_decision(decision: "Decision", labels: list[str]) -> None:
    rows = [
        (
            look.n,
            number(look.difference),
            "—" if look.interval is None else _interval(look.interval, 3),
            number(look.e_value, 2),
            "yes" if look.is_decided else "no",
        )
        for look in decision.looks
    ]
    first, second = labels
    columns = (">seeds", ">difference", f"{100 * (1 - decision.error_rate):g} % at all looks",
               ">e-value", "decided")  # fmt: skip
    show("", table(columns, rows, f"{first} − {second}, seed by seed, after each batch"))
    show(_outcome_text(decision, labels))


def _outcome_text(decision: "Decision", labels: list[str]) -> str:
    look = decision.looks[-1]
    rate = f"{decision.error_rate:g}"
    match decision.outcome:
        case "decided":
            higher = labels[0] if look.difference > 0 else labels[1]
            return (
                f"Decided with {look.n} seeds of each, at an error rate of {rate} over all looks: "
                f"{higher} has the higher mean. The tables above take the number of seeds for "
                "fixed beforehand; this line does not."
            )
        case "undecided":
            return (
                f"Not decided with {look.n} seeds of each, at an error rate of {rate}. "
                "A larger --max-seeds goes on from here, and the error rate still holds."
            )
        case "failed":
            reasons = "; ".join(decision.without_result)
            return (
                "Stopped, because leaving out seeds without a result would favour the experiment "
                f"whose bad seeds crash ({reasons})."
            )
    return "Stopped. The same command goes on where it was."


def _decision_document(decision: "Decision") -> dict[str, object]:
    from dataclasses import asdict

    return {
        "outcome": decision.outcome,
        "error_rate": decision.error_rate,
        "max_seeds": decision.max_seeds,
        "looks": [asdict(look) for look in decision.looks],
        "without_result": list(decision.without_result),
    }


def _show(comparison: "Comparison") -> None:
    from rl_runner.evaluation.caveats import caveats

    kind = "exact" if comparison.measure == "exact" else "held-out"
    title = f"{comparison.environment.id}: mean {kind} return of the {comparison.agent} agent"
    digits = 3 if max(abs(row.scores).max(initial=0) for row in comparison.rows) < 10 else 1
    columns = ("experiment", ">seeds", ">mean", "95 %", ">IQM", "95 %", ">median", "95 %")
    show(table(columns, [_result_cells(row, digits) for row in comparison.rows], title))
    show(_learning_table(comparison))
    show(_scale_line(comparison))
    if comparison.pairs:
        show("", _pair_table(comparison, digits))
    for text in caveats(comparison):
        show(f"[yellow]![/yellow] {text}")


def _result_cells(row: "Row", digits: int) -> list[str]:
    cells = [row.label, f"{len(row.scores)} of {len(row.experiment.runs)}"]
    for name in ("mean", "interquartile_mean", "median"):
        estimate = None if row.aggregates is None else getattr(row.aggregates, name)
        value = None if estimate is None else estimate.value
        cells += [number(value, digits), _interval(estimate.ci95 if estimate else None, digits)]
    return cells


def _interval(ci95: "Interval | None", digits: int) -> str:
    return "—" if ci95 is None else f"{number(ci95[0], digits)} to {number(ci95[1], digits)}"


def _scale_line(comparison: "Comparison") -> str:
    scale = comparison.scale
    if scale is None:
        return ""
    measured = "exact" if not scale.random_episodes else f"± {number(2 * scale.random_error)}"
    random = f"the random policy, {number(scale.random)} ({measured})"
    if scale.best is None:
        return f"For comparison: {random}."
    best = f"the {str(scale.best_is).replace('_', ' ')}, {number(scale.best)}"
    return f"Normalised means: {random}, is 0; {best}, is 1."


def _learning_table(comparison: "Comparison") -> object:
    threshold = number(comparison.threshold)
    columns = (
        "experiment", ">normalised", ">budget", f">reached {threshold}", ">steps to it",
        ">time to it", ">whole run", ">selection optimism",
    )  # fmt: skip
    rows = []
    for row in comparison.rows:
        reached = row.reached
        rows.append(
            (
                row.label,
                number(None if row.normalized is None else row.normalized.value, 3),
                f"{row.experiment.config.train.total_timesteps:,}",
                "—" if reached is None else f"{reached.n} of {reached.of}",
                number(None if reached is None else reached.median_timesteps, 0),
                duration(None if reached is None else reached.median_seconds),
                duration(row.median_seconds),
                number(row.selection_optimism),
            )
        )
    return table(columns, rows, "Learning: steps and times are medians over the seeds")


def _pair_table(comparison: "Comparison", digits: int) -> object:
    from rl_runner.evaluation.caveats import verdict

    pairs = comparison.pairs
    title = "Differences of means"
    if len(pairs) > MOST_PAIRS:
        first = pairs[0].first
        title += f" from {first}; --json has all {len(pairs)} pairs"
        pairs = tuple(pair for pair in pairs if pair.first == first)
    columns = ("first − second", ">difference", "95 %", ">p (Holm)", ">P(better)", "95 %", "claim")
    rows = [
        (
            f"{pair.first} − {pair.second}",
            number(pair.difference, digits),
            _interval(pair.ci95, digits),
            _p_value(pair.p_adjusted),
            number(pair.probability_of_improvement.value, 2),
            _interval(pair.probability_of_improvement.ci95, 2),
            verdict(pair),
        )
        for pair in pairs
    ]
    return table(columns, rows, title)


def _p_value(value: float | None) -> str:
    if value is None:
        return "—"
    return "< .001" if value < 0.001 else f"{value:.3f}"
