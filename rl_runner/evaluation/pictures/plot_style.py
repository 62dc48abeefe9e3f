"""What the plots of a comparison share: paper, ink, colours, and the label of the score.

The colours can be told apart by most colour-blind people.
"""

import functools
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec

from rl_runner.evaluation.comparison.compare import Comparison

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

# Okabe and Ito's colours without the yellow, which is too pale for lines on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
INK = "#1b2733"
FAINT = "#808080"  # reference lines and what is written beside them
GRID = "#ebebeb"
STYLE: Any = {  # matplotlib's type of its settings names each of them
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@dataclass(frozen=True)
class Paper:
    """What a plot is drawn for."""

    width: float  # inches
    panels_per_row: int
    is_narrow: bool = False

    def lines(self, text: str) -> str:
        """Return the text beside an axis in lines no longer than the axis."""
        return "\n".join(textwrap.wrap(text, 24)) if self.is_narrow else text

    def below(self, text: str) -> str:
        """Return the text below an axis in lines no longer than the axis."""
        return _wrapped(text, 38) if self.is_narrow else text

    def label(self, text: str) -> str:
        """Return a label in lines that leave room for the plot."""
        return _wrapped(text, 18 if self.is_narrow else 26)

    def legend(self, text: str) -> str:
        """Return a label of a legend, which is beside a plot or takes the whole width below it."""
        return _wrapped(text, 40 if self.is_narrow else 26)


def _wrapped(text: str, width: int) -> str:
    """Break a text at spaces and hyphens; a longer word is broken, too, since it would be cut."""
    return "\n".join(textwrap.wrap(text, width))


WIDE = Paper(7.5, 3)
PHONE = Paper(3.9, 2, is_narrow=True)  # 375 CSS pixels


P = ParamSpec("P")


def in_style(draw: "Callable[P, Figure]") -> "Callable[P, Figure]":
    """Let a function draw in the style of these plots, whatever matplotlib's defaults are."""

    @functools.wraps(draw)
    def drawn(*arguments: P.args, **options: P.kwargs) -> "Figure":
        import matplotlib as mpl

        with mpl.rc_context(STYLE):
            return draw(*arguments, **options)

    return drawn


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
