"""The plots of a comparison: intervals, and the probability of improvement of each pair.

Learning curves and performance profiles are in :mod:`.band_plots`.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from rl_runner.evaluation.comparison.compare import Comparison
from rl_runner.evaluation.pictures.band_plots import (
    band_of,
    draw_learning_curves,
    draw_performance_profiles,
)
from rl_runner.evaluation.pictures.plot_style import COLORS, experiment_colors, score_label
from rl_runner.evaluation.statistics.summary import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STATISTICS = ("mean", "interquartile_mean", "median")  # a panel each
MOST_PAIRS_LISTED = 10  # more pairs are drawn as a matrix
DOTS_SPREAD = 0.36  # of the height of an experiment's row


def draw_all(comparison: Comparison) -> Iterator[tuple[str, "Figure"]]:
    """Yield every plot for which there are data, with its name."""
    if any(band_of(row) is not None for row in comparison.rows):
        yield "learning-curves", draw_learning_curves(comparison)
    yield "intervals", draw_intervals(comparison)
    yield "performance-profiles", draw_performance_profiles(comparison)
    if comparison.pairs:
        yield "probability-of-improvement", draw_probability_of_improvement(comparison)


def draw_intervals(comparison: Comparison) -> "Figure":
    """Draw each experiment's mean, interquartile mean and median with intervals, and every run."""
    from matplotlib.figure import Figure

    rows = [row for row in comparison.rows if row.aggregates is not None]
    height = 1.3 + 0.55 * len(rows)
    figure = Figure(figsize=(10, height), layout="constrained")
    panels = figure.subplots(1, len(STATISTICS), sharey=True, sharex=True)
    colors = experiment_colors(comparison)
    for axes, name in zip(panels, STATISTICS, strict=True):
        # Each experiment: a bar and a tick for the estimate, a dot per run below them
        for place, row in enumerate(rows):
            dots = _spread_below(row.scores, place)
            axes.plot(row.scores, dots, "o", c="0.5", ms=3.5, mec="w", mew=0.4)
            _draw_estimate(axes, getattr(row.aggregates, name), place, colors[row.label])
        axes.set_title(name.replace("_", " "), fontsize=11)
        axes.grid(axis="x", color="0.9")
        axes.set_axisbelow(True)
    panels[0].set_yticks(range(len(rows)), [row.label for row in rows])
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    label = f"{score_label(comparison)}; bars are 95 % intervals, dots are runs"
    figure.supxlabel(label, fontsize=10)
    return figure


def draw_probability_of_improvement(comparison: Comparison) -> "Figure":
    """Draw the probability that a run of one experiment beats one of another, for each pair."""
    if len(comparison.pairs) <= MOST_PAIRS_LISTED:
        return _draw_improvement_list(comparison)
    return _draw_improvement_matrix(comparison)


def _draw_improvement_list(comparison: Comparison) -> "Figure":
    from matplotlib.figure import Figure

    # A row per pair, and a vertical line at one half, where neither is better
    pairs = comparison.pairs
    figure = Figure(figsize=(7.5, 1.4 + 0.42 * len(pairs)), layout="constrained")
    axes = figure.subplots()
    for place, pair in enumerate(pairs):
        _draw_estimate(axes, pair.probability_of_improvement, place, COLORS[0])
    axes.axvline(0.5, color="0.4", lw=1, ls="--")
    axes.set_yticks(range(len(pairs)), [f"{pair.first}  over  {pair.second}" for pair in pairs])
    axes.set(xlim=(-0.03, 1.03), ylim=(len(pairs) - 0.4, -0.6))
    axes.set_xlabel("probability that a run of the first beats one of the second")
    axes.grid(axis="x", color="0.9")
    return figure


def _draw_improvement_matrix(comparison: Comparison) -> "Figure":
    from matplotlib.figure import Figure

    # Fill both halves of the matrix from the pairs.
    labels = [row.label for row in comparison.rows if len(row.scores)]
    place = {label: i for i, label in enumerate(labels)}
    matrix = np.full((len(labels), len(labels)), np.nan)
    is_clear = np.zeros(matrix.shape, dtype=bool)  # the interval excludes one half
    for pair in comparison.pairs:
        i, j = place[pair.first], place[pair.second]
        estimate = pair.probability_of_improvement
        matrix[i, j], matrix[j, i] = estimate.value, 1 - estimate.value
        low, high = estimate.ci95 or (0.0, 1.0)
        is_clear[i, j] = is_clear[j, i] = not low <= 0.5 <= high
    # Draw it as colours, with the number in each cell.
    size = 2.5 + 0.48 * len(labels)
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(matrix, cmap="PuOr", vmin=0, vmax=1)
    for (i, j), value in np.ndenumerate(matrix):
        if i != j:
            color = "white" if abs(value - 0.5) > 0.35 else "black"
            weight = "bold" if is_clear[i, j] else "normal"
            text = f"{value:.2f}".removeprefix("0") if value < 1 else "1"
            axes.text(j, i, text, ha="center", va="center", color=color, weight=weight, fontsize=8)
    # Label rows, columns and colours.
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")
    title = "probability that a run of the row beats one of the column"
    figure.colorbar(image, ax=axes, label=title, shrink=0.7)
    axes.set_xlabel("bold: the 95 % interval excludes one half", fontsize=9)
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
