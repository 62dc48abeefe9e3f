"""The pictures of a comparison, in colours that most colour-blind people can tell apart.

Few experiments share one pair of axes; many get a panel each, with the others in grey behind.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from rl_runner.evaluation.comparison.compare import Comparison, Row
from rl_runner.evaluation.comparison.confidence_bands import (
    Band,
    learning_band,
    performance_profile,
)
from rl_runner.evaluation.comparison.experiments import Curve
from rl_runner.evaluation.statistics.ranks import FEWEST_FOR_RANKS
from rl_runner.evaluation.statistics.summary import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours without the yellow, which is too pale for lines on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)))
GREY = "0.82"
# dashes of the scale's upper and lower end, then of the baselines in between
MARKS = (
    (0, (5, 3)), (0, (1, 2)),
    (0, (5, 2, 1, 2)), (0, (5, 2, 1, 2, 1, 2)), (0, (9, 3)),
)  # fmt: skip
SIGNS = ("dashed", "dotted", "dash-dotted", "dash-dot-dotted", "long dashes")
MOST_TOGETHER = 4  # experiments in one pair of axes: more bands hide each other
WIDE_BUDGETS = 5
MOST_PAIRS_LISTED = 10
PANELS_PER_ROW = 4
DOTS_SPREAD = 0.36  # of the height of an experiment's row
FEW_POINTS = 5  # curves of no more get dots: a line of one point would not be seen


def draw_all(comparison: Comparison) -> Iterator[tuple[str, "Figure"]]:
    """Yield every picture that the data allow, with its name."""
    if any(_band_of(row) is not None for row in comparison.rows):
        yield "learning-curves", draw_learning_curves(comparison)
    yield "intervals", draw_intervals(comparison)
    yield "performance-profiles", draw_performance_profiles(comparison)
    if comparison.pairs:
        yield "probability-of-improvement", draw_probability_of_improvement(comparison)


def draw_learning_curves(comparison: Comparison) -> "Figure":
    """Draw the interquartile mean return over time steps, and its interval at each of them.

    Where there are too few runs for an interval each run is drawn instead. Budgets that differ by
    more than a factor of five share a logarithmic axis.
    """
    bands = {row.label: band for row in comparison.rows if (band := _band_of(row)) is not None}
    ends = [band.x[-1] for band in bands.values()]
    is_wide = max(ends) > WIDE_BUDGETS * min(ends)
    label = "timesteps (logarithmic)" if is_wide else "timesteps"
    marks = _scale_marks(comparison)
    y_label = "return of periodic evaluations (IQM)"
    figure = _draw_bands(comparison, bands, label, y_label, marks, few_points=FEW_POINTS)
    for axes in figure.axes:
        if is_wide:
            axes.set_xscale("log")
        else:
            axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(_thousands)
    colors = _colors(comparison)
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
    scores = np.concatenate([row.scores for row in comparison.rows])
    margin = 0.03 * (np.ptp(scores) or max(1.0, abs(scores[0])))
    ends = scores.min() - margin, scores.max() + margin
    bands = {
        row.label: performance_profile(row.scores, _steps(row.scores, ends))
        for row in comparison.rows
        if len(row.scores)
    }
    label = "share of runs with at least this return"
    figure = _draw_bands(comparison, bands, _score_name(comparison), label, {})
    for axes in figure.axes:
        axes.set(ylim=(-0.03, 1.03), xlim=ends)
    return figure


def draw_intervals(comparison: Comparison) -> "Figure":
    """Draw each experiment's mean, interquartile mean and median with intervals, and every run."""
    from matplotlib.figure import Figure

    rows = [row for row in comparison.rows if row.aggregates is not None]
    height = 1.3 + 0.55 * len(rows)
    figure = Figure(figsize=(10, height), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True, sharex=True)
    colors = _colors(comparison)
    for axes, name in zip(panels, ("mean", "interquartile_mean", "median"), strict=True):
        for place, row in enumerate(rows):
            color = colors[row.label]
            axes.plot(
                row.scores, _beside(row.scores, place), "o", c="0.5", ms=3.5, mec="w", mew=0.4
            )
            _draw_estimate(axes, getattr(row.aggregates, name), place, color)
        axes.set_title(name.replace("_", " "), fontsize=11)
        axes.grid(axis="x", color="0.9")
        axes.set_axisbelow(True)
    panels[0].set_yticks(range(len(rows)), [row.label for row in rows])
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    figure.supxlabel(
        f"{_score_name(comparison)}; bars 95 % intervals, dots single runs", fontsize=10
    )
    return figure


def draw_probability_of_improvement(comparison: Comparison) -> "Figure":
    """Draw how probable it is that a run of one experiment beats one of another."""
    if len(comparison.pairs) <= MOST_PAIRS_LISTED:
        return _draw_improvement_list(comparison)
    return _draw_improvement_matrix(comparison)


def _draw_improvement_list(comparison: Comparison) -> "Figure":
    from matplotlib.figure import Figure

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

    labels = [row.label for row in comparison.rows if len(row.scores)]
    place = {label: i for i, label in enumerate(labels)}
    matrix = np.full((len(labels), len(labels)), np.nan)
    surely = np.zeros(matrix.shape, dtype=bool)
    for pair in comparison.pairs:
        i, j = place[pair.first], place[pair.second]
        estimate = pair.probability_of_improvement
        matrix[i, j], matrix[j, i] = estimate.value, 1 - estimate.value
        low, high = estimate.ci95 or (0.0, 1.0)
        surely[i, j] = surely[j, i] = not low <= 0.5 <= high
    size = 2.5 + 0.48 * len(labels)
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(matrix, cmap="PuOr", vmin=0, vmax=1)
    for (i, j), value in np.ndenumerate(matrix):
        if i != j:
            color = "white" if abs(value - 0.5) > 0.35 else "black"
            weight = "bold" if surely[i, j] else "normal"
            text = f"{value:.2f}".removeprefix("0") if value < 1 else "1"
            axes.text(j, i, text, ha="center", va="center", color=color, weight=weight, fontsize=8)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")
    title = "probability that a run of the row beats one of the column"
    figure.colorbar(image, ax=axes, label=title, shrink=0.7)
    axes.set_xlabel("bold: the 95 % interval leaves out one half", fontsize=9)
    return figure


def _draw_bands(
    comparison: Comparison,
    bands: Mapping[str, Band],
    x_label: str,
    y_label: str,
    marks: Mapping[str, float],
    *,
    few_points: int = 0,
) -> "Figure":
    """Draw curves with bands: together if they are few, a panel each if they are many.

    :param few_points: curves of no more have a dot at each
    """
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    colors = _colors(comparison)
    if len(bands) <= MOST_TOGETHER:
        figure = Figure(figsize=(7.5, 4.6), layout="constrained")
        axes = figure.subplots()
        for (label, band), line in zip(bands.items(), LINES, strict=False):
            _draw_band(axes, band, colors[label], line, label, few_points)
        for (label, value), dashes in zip(marks.items(), MARKS, strict=False):
            axes.axhline(value, color="0.5", lw=1, ls=dashes, zorder=0, label=label)
        axes.set(xlabel=x_label, ylabel=y_label)
        axes.grid(color="0.92")
        figure.legend(loc="outside right upper", frameon=False, fontsize=9, handlelength=3)
        return figure
    n_rows = -(-len(bands) // PANELS_PER_ROW)
    size = (2.9 * PANELS_PER_ROW, 0.8 + 2.1 * n_rows)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(n_rows, PANELS_PER_ROW, sharex=True, sharey=True, squeeze=False)
    others = [np.column_stack([band.x, band.value]) for band in bands.values()]
    lone = [points for points in others if len(points) == 1]
    for axes, (label, band) in zip(grid.flat, bands.items(), strict=False):
        axes.add_collection(LineCollection(others, colors=GREY, linewidths=0.8, zorder=1))
        if lone:
            axes.plot(*np.concatenate(lone).T, "o", color=GREY, ms=3, zorder=1)
        _draw_band(axes, band, colors[label], "-", label, few_points)
        for value, dashes in zip(marks.values(), MARKS, strict=False):
            axes.axhline(value, color="0.5", lw=1, ls=dashes, zorder=0)
        axes.set_title(label, fontsize=9)
        axes.xaxis.set_major_locator(MaxNLocator(4, prune="upper"))  # panels stand close together
    for i, axes in enumerate(grid.flat[len(bands) :], start=len(bands)):
        axes.remove()
        grid.flat[i - PANELS_PER_ROW].tick_params(labelbottom=True)
    named = [f"{sign}: {mark}" for sign, mark in zip(SIGNS, marks, strict=False)]
    figure.supxlabel("; ".join([x_label, *named]), fontsize=11)
    figure.supylabel(y_label, fontsize=11)
    return figure


def _draw_band(
    axes: "Axes", band: Band, color: str, line: Any, label: str, few_points: int
) -> None:
    if len(band.x) == 1:
        axes.vlines(band.x, band.low, band.high, colors=color, alpha=0.45, lw=5, zorder=2)
    axes.fill_between(band.x, band.low, band.high, color=color, alpha=0.16, lw=0, zorder=2)
    dots = _dots(band.x, 6, few_points)
    axes.plot(band.x, band.value, color=color, ls=line, lw=1.8, label=label, zorder=3, **dots)


def _dots(points: np.ndarray, size: int, few_points: int) -> dict[str, Any]:
    return {"marker": "o", "ms": size} if len(points) <= few_points else {}


def _draw_estimate(axes: "Axes", estimate: Estimate, place: float, color: str) -> None:
    if estimate.ci95 is not None:
        low, high = estimate.ci95
        axes.plot([low, high], [place, place], color=color, lw=5, alpha=0.45, solid_capstyle="butt")
    axes.plot([estimate.value], [place], "|", color=color, ms=13, mew=2.5)


def _scale_marks(comparison: Comparison) -> dict[str, float]:
    """Name the returns of the best known policy, the random one and the references."""
    scale = comparison.scale
    if scale is None:
        return {}
    best = {} if scale.best is None else {str(scale.best_is).replace("_", " "): scale.best}
    references = {name.replace("_", " "): value for name, value in scale.references.items()}
    return {**best, "random policy": scale.random, **references}


def _colors(comparison: Comparison) -> dict[str, str]:
    """Give each experiment its colour, the same in every picture; one for all if they are many."""
    labels = [row.label for row in comparison.rows]
    if len(labels) > len(COLORS):
        return dict.fromkeys(labels, COLORS[0])
    return dict(zip(labels, COLORS, strict=False))


def _curves_of(row: Row) -> list[Curve]:
    return [run.curve for run in row.experiment.finished if run.curve is not None]


def _band_of(row: Row) -> Band | None:
    return learning_band(_curves_of(row))


def _steps(scores: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """Return where a profile changes: at each score, and right after it."""
    return np.unique(np.concatenate([ends, scores, np.nextafter(scores, np.inf)]))


def _beside(scores: np.ndarray, place: int) -> np.ndarray:
    """Spread the dots of runs evenly below the bar, so that equal ones are all seen."""
    order = np.argsort(np.argsort(scores, kind="stable"), kind="stable")
    shifts: np.ndarray = place + 0.32 + DOTS_SPREAD * ((order + 0.5) / len(scores) - 0.5)
    return shifts


def _score_name(comparison: Comparison) -> str:
    kind = "exact" if comparison.measure == "exact" else "held-out"
    return f"mean {kind} return of the {comparison.agent} agent"


def _thousands(value: float, _: float) -> str:
    """Write 50000 as 50k."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
