"""``rl compare``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rl_runner.cli import _options as options
from rl_runner.cli._console import duration, number, show, show_json, table, tell

if TYPE_CHECKING:
    from rl_runner.evaluation.comparison import Comparison, Row
    from rl_runner.evaluation.statistics import Estimate

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
    as_json: options.AsJson = False,
) -> None:
    """Compare experiments on the same environment, with intervals over seeds.

    Example: rl compare runs/cartpole-ppo-047f9429 runs/cartpole-dqn-4fe21192 --out report
    """
    from rl_runner.evaluation.comparison import compare as compare_experiments
    from rl_runner.evaluation.comparison_files import to_document, write_comparison
    from rl_runner.evaluation.experiments import load_experiments
    from rl_runner.evaluation.scales import load_scale_or_none

    loaded = load_experiments(experiments)
    scale = load_scale_or_none(loaded[0].config.env, loaded[0].path.resolve().parent)
    comparison = compare_experiments(loaded, scale=scale, threshold=threshold, agent=checkpoint)
    if as_json:
        show_json(to_document(comparison))
    else:
        _show(comparison)
    if out is not None:
        files = write_comparison(comparison, out)
        tell(f"{len(files)} files in {out}: {', '.join(file.name for file in files)}")


def _show(comparison: "Comparison") -> None:
    from rl_runner.evaluation.caveats import caveats

    kind = "exact" if comparison.measure == "exact" else "held-out"
    title = f"{comparison.environment.id}: mean {kind} return of the {comparison.agent} agent"
    columns = (
        "experiment", ">seeds", ">mean", "95 %", ">median", "95 %", ">IQM", "95 %", ">normalised",
    )  # fmt: skip
    show(table(columns, [_result_cells(row) for row in comparison.rows], title))
    show(_scale_line(comparison))
    show()
    show(_learning_table(comparison))
    if comparison.pairs:
        show(_pair_table(comparison))
    for text in caveats(comparison):
        show(f"[yellow]![/yellow] {text}")


def _result_cells(row: "Row") -> list[str]:
    cells = [row.label, f"{len(row.scores)} of {len(row.experiment.runs)}"]
    for name in ("mean", "median", "interquartile_mean"):
        estimate = None if row.aggregates is None else getattr(row.aggregates, name)
        cells += [number(None if estimate is None else estimate.value), _interval(estimate)]
    return [*cells, number(None if row.normalized is None else row.normalized.value, 3)]


def _interval(estimate: "Estimate | None", digits: int | None = None) -> str:
    if estimate is None or estimate.ci95 is None:
        return "—"
    low, high = estimate.ci95
    return f"{number(low, digits)} to {number(high, digits)}"


def _scale_line(comparison: "Comparison") -> str:
    scale = comparison.scale
    if scale is None:
        return ""
    measured = "exactly" if not scale.random_episodes else f"± {number(2 * scale.random_error)}"
    text = f"Normalised: the random policy, {number(scale.random)} ({measured}), is 0"
    if scale.best is None:
        return f"The random policy's return is {number(scale.random)} ({measured})."
    return f"{text}; the {str(scale.best_is).replace('_', ' ')}, {number(scale.best)}, is 1."


def _learning_table(comparison: "Comparison") -> object:
    threshold = number(comparison.threshold)
    columns = (
        "experiment", ">timesteps", f">reached {threshold}", ">steps to it", ">time to it",
        ">whole run", ">selection optimism",
    )  # fmt: skip
    rows = []
    for row in comparison.rows:
        reached = row.reached
        rows.append(
            (
                row.label,
                f"{row.experiment.config.train.total_timesteps:,}",
                "—" if reached is None else f"{reached.n} of {reached.of}",
                number(None if reached is None else reached.median_timesteps, 0),
                duration(None if reached is None else reached.median_seconds),
                duration(row.median_seconds),
                number(row.selection_optimism),
            )
        )
    return table(columns, rows, "Learning: medians over the seeds")


def _pair_table(comparison: "Comparison") -> object:
    from rl_runner.evaluation.caveats import verdict

    pairs = comparison.pairs
    title = "Differences of means"
    if len(pairs) > MOST_PAIRS:
        first = pairs[0].first
        title += f" from {first}; --json has all {len(pairs)} pairs"
        pairs = tuple(pair for pair in pairs if pair.first == first)
    columns = ("first − second", ">difference", "95 %", ">p (Holm)", ">P(better)", "95 %", "")
    rows = [
        (
            f"{pair.first} − {pair.second}",
            number(pair.difference),
            "—" if pair.ci95 is None else f"{number(pair.ci95[0])} to {number(pair.ci95[1])}",
            _p_value(pair.p_adjusted),
            number(pair.probability_of_improvement.value, 2),
            _interval(pair.probability_of_improvement, 2),
            verdict(pair),
        )
        for pair in pairs
    ]
    return table(columns, rows, title)


def _p_value(value: float | None) -> str:
    if value is None:
        return "—"
    return "< .001" if value < 0.001 else f"{value:.3f}"
