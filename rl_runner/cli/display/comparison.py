"""The tables of `rl compare`."""

from typing import TYPE_CHECKING

from rich.text import Text

from rl_runner.cli.display.console import duration, interval, number, show
from rl_runner.cli.display.tables import Column, table

if TYPE_CHECKING:
    from rl_runner.evaluation.comparison.compare import Comparison, Row
    from rl_runner.training.commands.until_decided import Decision

MOST_PAIRS = 15  # more are shown against the first experiment only


def show_comparison(comparison: "Comparison") -> None:
    """Draw results, learning and differences, and say what they cannot support."""
    from rl_runner.evaluation.comparison.caveats import caveats

    kind = "exact" if comparison.measure == "exact" else "held-out"
    title = f"{comparison.environment.id}: mean {kind} return of the {comparison.agent} agent"
    digits = 3 if max(abs(row.scores).max(initial=0) for row in comparison.rows) < 10 else 1
    columns = (
        "experiment", ">seeds", ">mean", "95 %", Column(">IQM", 1), Column("95 %", 1),
        Column(">median", 2), Column("95 %", 2),
    )  # fmt: skip
    show(table(columns, [_result_cells(row, digits) for row in comparison.rows], title))
    show(_bounds_line(comparison))
    show("", _learning_table(comparison))
    show(_scale_line(comparison))
    if comparison.pairs:
        show("", _pair_table(comparison, digits))
    for text in caveats(comparison):
        show(Text.assemble(("!", "yellow"), " ", text))


def _result_cells(row: "Row", digits: int) -> list[str]:
    cells = [row.label, f"{len(row.scores)} of {len(row.experiment.runs)}"]
    for name in ("mean", "interquartile_mean", "median"):
        estimate = None if row.aggregates is None else getattr(row.aggregates, name)
        value = None if estimate is None else estimate.value
        cells += [number(value, digits), interval(estimate.ci95 if estimate else None, digits)]
    return cells


def _bounds_line(comparison: "Comparison") -> str:
    bounds = comparison.bounds
    if bounds is None:
        return ""
    return f"Possible: {number(bounds.low)} to {number(bounds.high)} ({bounds.source})."


def _scale_line(comparison: "Comparison") -> str:
    scale = comparison.scale
    if scale is None:
        return ""
    measured = "exact" if not scale.random_episodes else f"± {number(2 * scale.random_error)}"
    random = f"the random policy, {number(scale.random)} ({measured})"
    names = (f"{name.replace('_', ' ')}, {number(at)}" for name, at in scale.references.items())
    others = f" Baselines: {'; '.join(names)}." if scale.references else ""
    if scale.best is None:
        return f"For comparison: {random}.{others}"
    best = f"the {str(scale.best_is).replace('_', ' ')}, {number(scale.best)}"
    return f"Normalised means: 0 is {random}; 1 is {best}.{others}"


def _learning_table(comparison: "Comparison") -> object:
    threshold = number(comparison.threshold)
    columns = (
        "experiment", Column(">normalised", 2), Column(">budget", 4), f">reached {threshold}",
        ">timesteps to reach", Column(">time to reach", 3), Column(">total time", 4),
        Column(">best agent", 1), Column(">selection optimism", 5),
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
                number(row.best_mean_reward),
                number(row.selection_optimism),
            )
        )
    return table(
        columns, rows, "Learning (timesteps and times: medians over seeds; best agents: means)"
    )


def _pair_table(comparison: "Comparison", digits: int) -> object:
    from rl_runner.evaluation.comparison.pairs import verdict

    # Show all pairs if they are few, else those of the first experiment.
    pairs, first = comparison.pairs, comparison.rows[0].label
    title, column = "Differences of means", "first − second"
    with_first = [pair for pair in pairs if pair.first == first]
    if len(pairs) > MOST_PAIRS:
        title = f"Differences of means from {first} (--json has all {len(pairs)} pairs)"
    if len(pairs) > MOST_PAIRS or len(pairs) == len(with_first):
        pairs, column = tuple(with_first), f"{first} − …"
    # On a narrow terminal the columns with a rank are left out.
    level = "95 %" if len(comparison.pairs) == 1 else "≥ 95 %"  # that of Holm's test of the pair
    columns = (
        column, ">difference", level, Column(">p (Holm)", 2), Column(">P(better)", 1),
        Column("95 %", 1), "first is",
    )  # fmt: skip
    rows = [
        (
            pair.second if column.endswith("…") else f"{pair.first} − {pair.second}",
            number(pair.difference, digits),
            interval(pair.ci95, digits),
            _p_value(pair.p_adjusted),
            number(pair.probability_of_improvement.value, 2),
            interval(pair.probability_of_improvement.ci95, 2),
            verdict(pair),
        )
        for pair in pairs
    ]
    return table(columns, rows, title)


def _p_value(value: float | None) -> str:
    if value is None:
        return "—"
    return "< .001" if value < 0.001 else f"{value:.3f}"


def show_decision(decision: "Decision", labels: list[str]) -> None:
    """Show the difference after each batch of seeds, and the outcome."""
    rows = [
        (
            look.n,
            number(look.difference),
            interval(look.interval, 3),
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
    show(
        "The intervals and p values of the tables above assume that the number of seeds was fixed "
        "in advance. The verdict and this table do not."
    )
    if decision.bounds is None and decision.outcome in {"decided", "undecided"}:
        show(
            "The possible range of returns is not known, so the error rate assumes normal "
            "differences: failures too rare to have occurred can be missed. "
            "`env.return_bounds: [low, high]` in the configs removes the assumption."
        )


def _outcome_text(decision: "Decision", labels: list[str]) -> str:
    look = decision.looks[-1]
    rate = f"{decision.error_rate:g}"
    match decision.outcome:
        case "decided":
            higher = labels[0] if look.difference > 0 else labels[1]
            return (
                f"Decided with {look.n} seeds per experiment: {higher} has the higher mean "
                f"(error rate {rate} over all looks)."
            )
        case "undecided":
            return (
                f"Not decided with {look.n} seeds per experiment at an error rate of {rate}. "
                "Repeat the command with a larger --max-seeds to continue; the error rate holds."
            )
        case "failed":
            reasons = "; ".join(decision.without_result)
            return (
                "Stopped, because some seeds have no result and leaving them out would favour the "
                f"experiment whose bad seeds crash ({reasons})."
            )
    return "Interrupted. Repeat the command to resume."


def decision_document(decision: "Decision") -> dict[str, object]:
    """Describe each look at the difference, and the outcome, for JSON."""
    from dataclasses import asdict

    return {
        "outcome": decision.outcome,
        "error_rate": decision.error_rate,
        "max_seeds": decision.max_seeds,
        "bounds": None if decision.bounds is None else asdict(decision.bounds),
        "looks": [asdict(look) for look in decision.looks],
        "without_result": list(decision.without_result),
    }
