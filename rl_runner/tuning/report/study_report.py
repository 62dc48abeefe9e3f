"""A study's report: its summary as data, its pictures, and both in TensorBoard."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rl_runner.tuning.report.figures import draw_figures
from rl_runner.tuning.report.tensorboard_log import log_study
from rl_runner.tuning.study.study_folder import StudyFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS_PER_INCH = 120


@dataclass(frozen=True)
class StudyReport:
    """The results of a study: plain data, pictures by name, and a text of a few lines."""

    document: Mapping[str, Any]
    figures: "Mapping[str, Figure]"
    text: str


def load_report(path: Path) -> StudyReport:
    """Return the report of a study's folder, for instance to show it on a page.

    :raises StudyError: if the study is not finished
    """
    return report_of(StudyFolder(path).read_summary())


def report_of(document: Mapping[str, Any]) -> StudyReport:
    """Return the report of a summary (the content of summary.json)."""
    return StudyReport(document, dict(draw_figures(document)), "\n".join(describe(document)))


def write_report(folder: StudyFolder, document: Mapping[str, Any]) -> StudyReport:
    """Write summary.json, the pictures, and TensorBoard's events; remove earlier pictures."""
    report = report_of(document)
    with folder.write_lock():
        folder.write_summary(document)
        folder.figures.mkdir(exist_ok=True)
        for old in folder.figures.glob("*.png"):
            old.unlink()
        for name, figure in report.figures.items():
            figure.savefig(folder.figures / f"{name}.png", dpi=DOTS_PER_INCH)
        log_study(folder.path, sorted(folder.figures.glob("*.png")), report.text)
    return report


def describe(document: Mapping[str, Any]) -> list[str]:
    """Return the results of a study as lines of text."""
    counts = ", ".join(f"{n} {outcome}" for outcome, n in document["n_trials"].items())
    lines = [f"Study {document['study']}: {counts}."]
    lines += [
        f"Objective: {item['description']}, {item['direction']}." for item in document["objectives"]
    ]
    for item in document["confirmed"]:
        lines.append(_describe_candidate(item))
    if document["winner"]:
        lines.append(f"Winner: {document['winner']}, in {document['best_config']}.")
    elif document["best_config"]:
        lines.append(
            f"Not confirmed: trial {document['best_trial']}, in {document['best_config']}."
        )
    if document["importances"]:
        shares = ", ".join(f"{name} {share:.2f}" for name, share in document["importances"].items())
        lines.append(f"Importances: {shares}.")
    return lines


def _describe_candidate(item: Mapping[str, Any]) -> str:
    if not item["scores"]:
        return f"{item['candidate']}: failed on fresh seeds ({item['failures'][0]})."
    text = f"{item['candidate']}: {item['scores'][0]:.4g} on fresh seeds"
    if not math.isclose(
        item["scores"][0], item["mean"]
    ):  # the score is, for instance, their median
        text += f", whose mean is {item['mean']:.4g}"
    if item["ci95"]:
        text += f" ({item['ci95'][0]:.4g} to {item['ci95'][1]:.4g})"
    if item["gain"] is not None:
        text += f", {item['gain']:+.4g} against the start"
    if item["gain_ci95"]:
        text += f" ({item['gain_ci95'][0]:+.4g} to {item['gain_ci95'][1]:+.4g})"
    if item["search_scores"]:
        text += f"; {item['search_scores'][0]:.4g} in the search"
    if item["optimism"] is not None:
        text += f", whose mean was optimistic by {item['optimism']:.4g}"
    if item["optimism_ci95"]:
        text += f" ({item['optimism_ci95'][0]:.4g} to {item['optimism_ci95'][1]:.4g})"
    return text + "."
