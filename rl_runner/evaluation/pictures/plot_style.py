"""What the plots of a comparison share: colours, and the label of the score.

The colours can be told apart by most colour-blind people.
"""

from rl_runner.evaluation.comparison.compare import Comparison

# Okabe and Ito's colours without the yellow, which is too pale for lines on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY = "0.82"


def experiment_colors(comparison: Comparison) -> dict[str, str]:
    """Return each experiment's colour, the same in every plot; one for all if they are many."""
    labels = [row.label for row in comparison.rows]
    if len(labels) > len(COLORS):
        return dict.fromkeys(labels, COLORS[0])
    return dict(zip(labels, COLORS, strict=False))


def score_label(comparison: Comparison) -> str:
    """Return what the compared number is, e.g. ``mean held-out return of the last agent``."""
    kind = "exact" if comparison.measure == "exact" else "held-out"
    return f"mean {kind} return of the {comparison.agent} agent"
