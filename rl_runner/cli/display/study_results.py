"""Results of `rl tune`: the best trials, what fresh seeds say, and the verdict."""

from typing import TYPE_CHECKING

from rl_runner.cli.display.console import interval, number, show
from rl_runner.cli.display.study_progress import settings
from rl_runner.cli.display.tables import Column, table
from rl_runner.runs.study_summary import StudySummary

if TYPE_CHECKING:
    from rl_runner.tuning.report.study_summary import TuneResult

MOST_IMPORTANCES = 6  # hyperparameters listed as the most important


def show_result(result: "TuneResult") -> None:
    """Draw the best trials, the results on fresh seeds and the important hyperparameters."""
    summary = result.summary
    _show_trials(result, summary)
    if summary.confirmed:
        _show_confirmed(summary)
    shares = list(summary.importances.items())[:MOST_IMPORTANCES]
    if shares:
        listed = ", ".join(f"{name} {share:.2f}" for name, share in shares)
        show(f"Most important hyperparameters (share of the score's variance): {listed}.")
    if not result.stopped:
        show(verdict(result, summary))


def _show_trials(result: "TuneResult", summary: StudySummary) -> None:
    objectives = [f">{item.description}" for item in summary.objectives]
    rows = [
        [trial.number, *map(number, trial.scores), settings(trial.values)]
        for trial in result.complete[:5]
    ]
    if rows:
        show(table(["trial", *objectives, "hyperparameters"], rows, f"{result.study}: best trials"))
    counts = ", ".join(f"{n} {outcome}" for outcome, n in summary.n_trials.items())
    show(f"Trials: {counts or 'none'}.")
    if front := summary.pareto_front:
        show(f"Pareto front: trials {', '.join(map(str, front))}.")


def _show_confirmed(summary: StudySummary) -> None:
    """Draw the results on fresh seeds; intervals, gain and optimism are always the mean's."""
    of_means = summary.objectives[0].over_seeds == "mean"
    rows = [
        [
            item.candidate,
            number(item.search_scores[0]) if item.search_scores else "—",
            number(item.scores[0]) if item.scores else f"failed: {item.failures[0]}",
            *([] if of_means else [number(item.mean)]),
            interval(item.ci95),
            number(item.gain),
            interval(item.gain_ci95),
            number(item.optimism),
            interval(item.optimism_ci95),
        ]
        for item in summary.confirmed
    ]
    mean = () if of_means else (">mean",)
    optimism = (Column(">optimism", 1), Column(">95 %", 1))
    measured = (">search", ">fresh seeds", *mean, ">95 %", ">gain", ">95 %", *optimism)
    show(table(("candidate", *measured), rows, "Confirmed on fresh seeds"))


def verdict(result: "TuneResult", summary: StudySummary) -> str:
    """Say in one line how the study ended."""
    where = f"Ready for `rl train`: {summary.best_config}"
    if not summary.confirmed:
        return f"Not confirmed on fresh seeds. {where}"
    if result.winner is None:
        return "No candidate finished training on every fresh seed."
    if result.winner.candidate.trial is None:
        return f"No trial beats the starting config on fresh seeds. {where}"
    return f"Winner: {summary.winner}{summary.describe_gain(number)}. {where}"
