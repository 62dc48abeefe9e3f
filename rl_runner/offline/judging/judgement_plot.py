"""The picture of a judgement: its estimates, and the distribution of the weights."""

from pathlib import Path
from typing import TYPE_CHECKING

from rl_runner.evaluation.pictures.plot_style import COLORS, FAINT, GRID, WIDE, Paper, in_style
from rl_runner.layout import ESTIMATES
from rl_runner.runs.log_results import Judgement

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOGGING, RULE_BASED = COLORS[1], COLORS[2]


def write_judgement(judgement: Judgement, folder: Path) -> None:
    """Write estimates.png into a folder: :func:`draw_judgement`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = draw_judgement(judgement)
    FigureCanvasAgg(figure)
    figure.savefig(folder / ESTIMATES, dpi=110)


@in_style
def draw_judgement(judgement: Judgement, paper: Paper = WIDE) -> "Figure":
    """Draw the estimates with intervals, beside (or above) a histogram of the weights."""
    from matplotlib.figure import Figure

    if paper.is_narrow:
        figure = Figure(figsize=(paper.width, 6.4), layout="constrained")
        of_estimates, of_weights = figure.subplots(2, 1, height_ratios=(3, 2))
    else:
        figure = Figure(figsize=(9, 3.8), layout="constrained")
        of_estimates, of_weights = figure.subplots(1, 2, width_ratios=(3, 2))
    _draw_estimates(of_estimates, judgement)
    _draw_weights(of_weights, judgement)
    figure.legend(loc="outside lower left", frameon=False, fontsize=9)
    return figure


def _draw_estimates(axes: "Axes", judgement: Judgement) -> None:
    """Draw a row per estimator, and for comparison the logged and the rule-based reward."""
    names = list(judgement.estimates)
    for i, name in enumerate(names):
        estimate = judgement.estimates[name]
        axes.plot(estimate.ci95, [i, i], color=COLORS[0], lw=5, alpha=0.45, solid_capstyle="butt")
        axes.plot(estimate.value, i, "|", color=COLORS[0], ms=13, mew=2.5)
    axes.axvspan(*judgement.logged_reward_ci95, color=LOGGING, alpha=0.25, lw=0)
    axes.axvline(judgement.logged_reward, color=LOGGING, label="logging policy")
    best = judgement.headline
    if best is not None and best.versus_rule_based is not None:
        rule = best.value - best.versus_rule_based
        axes.axvline(rule, color=RULE_BASED, ls="--", label="rule-based policy, by DR")
    labels = [n if judgement.estimates[n].for_claims else f"{n}\n(not for claims)" for n in names]
    axes.set_yticks(range(len(names)), labels)
    axes.set_ylim(max(len(names), 1) - 0.4, -0.6)
    axes.set_xlabel("reward of a recommendation,\n95 % intervals by user", fontsize=9)
    axes.grid(axis="x", color=GRID)
    axes.set_axisbelow(True)
    if judgement.refusal is not None:
        axes.set_title("refused: the log does not support an estimate", fontsize=9)


def _draw_weights(axes: "Axes", judgement: Judgement) -> None:
    """Draw how many interactions have which importance weight."""
    counts, edges = judgement.weight_histogram
    if counts:
        axes.stairs(counts, edges, fill=True, color=FAINT)
    axes.set_yscale("symlog")
    axes.set_xlabel("importance weight", fontsize=9)
    axes.set_ylabel("interactions", fontsize=9)
    sample = f"{judgement.support.effective_sample:,.0f} of {judgement.interactions:,}"
    axes.set_title(f"effective sample {sample}", fontsize=9)
