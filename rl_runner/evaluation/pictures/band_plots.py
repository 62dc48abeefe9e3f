"""Plots of curves with confidence bands: learning curves and performance profiles.

Few experiments share one pair of axes. Many get a panel each, with the others in grey behind.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from rl_runner.evaluation.comparison.compare import Comparison, Row
from rl_runner.evaluation.comparison.confidence_bands import (
    Band,
    learning_band,
    performance_profile,
)
from rl_runner.evaluation.comparison.experiments import Curve
from rl_runner.evaluation.pictures.plot_style import GREY, experiment_colors, score_label
from rl_runner.evaluation.statistics.bounds import Bounds
from rl_runner.evaluation.statistics.ranks import FEWEST_FOR_RANKS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)))
# Dashes of the reference lines: the best known return, the random policy, then the baselines;
# and their names, for figures without a legend.
REFERENCE_DASHES = (
    (0, (5, 3)), (0, (1, 2)),
    (0, (5, 2, 1, 2)), (0, (5, 2, 1, 2, 1, 2)), (0, (9, 3)),
)  # fmt: skip
DASH_NAMES = ("dashed", "dotted", "dash-dotted", "dash-dot-dotted", "long dashes")
MOST_TOGETHER = 4  # experiments in one pair of axes; more bands would hide each other
PANELS_PER_ROW = 4
WIDE_BUDGETS = 5  # budgets that differ by a larger factor get a logarithmic axis
FEW_POINTS = 5  # curves with no more points get dots: a line of a single point is invisible


def draw_learning_curves(comparison: Comparison) -> "Figure":
    """Draw the interquartile mean return over timesteps, and its interval at each of them.

    Where there are too few runs for an interval, each run is drawn instead. Budgets that differ by
    more than a factor of five share a logarithmic axis.
    """
    # Draw the bands and the reference lines.
    bands = {
        row.label: band
        for row in comparison.rows
        if (band := band_of(row, comparison.bounds)) is not None
    }
    ends = [band.x[-1] for band in bands.values()]
    is_wide = max(ends) > WIDE_BUDGETS * min(ends)
    label = "timesteps (logarithmic)" if is_wide else "timesteps"
    references = _reference_lines(comparison)
    kind = "exact return" if comparison.measure == "exact" else "return"
    y_label = f"{kind} of periodic evaluations (IQM)"
    figure = _draw_bands(comparison, bands, label, y_label, references, few_points=FEW_POINTS)
    # Scale the axis of timesteps.
    for axes in figure.axes:
        if is_wide:
            axes.set_xscale("log")
        else:
            axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(_thousands)
    # Add the single runs of experiments with too few of them.
    colors = experiment_colors(comparison)
    for i, row in enumerate(row for row in comparison.rows if row.label in bands):
        axes = figure.axes[i if len(figure.axes) > 1 else 0]
        if len(row.experiment.finished) < FEWEST_FOR_RANKS:
            for curve in _curves_of(row):
                dots = _dots(curve.timesteps, 3, FEW_POINTS)
                color = colors[row.label]
                axes.plot(curve.timesteps, curve.returns, color=color, lw=0.7, alpha=0.6, **dots)
    return figure


def draw_performance_profiles(comparison: Comparison) -> "Figure":
    """Draw the share of runs that reached at least a return, for every return."""
    # All profiles span the same range of returns, a little wider than the scores.
    scores = np.concatenate([row.scores for row in comparison.rows])
    margin = 0.03 * (np.ptp(scores) or max(1.0, abs(scores[0])))
    ends = float(scores.min() - margin), float(scores.max() + margin)
    if (bounds := comparison.bounds) is not None:
        ends = max(bounds.low, ends[0]), min(bounds.high, ends[1])
    bands = {
        row.label: performance_profile(row.scores, _steps(row.scores, ends))
        for row in comparison.rows
        if len(row.scores)
    }
    label = "share of runs with at least this return"
    figure = _draw_bands(comparison, bands, score_label(comparison), label, {})
    for axes in figure.axes:
        axes.set(ylim=(-0.03, 1.03), xlim=ends)
    return figure


def band_of(row: Row, bounds: Bounds | None = None) -> Band | None:
    """Return an experiment's learning curve; None if no run has readable evaluations.

    :param bounds: of the returns, if they are known
    """
    return learning_band(_curves_of(row), bounds)


def _curves_of(row: Row) -> list[Curve]:
    return [run.curve for run in row.experiment.finished if run.curve is not None]


def _draw_bands(
    comparison: Comparison,
    bands: Mapping[str, Band],
    x_label: str,
    y_label: str,
    references: Mapping[str, float],
    *,
    few_points: int = 0,
) -> "Figure":
    """Draw bands by experiment: together if they are few, a panel each if they are many.

    :param references: horizontal lines by label
    :param few_points: curves with no more points have a dot at each
    """
    colors = experiment_colors(comparison)
    if len(bands) <= MOST_TOGETHER:
        figure = _draw_together(bands, colors, references, few_points)
        figure.axes[0].set(xlabel=x_label, ylabel=y_label)
        return figure
    figure = _draw_panels(bands, colors, references, few_points)
    named = [f"{dashes}: {name}" for dashes, name in zip(DASH_NAMES, references, strict=False)]
    figure.supxlabel("; ".join([x_label, *named]), fontsize=11)
    figure.supylabel(y_label, fontsize=11)
    return figure


def _draw_together(
    bands: Mapping[str, Band],
    colors: Mapping[str, str],
    references: Mapping[str, float],
    few_points: int,
) -> "Figure":
    """Draw all bands in one pair of axes, with a legend."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    axes = figure.subplots()
    for (label, band), line in zip(bands.items(), LINES, strict=False):
        _draw_band(axes, band, colors[label], line, label, few_points)
    for (label, value), dashes in zip(references.items(), REFERENCE_DASHES, strict=False):
        axes.axhline(value, color="0.5", lw=1, ls=dashes, zorder=0, label=label)
    axes.grid(color="0.92")
    figure.legend(loc="outside right upper", frameon=False, fontsize=9, handlelength=3)
    return figure


def _draw_panels(
    bands: Mapping[str, Band],
    colors: Mapping[str, str],
    references: Mapping[str, float],
    few_points: int,
) -> "Figure":
    """Draw a panel for each band, with all bands as grey lines behind it."""
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    # Lay out the panels; all share their axes.
    n_rows = -(-len(bands) // PANELS_PER_ROW)
    size = (2.9 * PANELS_PER_ROW, 0.8 + 2.1 * n_rows)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(n_rows, PANELS_PER_ROW, sharex=True, sharey=True, squeeze=False)
    # Draw each band in front of the others; lines of a single point are dots.
    others = [np.column_stack([band.x, band.value]) for band in bands.values()]
    single_points = [points for points in others if len(points) == 1]
    for axes, (label, band) in zip(grid.flat, bands.items(), strict=False):
        axes.add_collection(LineCollection(others, colors=GREY, linewidths=0.8, zorder=1))
        if single_points:
            axes.plot(*np.concatenate(single_points).T, "o", color=GREY, ms=3, zorder=1)
        _draw_band(axes, band, colors[label], "-", label, few_points)
        for value, dashes in zip(references.values(), REFERENCE_DASHES, strict=False):
            axes.axhline(value, color="0.5", lw=1, ls=dashes, zorder=0)
        axes.set_title(label, fontsize=9)
        axes.xaxis.set_major_locator(MaxNLocator(4, prune="upper"))  # panels stand close together
    # Remove the unused panels; those above them get tick labels.
    for i, axes in enumerate(grid.flat[len(bands) :], start=len(bands)):
        axes.remove()
        grid.flat[i - PANELS_PER_ROW].tick_params(labelbottom=True)
    return figure


def _draw_band(
    axes: "Axes", band: Band, color: str, line: Any, label: str, few_points: int
) -> None:
    if len(band.x) == 1:  # an area over a single point has no width
        axes.vlines(band.x, band.low, band.high, colors=color, alpha=0.45, lw=5, zorder=2)
    axes.fill_between(band.x, band.low, band.high, color=color, alpha=0.16, lw=0, zorder=2)
    dots = _dots(band.x, 6, few_points)
    axes.plot(band.x, band.value, color=color, ls=line, lw=1.8, label=label, zorder=3, **dots)


def _dots(points: np.ndarray, size: int, few_points: int) -> dict[str, Any]:
    return {"marker": "o", "ms": size} if len(points) <= few_points else {}


def _reference_lines(comparison: Comparison) -> dict[str, float]:
    """Return, by label, the returns of the best known policy, the random one and the baselines."""
    scale = comparison.scale
    if scale is None:
        return {}
    best = {} if scale.best is None else {str(scale.best_is).replace("_", " "): scale.best}
    references = {name.replace("_", " "): value for name, value in scale.references.items()}
    return {**best, "random policy": scale.random, **references}


def _steps(scores: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """Return where a profile changes: at each score, and right after it."""
    return np.unique(np.concatenate([ends, scores, np.nextafter(scores, np.inf)]))


def _thousands(value: float, _: float) -> str:
    """Format 50000 as 50k."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
