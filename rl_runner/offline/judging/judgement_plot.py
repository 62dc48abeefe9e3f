"""The picture of a judgement: its estimates, and the distribution of the weights."""

from pathlib import Path

from rl_runner.layout import ESTIMATES
from rl_runner.runs.log_results import Judgement


def draw_judgement(judgement: Judgement, folder: Path) -> None:
    """Write estimates.png: the estimates with intervals, beside a histogram of the weights."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    # Left: a row per estimator.
    names = list(judgement.estimates)
    for i, name in enumerate(names):
        estimate = judgement.estimates[name]
        low, high = estimate.ci95
        left.hlines(i, low, high, color="black")
        left.plot([low, estimate.value, high], [i] * 3, "|", color="black")
        left.plot(estimate.value, i, "o", color="black")
    # For comparison: the logged reward, and the rule-based policy.
    left.axvspan(*judgement.logged_reward_ci95, color="tab:orange", alpha=0.4)
    left.axvline(judgement.logged_reward, color="tab:orange", label="logging policy")
    best = judgement.headline
    if best is not None and best.versus_rule_based is not None:
        rule = best.value - best.versus_rule_based
        left.axvline(rule, color="tab:green", ls="--", label="rule-based policy, by DR")
    left.margins(y=0.15)
    labels = [n if judgement.estimates[n].for_claims else f"{n}\n(not for claims)" for n in names]
    left.set_yticks(range(len(names)), labels)
    left.invert_yaxis()
    left.set_xlabel("reward of a recommendation, 95 % intervals by user")
    left.legend(loc="best")
    if judgement.refusal is not None:
        left.set_title("refused: the log does not support an estimate", fontsize=10)
    # Right: the weights.
    counts, edges = judgement.weight_histogram
    right.stairs(counts, edges, fill=True, color="tab:blue")
    right.set_yscale("symlog")
    right.set_xlabel("importance weight")
    right.set_ylabel("interactions")
    right.set_title(
        f"effective sample {judgement.support.effective_sample:,.0f} of {judgement.interactions:,}",
        fontsize=10,
    )
    figure.savefig(folder / ESTIMATES, dpi=110)
