"""Plots of curves with confidence bands: learning curves and performance profiles.

Few experiments share one pair of axes. Many get a panel each, with the others as thin lines behind.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rl_runner.evaluation.comparison.compare import Comparison
from rl_runner.evaluation.comparison.confidence_bands import (
    Band,
    band_of,
    curves_of,
    performance_profile,
)
from rl_runner.evaluation.comparison.experiments import Curve
from rl_runner.evaluation.pictures.line_labels import LineLabel, label_lines
from rl_runner.evaluation.pictures.plot_style import (
    FAINT,
    GRID,
    WIDE,
    Paper,
    experiment_colors,
    in_style,
    score_label,
)
from rl_runner.evaluation.statistics.ranks import FEWEST_FOR_RANKS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_CURVES_TOGETHER = 3  # in one pair of axes; more bands would hide each other
MOST_PROFILES_TOGETHER = 2  # their bands are wider
WIDE_BUDGETS = 5  # budgets that differ by a larger factor get a logarithmic axis
LINEAR_DECADES = 0.4  # the width of the linear part of such an axis, in decades
FEW_POINTS = 5  # curves with no more points get dots: a line of a single point is invisible
MARGIN = 0.03  # of the drawn range, on either side
# Dashes of the reference lines: the best known return, the random policy, then the baselines.
REFERENCE_DASHES = (
    (0, (5, 3)), (0, (1, 2)),
    (0, (5, 2, 1, 2)), (0, (5, 2, 1, 2, 1, 2)), (0, (9, 3)),
)  # fmt: skip


@in_style
def draw_learning_curves(comparison: Comparison, paper: Paper = WIDE) -> "Figure":
    """Draw the interquartile mean return over timesteps, and its interval at each of them.

    Where there are too few runs for an interval, each run is drawn instead. Budgets that differ by
    more than a factor of five share a logarithmic axis. The axis of returns ends where the possible
    returns do.
    """
    bands = {
        row.label: band
        for row in comparison.rows
        if (band := band_of(row.experiment, comparison.bounds)) is not None
    }
    rows = [row for row in comparison.rows if row.label in bands]
    colors = experiment_colors(comparison)
    references = _reference_lines(comparison)
    # Draw the bands, a few of them together, and the single runs of experiments with few of them.
    are_together = len(bands) <= MOST_CURVES_TOGETHER
    figure = _panels(1 if are_together else len(bands), paper)
    for i, row in enumerate(rows):
        axes = figure.axes[0 if are_together else i]
        if not are_together:
            _draw_others(axes, bands, colors)
            axes.set_title(paper.label(row.label), fontsize=9)
        _draw_band(axes, bands[row.label], colors[row.label], row.label, FEW_POINTS)
        if len(row.experiment.finished) < FEWEST_FOR_RANKS:
            _draw_runs(axes, curves_of(row.experiment), colors[row.label])
    # Draw the reference lines.
    for axes in figure.axes:
        for (label, value), dashes in zip(references.items(), REFERENCE_DASHES, strict=False):
            axes.axhline(value, color=FAINT, lw=1, ls=dashes, zorder=1, label=label)
    # Scale and name the axes.
    _set_timesteps(figure, list(bands.values()))
    _set_returns(figure)
    kind = "exact return" if comparison.measure == "exact" else "return"
    _name_axes(figure, paper, _timesteps_label(figure), f"{kind} of periodic evaluations (IQM)")
    # Name the lines where they end.
    lines = [LineLabel(label, b.value[-1], colors[label]) for label, b in bands.items()]
    named = [LineLabel(label, value, FAINT) for label, value in references.items()]
    label_lines(figure, [*lines, *named] if are_together else named, paper)
    return figure


@in_style
def draw_performance_profiles(comparison: Comparison, paper: Paper = WIDE) -> "Figure":
    """Draw the share of runs that reached at least a return, for every return."""
    # All profiles span the same range of returns, a little wider than the scores.
    scores = np.concatenate([row.scores for row in comparison.rows])
    margin = MARGIN * (np.ptp(scores) or max(1.0, abs(scores[0])))
    ends = float(scores.min() - margin), float(scores.max() + margin)
    if (bounds := comparison.bounds) is not None:
        ends = max(bounds.low, ends[0]), min(bounds.high, ends[1])
    bands = {
        row.label: performance_profile(row.scores, _steps(row.scores, ends))
        for row in comparison.rows
        if len(row.scores)
    }
    colors = experiment_colors(comparison)
    are_together = len(bands) <= MOST_PROFILES_TOGETHER
    figure = _panels(1 if are_together else len(bands), paper)
    for i, (label, band) in enumerate(bands.items()):
        axes = figure.axes[0 if are_together else i]
        if not are_together:
            _draw_others(axes, bands, colors)
            axes.set_title(paper.label(label), fontsize=9)
        _draw_band(axes, band, colors[label], label, 0)
    for axes in figure.axes:
        axes.set(ylim=(-MARGIN, 1 + MARGIN), xlim=ends)
    _name_axes(figure, paper, score_label(comparison), "share of runs with at least this return")
    if are_together:
        # A profile ends at 0 or 1, like the others: its label is a legend's.
        handles = [each for each in figure.axes[0].lines if each.get_label() in bands]
        figure.legend(
            handles, [paper.legend(str(each.get_label())) for each in handles], frameon=False,
            loc="outside lower left" if paper.is_narrow else "outside right upper", fontsize=9,
        )  # fmt: skip
    return figure


def _panels(n: int, paper: Paper) -> "Figure":
    """Return a figure with ``n`` pairs of axes, which share their scales."""
    from matplotlib.figure import Figure

    if n == 1:
        figure = Figure(figsize=(paper.width, 4.0), layout="constrained")
        figure.subplots().grid(color=GRID)
    else:
        n_columns = 2 if n == 4 else min(n, paper.panels_per_row)
        n_rows = -(-n // n_columns)
        figure = Figure(figsize=(paper.width, 0.8 + 2.1 * n_rows), layout="constrained")
        grid = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
        # Remove the unused panels; those above them get tick labels.
        for i, axes in enumerate(grid.flat[n:], start=n):
            axes.remove()
            grid.flat[i - n_columns].tick_params(labelbottom=True)
        for axes in figure.axes:
            axes.grid(color=GRID)
    for axes in figure.axes:
        axes.set_axisbelow(True)
    return figure


def _draw_band(axes: "Axes", band: Band, color: str, label: str, few_points: int) -> None:
    """Draw a line, its band, and the band's edges, which show where bands overlap."""
    if len(band.x) == 1:  # an area over a single point has no width
        axes.vlines(band.x, band.low, band.high, colors=color, alpha=0.45, lw=5, zorder=2)
    axes.fill_between(band.x, band.low, band.high, color=color, alpha=0.13, lw=0, zorder=2)
    for edge in (band.low, band.high):
        if len(band.x) > 1 and np.isfinite(edge).any():
            axes.plot(band.x, edge, color=color, lw=0.6, alpha=0.6, zorder=2)
    dots = _dots(band.x, 6, few_points)
    axes.plot(band.x, band.value, color=color, lw=2, label=label, zorder=3, **dots)


def _draw_runs(axes: "Axes", curves: Sequence[Curve], color: str) -> None:
    """Draw single runs as thin lines."""
    for curve in curves:
        dots = _dots(curve.timesteps, 3, FEW_POINTS)
        axes.plot(curve.timesteps, curve.returns, color=color, lw=0.7, alpha=0.6, **dots)


def _draw_others(axes: "Axes", bands: Mapping[str, Band], colors: Mapping[str, str]) -> None:
    """Draw all bands' lines, thin; a line of a single point is a dot."""
    has_own_colors = len(set(colors.values())) == len(colors)
    for label, band in bands.items():
        color = colors[label] if has_own_colors else FAINT
        dots = _dots(band.x, 3, 1)
        axes.plot(band.x, band.value, color=color, lw=0.7, alpha=0.5, zorder=1, **dots)


def _dots(points: np.ndarray, size: int, few_points: int) -> dict[str, Any]:
    return {"marker": "o", "ms": size} if len(points) <= few_points else {}


def _set_timesteps(figure: "Figure", bands: list[Band]) -> None:
    """Let all axes span the timesteps of the bands, on a logarithmic scale if budgets differ.

    The scale is linear up to the first evaluation after timestep 0, which has no logarithm.
    """
    from matplotlib.ticker import MaxNLocator, NullLocator

    ends = [band.x[-1] for band in bands]
    is_wide = max(ends) > WIDE_BUDGETS * max(min(ends), 1)
    for i, axes in enumerate(figure.axes):
        if is_wide:
            first = min(x for band in bands for x in band.x if x > 0)
            axes.set_xscale("symlog", linthresh=first, linscale=LINEAR_DECADES)
            axes.set_xlim(0, max(ends))
            axes.set_xticks(_symlog_ticks(first, max(ends)))
            axes.xaxis.set_minor_locator(NullLocator())
        else:
            axes.set_xlim(0, max(*ends, 1))
            if len(figure.axes) > 1:  # panels stand close together
                axes.xaxis.set_major_locator(MaxNLocator(4, prune="upper" if i else None))
        axes.xaxis.set_major_formatter(_thousands)


def _symlog_ticks(first: float, last: float) -> list[float]:
    """Return 0, the first timestep and the powers of ten that are not close to it."""
    powers = 10.0 ** np.arange(np.ceil(np.log10(3 * first)), np.floor(np.log10(last)) + 1)
    return [0.0, first, *powers.tolist()]


def _timesteps_label(figure: "Figure") -> str:
    is_log = figure.axes[0].get_xscale() == "symlog"
    return "timesteps (logarithmic)" if is_log else "timesteps"


def _set_returns(figure: "Figure") -> None:
    """Let all axes span what is drawn, and a little more, so that lines at the ends are seen.

    Bands end where the possible returns do, and so the axes hardly go beyond these either.
    """
    heights = [
        np.asarray(line.get_ydata(), dtype=float) for axes in figure.axes for line in axes.lines
    ]
    drawn = np.concatenate(heights)
    drawn = drawn[np.isfinite(drawn)]
    low, high = float(drawn.min()), float(drawn.max())
    margin = MARGIN * (high - low or max(1.0, abs(high)))
    for axes in figure.axes:
        axes.set_ylim(low - margin, high + margin)


def _name_axes(figure: "Figure", paper: Paper, x_label: str, y_label: str) -> None:
    if len(figure.axes) == 1:
        figure.axes[0].set(xlabel=x_label, ylabel=paper.lines(y_label))
    else:
        figure.supxlabel(x_label, fontsize=10)
        figure.supylabel(paper.lines(y_label), fontsize=10)


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
