"""Pictures of a study, drawn from its summary alone (summary.json)."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rl_runner.evaluation.pictures.plot_style import WIDE, Paper, in_style
from rl_runner.runs.study_summary import StudySummary
from rl_runner.tuning.report.parameter_axis import ParameterAxis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which most colour-blind people can distinguish.
BLUE, VERMILION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "0.6"
PER_ROW = 4
LONGEST_LINE = 14  # characters


def draw_figures(summary: StudySummary, paper: Paper = WIDE) -> Iterator[tuple[str, "Figure"]]:
    """Yield the name and figure of each picture for which the summary has data."""
    if summary.complete:
        yield "history", draw_history(summary, paper)
        yield "slices", draw_slices(summary, paper)
        yield "parallel-coordinates", draw_parallel_coordinates(summary, paper)
    if any(len(trial.curve) > 1 for trial in summary.trials):
        yield "learning-curves", draw_curves(summary, paper)
    if summary.importances:
        yield "importances", draw_importances(summary, paper)
    if len(summary.objectives) > 1 and summary.complete:
        yield "pareto-front", draw_pareto_front(summary, paper)
    if any(item.seeds for item in summary.confirmed):
        yield "confirmation", draw_confirmation(summary, paper)


@in_style
def draw_history(summary: StudySummary, paper: Paper = WIDE) -> "Figure":
    """Draw each trial's score in the order of the trials, and the best so far."""
    from matplotlib.ticker import MaxNLocator

    # The scores, and the best so far.
    figure, axes = _one_panel(paper)
    trials = summary.complete
    numbers = [trial.number for trial in trials]
    scores = np.array([trial.score for trial in trials])
    best = np.maximum.accumulate(scores) if _maximized(summary) else np.minimum.accumulate(scores)
    last = max(trial.number for trial in summary.trials)
    axes.plot(numbers, scores, "o", color=BLUE, ms=5, label="complete")
    axes.step(
        [*numbers, last], [*best, best[-1]], where="post", color=VERMILION, label="best so far"
    )
    # Trials without a score, along the bottom.
    for outcome, mark in (("pruned", "|"), ("failed", "x"), ("infeasible", "+")):
        missed = [t.number for t in summary.trials if t.outcome == outcome]
        along_bottom = axes.get_xaxis_transform()
        if missed:
            axes.plot(
                missed,
                [0.02] * len(missed),
                mark,
                color=GREY,
                transform=along_bottom,
                label=outcome,
            )
    axes.set(xlabel="trial", ylabel=paper.lines(_name(summary)))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=9)
    return figure


@in_style
def draw_curves(summary: StudySummary, paper: Paper = WIDE) -> "Figure":
    """Draw the learning curves by which trials were compared: means over the seeds so far."""
    figure, axes = _one_panel(paper)
    # Curves are stored with the sign that the study needs; draw returns as they are.
    sign = 1.0 if _maximized(summary) else -1.0
    best, total = summary.best_trial, summary.total_timesteps
    styles = {"complete": (BLUE, 0.7), "pruned": (GREY, 0.6)}
    last = 0
    for trial in summary.trials:
        color, alpha = styles.get(trial.outcome, (GREY, 0.3))
        if trial.number == best:
            color, alpha = VERMILION, 1.0
        for seed in _by_seed(trial.curve, total):
            steps, values = seed[:, 0], sign * seed[:, 1]
            axes.plot(steps, values, ".-", color=color, alpha=alpha, lw=1, zorder=2 + alpha)
            last = max(last, int(steps[-1]))
    # Lines between the seeds, and a legend by outcome.
    for end in range(total, last, total):
        axes.axvline(end, color="0.4", lw=0.8, ls=":")
    for label, color in (("complete", BLUE), ("pruned", GREY), (f"trial {best}", VERMILION)):
        axes.plot([], [], ".-", color=color, label=label)
    axes.set(
        xlabel="timesteps, one seed after another",
        ylabel=paper.lines("mean return over the seeds so far"),
    )
    axes.legend(frameon=False, fontsize=9)
    return figure


def _by_seed(curve: Sequence[Sequence[float]], total: int) -> list[np.ndarray]:
    """Split a trial's curve by seed, each part (n, 2): steps and values."""
    if not curve:
        return []
    points = np.array(curve, dtype=float)
    seeds = np.ceil(points[:, 0] / total)
    return [points[seeds == seed] for seed in np.unique(seeds)]


@in_style
def draw_slices(summary: StudySummary, paper: Paper = WIDE) -> "Figure":
    """Draw the score against each hyperparameter."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    # A grid of panels, one per hyperparameter.
    trials = summary.complete
    names = _searched(summary)
    n_columns = min(2 if paper.is_narrow else PER_ROW, len(names))
    n_rows = -(-len(names) // n_columns)
    width = paper.width if paper.is_narrow else 2.7 * n_columns + 0.8
    size = (width, 2.5 * n_rows + 0.2)
    figure = Figure(figsize=size, layout="constrained")
    panels = list(figure.subplots(n_rows, n_columns, sharey=True, squeeze=False).flat)
    # In each panel a dot per trial that has the hyperparameter, shaded by the trial's number.
    last = max(1, *(trial.number for trial in trials))
    shades = None
    for name, axes in zip(names, panels, strict=False):
        having = [trial for trial in trials if name in trial.values]
        axis = ParameterAxis(name, [trial.values[name] for trial in having], _is_log(summary, name))
        scores = [trial.score for trial in having]
        order = [trial.number for trial in having]
        shades = axes.scatter(axis.places, scores, c=order, cmap="viridis", s=18, vmin=0, vmax=last)
        axis.set_scale(axes)
        axes.set_axisbelow(True)
        axes.set_xlabel(_broken(name) if paper.is_narrow else name, fontsize=9)
        if paper.is_narrow:
            axes.tick_params(axis="x", labelsize=7, rotation=35)
        axes.grid(color="0.92")
    # Hide the panels that are left over; one label and one colour bar for all.
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    figure.supylabel(paper.lines(_name(summary)), fontsize=10)
    if shades is not None:
        whole = MaxNLocator(integer=True)
        place = "bottom" if paper.is_narrow else "right"
        length: Any = {"location": place, "shrink": 0.8, "aspect": 30}
        figure.colorbar(shades, ax=figure.axes, label="trial", ticks=whole, **length)
    return figure


@in_style
def draw_parallel_coordinates(summary: StudySummary, paper: Paper = WIDE) -> "Figure":
    """Draw each complete trial as a line through its hyperparameters to its score."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    # An axis for each hyperparameter that all trials have, and one for the score.
    best_last = not _maximized(summary)
    trials = sorted(summary.complete, key=lambda trial: trial.score, reverse=best_last)
    names = [name for name in _searched(summary) if all(name in t.values for t in trials)]
    axes_of = [
        ParameterAxis(name, [trial.values[name] for trial in trials], _is_log(summary, name))
        for name in names
    ]
    axes_of.append(ParameterAxis("score", [trial.score for trial in trials]))
    # A line per trial, the worst first so that the best is on top.
    width = paper.width if paper.is_narrow else 1.15 * len(axes_of) + 1.5
    figure = Figure(figsize=(width, 4.2), layout="constrained")
    axes = figure.add_subplot()
    ranks = np.linspace(0.0, 1.0, len(trials)) if len(trials) > 1 else np.array([1.0])
    places = np.array([axis.fractions() for axis in axes_of])  # (n_axes, n_trials)
    for i, rank in enumerate(ranks):
        color = colormaps["viridis"](rank)
        axes.plot(places[:, i], color=color, lw=1.0 + rank, alpha=0.35 + 0.6 * rank)
    # The axes themselves, with their extreme values or choices.
    for x, axis in enumerate(axes_of):
        axes.axvline(x, color="0.4", lw=0.8, zorder=0)
        for height, text in axis.labels():
            axes.annotate(text, (x, height), xytext=(3, 0), textcoords="offset points", fontsize=7)
    axes.set_xticks(range(len(axes_of)), [axis.name.replace(".", ".\n") for axis in axes_of])
    axes.tick_params(axis="x", labelsize=8, rotation=90 if paper.is_narrow else 25)
    axes.set(yticks=[], xlim=(-0.1, len(axes_of) - 0.4), ylim=(-0.05, 1.05))
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    title = f"lighter is better: {_name(summary)}"
    axes.set_title(paper.below(title), fontsize=9, loc="left")
    return figure


@in_style
def draw_importances(summary: StudySummary, paper: Paper = WIDE) -> "Figure":
    """Draw each hyperparameter's share of the score's variance."""
    figure, axes = _one_panel(paper, height=0.8 + 0.32 * len(summary.importances))
    names = list(summary.importances)[::-1]
    shares = [summary.importances[name] for name in names]
    axes.barh(names, shares, color=BLUE, height=0.65)
    for name, share in zip(names, shares, strict=True):
        axes.annotate(
            f"{share:.2f}",
            (share, name),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_xlabel(paper.below("share of the score's variance (functional ANOVA)"))
    axes.set_xlim(0, 1.12 * max(shares))
    return figure


@in_style
def draw_pareto_front(summary: StudySummary, paper: Paper = WIDE) -> "Figure":
    """Draw the first two objectives against each other, and mark the Pareto front."""
    figure, axes = _one_panel(paper)
    front = set(summary.pareto_front or ())
    for trial in summary.complete:
        on_front = trial.number in front
        x, y = trial.scores[1], trial.score
        axes.plot(x, y, "o", color=VERMILION if on_front else GREY, ms=7 if on_front else 5)
        if on_front:
            axes.annotate(
                f"trial {trial.number}",
                (x, y),
                xytext=(5, 4),
                textcoords="offset points",
                fontsize=8,
            )
    axes.set(xlabel=summary.objectives[1].description, ylabel=paper.lines(_name(summary)))
    return figure


@in_style
def draw_confirmation(summary: StudySummary, paper: Paper = WIDE) -> "Figure":
    """Draw the scores of each candidate in the search and on fresh seeds."""
    items = [item for item in summary.confirmed if item.seeds]
    figure, axes = _one_panel(paper, height=1.1 + 0.55 * len(items))
    # For each candidate its seeds in the search above those of the confirmation.
    trials = {f"trial-{trial.number:04d}": trial for trial in summary.trials}
    for place, item in enumerate(items):
        if item.candidate in trials:
            searched = trials[item.candidate].seeds[0]
            _dots(axes, searched, place - 0.16, GREY, "search" if place == 1 else None)
        label = "fresh seeds" if place == 0 else None
        _dots(axes, item.seeds[0], place + 0.16, BLUE, label)
        if item.ci95:
            axes.plot(item.ci95, [place + 0.16] * 2, color=BLUE, lw=2)
    names = [item.candidate + (" ★" if item.candidate == summary.winner else "") for item in items]
    axes.set_yticks(range(len(items)), names)
    axes.set_ylim(len(items) - 0.5, -0.5)
    label = f"{_name(summary)}; dots: seeds, ring: mean, bar: its 95 % interval"
    axes.set_xlabel(paper.below(label))
    axes.legend(frameon=False, fontsize=9)
    return figure


def _dots(
    axes: "Axes", values: Sequence[float], height: float, color: str, label: str | None
) -> None:
    axes.plot(values, [height] * len(values), ".", color=color, alpha=0.6, label=label)
    mean = float(np.mean(values))
    axes.plot(mean, height, "o", color=color, ms=8, markerfacecolor="white", mew=1.8, zorder=3)


def _one_panel(paper: Paper, height: float = 4.0) -> tuple["Figure", "Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(paper.width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    return figure, axes


def _broken(name: str) -> str:
    """Return a hyperparameter's name in lines of about half a phone's width."""
    lines = [""]
    for part in re.split(r"(?<=[_.])", name):
        if lines[-1] and len(lines[-1] + part) > LONGEST_LINE:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _searched(summary: StudySummary) -> list[str]:
    names = (name for trial in summary.complete for name in trial.values)
    return list(dict.fromkeys(names))


def _maximized(summary: StudySummary) -> bool:
    return summary.objectives[0].direction == "maximize"


def _name(summary: StudySummary) -> str:
    return summary.objectives[0].description


def _is_log(summary: StudySummary, name: str) -> bool:
    return bool(summary.search_space[name]["log"])
