"""The plots of a comparison: intervals, and the probability of improvement of each pair.

Learning curves and performance profiles are in :mod:`.band_plots`.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from rl_runner.evaluation.comparison.compare import Comparison
from rl_runner.evaluation.comparison.confidence_bands import band_of
from rl_runner.evaluation.pictures.band_plots import (
    draw_learning_curves,
    draw_performance_profiles,
)
from rl_runner.evaluation.pictures.plot_style import (
    COLORS,
    FAINT,
    GRID,
    WIDE,
    Paper,
    experiment_colors,
    in_style,
    score_label,
)
from rl_runner.evaluation.statistics.summary import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STATISTICS = ("mean", "interquartile_mean", "median")  # a panel each
MOST_PAIRS_LISTED = 10  # more pairs are drawn as a matrix
CELL_INK = "#111111"  # on a light cell, on dark pages too
DOTS_SPREAD = 0.36  # of the height of an experiment's row


def draw_all(comparison: Comparison, paper: Paper = WIDE) -> Iterator[tuple[str, "Figure"]]:
    """Yield every plot for which there are data, with its name."""
    if any(band_of(row.experiment) is not None for row in comparison.rows):
        yield "learning-curves", draw_learning_curves(comparison, paper)
    yield "intervals", draw_intervals(comparison, paper)
    yield "performance-profiles", draw_performance_profiles(comparison, paper)
    if comparison.pairs:
        yield "probability-of-improvement", draw_probability_of_improvement(comparison, paper)


@in_style
def draw_intervals(comparison: Comparison, paper: Paper = WIDE) -> "Figure":
    """Draw each experiment's mean, interquartile mean and median with intervals, and every run."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    # The three panels stand side by side, or one below the other.
    rows = [row for row in comparison.rows if row.aggregates is not None]
    height = 0.55 * len(rows)
    shape = (len(STATISTICS), 1) if paper.is_narrow else (1, len(STATISTICS))
    size = (paper.width, 0.9 + shape[0] * (height + 0.3))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(*shape, sharey=True, sharex=True)
    colors = experiment_colors(comparison)
    for axes, name in zip(panels, STATISTICS, strict=True):
        # Each experiment: a bar and a tick for the estimate, a dot per run below them
        for place, row in enumerate(rows):
            dots = _spread_below(row.scores, place)
            axes.plot(row.scores, dots, "o", c="0.5", ms=3.5, mec="w", mew=0.4)
            _draw_estimate(axes, getattr(row.aggregates, name), place, colors[row.label])
        axes.set_title(name.replace("_", " "), fontsize=10)
        axes.grid(axis="x", color=GRID)
        axes.set_axisbelow(True)
        axes.xaxis.set_major_locator(MaxNLocator(4))
    panels[0].set_yticks(range(len(rows)), [paper.label(row.label) for row in rows])
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    panels[0].margins(x=0.03)  # bars end where the possible returns do
    figure.supxlabel(
        f"{score_label(comparison)};\nbars are 95 % intervals, dots are runs", fontsize=9
    )
    return figure


@in_style
def draw_probability_of_improvement(comparison: Comparison, paper: Paper = WIDE) -> "Figure":
    """Draw the probability that a run of one experiment beats one of another, for each pair."""
    if len(comparison.pairs) <= MOST_PAIRS_LISTED:
        return _draw_improvement_list(comparison, paper)
    return _draw_improvement_matrix(comparison, paper)


def _draw_improvement_list(comparison: Comparison, paper: Paper) -> "Figure":
    from matplotlib.figure import Figure

    # A row per pair, and a vertical line at one half, where neither is better
    pairs = comparison.pairs
    labels = [f"{paper.label(pair.first)}\nover {paper.label(pair.second)}" for pair in pairs]
    height = sum(0.17 * (1 + label.count("\n")) + 0.1 for label in labels)
    figure = Figure(figsize=(paper.width, 1.1 + height), layout="constrained")
    axes = figure.subplots()
    for place, pair in enumerate(pairs):
        _draw_estimate(axes, pair.probability_of_improvement, place, COLORS[0])
    axes.axvline(0.5, color=FAINT, lw=1, ls="--")
    axes.set_yticks(range(len(pairs)), labels, fontsize=9)
    axes.set(xlim=(-0.03, 1.03), ylim=(len(pairs) - 0.4, -0.6))
    figure.supxlabel("probability that a run of the first\nbeats one of the second", fontsize=9)
    axes.grid(axis="x", color=GRID)
    axes.set_axisbelow(True)
    return figure


def _draw_improvement_matrix(comparison: Comparison, paper: Paper) -> "Figure":
    from matplotlib.figure import Figure

    # Fill both halves of the matrix from the pairs.
    labels = [row.label for row in comparison.rows if len(row.scores)]
    place = {label: i for i, label in enumerate(labels)}
    matrix = np.full((len(labels), len(labels)), np.nan)
    is_shown = np.zeros(matrix.shape, dtype=bool)  # one of the two is better
    for pair in comparison.pairs:
        i, j = place[pair.first], place[pair.second]
        estimate = pair.probability_of_improvement
        matrix[i, j], matrix[j, i] = estimate.value, 1 - estimate.value
        is_shown[i, j] = is_shown[j, i] = pair.is_decided
    # Draw it as colours, with the number in each cell.
    width = paper.width if paper.is_narrow else 2.8 + 0.48 * len(labels)
    figure = Figure(figsize=(width, width), layout="constrained")
    axes = figure.subplots()
    axes.imshow(matrix, cmap="PuOr", vmin=0, vmax=1)
    for (i, j), value in np.ndenumerate(matrix):
        if i != j:
            color = "white" if abs(value - 0.5) > 0.3 else CELL_INK
            weight = "bold" if is_shown[i, j] else "normal"
            text = f"{value:.2f}".removeprefix("0") if 0 < value < 1 else f"{value:.0f}"
            size = 6 if paper.is_narrow else 8
            axes.text(
                j, i, text, ha="center", va="center", color=color, weight=weight, fontsize=size
            )
    # Label rows and columns.
    shown = [paper.label(label) for label in labels]
    font_size = 7 if paper.is_narrow else 8
    axes.set_yticks(range(len(labels)), shown, fontsize=font_size)
    axes.set_xticks(range(len(labels)), shown, fontsize=font_size, rotation=90)
    what = "probability that a run of the row beats one of the column"
    bold = "bold: a difference is shown"
    figure.supxlabel(f"{what};\n{bold}", fontsize=8 if paper.is_narrow else 9)
    return figure


def _draw_estimate(axes: "Axes", estimate: Estimate, place: float, color: str) -> None:
    """Draw a number as a vertical tick and its interval as a horizontal bar."""
    if estimate.ci95 is not None:
        low, high = estimate.ci95
        axes.plot([low, high], [place, place], color=color, lw=5, alpha=0.45, solid_capstyle="butt")
    axes.plot([estimate.value], [place], "|", color=color, ms=13, mew=2.5)


def _spread_below(scores: np.ndarray, place: int) -> np.ndarray:
    """Return heights below an experiment's bar for the dots of its runs, all of them different."""
    order = np.argsort(np.argsort(scores, kind="stable"), kind="stable")
    shifts: np.ndarray = place + 0.32 + DOTS_SPREAD * ((order + 0.5) / len(scores) - 0.5)
    return shifts
