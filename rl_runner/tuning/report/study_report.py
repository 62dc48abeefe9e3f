"""A study's report: its summary as data, its pictures, and both in TensorBoard."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rl_runner.runs.study_summary import ConfirmedSummary, Interval, StudySummary
from rl_runner.tuning.report.figures import draw_figures
from rl_runner.tuning.report.tensorboard_log import log_study
from rl_runner.tuning.study.study_folder import StudyFolder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

DOTS_PER_INCH = 120


@dataclass(frozen=True)
class StudyReport:
    """The results of a study: its summary, pictures by name, and a text of a few lines."""

    summary: StudySummary
    figures: "Mapping[str, Figure]"
    text: str

    @property
    def document(self) -> dict[str, Any]:
        """The summary as plain data."""
        return self.summary.to_json()


def load_report(path: Path) -> StudyReport:
    """Return the report of a study's folder, for instance to show it on a page.

    :raises StudyError: if the study is not finished
    """
    return report_of(StudyFolder(path).read_summary())


def report_of(summary: StudySummary) -> StudyReport:
    """Return the report of a summary (the content of summary.json)."""
    return StudyReport(summary, dict(draw_figures(summary)), "\n".join(describe(summary)))


def write_report(folder: StudyFolder, summary: StudySummary) -> StudyReport:
    """Write summary.json, the pictures, and TensorBoard's events; remove earlier pictures."""
    report = report_of(summary)
    with folder.write_lock():
        folder.write_summary(summary)
        folder.figures.mkdir(exist_ok=True)
        for old in folder.figures.glob("*.png"):
            old.unlink()
        for name, figure in report.figures.items():
            figure.savefig(folder.figures / f"{name}.png", dpi=DOTS_PER_INCH)
        log_study(folder.path, sorted(folder.figures.glob("*.png")), report.text)
    return report


def describe(summary: StudySummary) -> list[str]:
    """Return the results of a study as lines of text."""
    # The trials and the objectives.
    counts = ", ".join(f"{n} {outcome}" for outcome, n in summary.n_trials.items())
    lines = [f"Study {summary.study}: {counts}."]
    lines += [f"Objective: {item.description}, {item.direction}." for item in summary.objectives]
    # What fresh seeds say, and the best config.
    lines += [_describe_candidate(item) for item in summary.confirmed]
    if summary.winner:
        gain = summary.describe_gain("{:.4g}".format)
        lines.append(f"Winner: {summary.winner}{gain}. Its config is {summary.best_config}.")
    elif summary.best_config:
        lines.append(f"Not confirmed: trial {summary.best_trial}, in {summary.best_config}.")
    if summary.importances:
        shares = ", ".join(f"{name} {share:.2f}" for name, share in summary.importances.items())
        lines.append(f"Importances: {shares}.")
    return lines


def _describe_candidate(item: ConfirmedSummary) -> str:
    if not item.scores or item.mean is None:
        return f"{item.candidate}: failed on fresh seeds ({item.failures[0]})."
    text = f"{item.candidate}: {item.scores[0]:.4g} on fresh seeds"
    if not math.isclose(item.scores[0], item.mean):  # the score is, for instance, their median
        text += f", whose mean is {item.mean:.4g}"
    text += _interval(item.ci95)
    if item.gain is not None:
        text += f", {item.gain:+.4g} against the start{_interval(item.gain_ci95, '+')}"
    if item.search_scores:
        text += f"; {item.search_scores[0]:.4g} in the search"
    if item.optimism is not None:
        text += f", where its mean was better by {item.optimism:+.4g}"
        text += _interval(item.optimism_ci95, "+")
    return text + "."


def _interval(ends: Interval | None, sign: str = "") -> str:
    """Write an interval in brackets after a number; nothing if there is none."""
    return "" if ends is None else f" ({ends[0]:{sign}.4g} to {ends[1]:{sign}.4g})"
