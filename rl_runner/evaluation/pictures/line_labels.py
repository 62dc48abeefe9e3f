"""Labels at the right ends of lines, which name them where a legend would have to be looked up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rl_runner.evaluation.pictures.plot_style import Paper

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FONT_SIZE = 9  # points
LINE_HEIGHT = 1.3  # of the font size
ROOM = 0.04  # of the axes' width, between a line's end and its label


@dataclass(frozen=True)
class LineLabel:
    """What names a line."""

    text: str
    height: float  # where the line ends, in data coordinates
    color: str


def label_lines(figure: "Figure", labels: Sequence[LineLabel], paper: Paper) -> None:
    """Name lines at their right ends, or in a legend where there is no room beside the plot.

    Of several panels only the one at the right of the first row has labels.
    """
    if not labels:
        return
    if paper.is_narrow:
        _add_legend(figure, labels, paper)
        return
    grid = figure.axes[0].get_gridspec()
    n_rows, n_columns = (1, 1) if grid is None else (grid.nrows, grid.ncols)
    height = 0.8 * figure.get_figheight() / n_rows
    _label_ends(figure.axes[n_columns - 1], height, labels, paper)


def _add_legend(figure: "Figure", labels: Sequence[LineLabel], paper: Paper) -> None:
    lines = {line.get_label(): line for axes in figure.axes for line in axes.lines}
    known = [label.text for label in labels if label.text in lines]
    texts = [paper.legend(text) for text in known]
    height = sum(1.6 + LINE_HEIGHT * text.count("\n") for text in texts) * FONT_SIZE / 72
    figure.set_figheight(figure.get_figheight() + height)
    is_alone = len(figure.axes) == 1  # below panels is their common label
    figure.legend(
        [lines[text] for text in known], texts,
        loc="outside lower left" if is_alone else "outside upper left",
        frameon=False, fontsize=FONT_SIZE, handlelength=2.5,
    )  # fmt: skip


def _label_ends(axes: "Axes", height: float, labels: Sequence[LineLabel], paper: Paper) -> None:
    """Write each label beside the end of its line, moved apart where lines end close together.

    :param height: of the axes, about, in inches
    """
    texts = [paper.label(label.text) for label in labels]
    # Heights in shares of the axes' height
    low, high = axes.get_ylim()
    wanted = np.array([(label.height - low) / (high - low) for label in labels])
    line_height = FONT_SIZE * LINE_HEIGHT / 72 / height
    sizes = np.array([line_height * (1 + text.count("\n")) for text in texts])
    for label, text, at, moved in zip(labels, texts, wanted, spread(wanted, sizes), strict=True):
        axes.annotate(
            text, (1, at), (1 + ROOM, moved), "axes fraction", "axes fraction", color=label.color,
            fontsize=FONT_SIZE, va="center", linespacing=1.0, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": label.color, "lw": 0.8, "shrinkB": 0},
        )  # fmt: skip


def spread(heights: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return heights that keep labels of these sizes apart, as near to the wanted ones as possible.

    Labels that would overlap form a block, which is centred on the mean of where they should be.

    :param heights: (n,) wanted middles, in shares of the axes' height
    :param sizes: (n,) how much of it each label takes
    :return: (n,) middles in the same order from bottom to top
    """
    order = np.argsort(heights, kind="stable")
    blocks: list[list[int]] = []
    for i in order:
        blocks.append([int(i)])
        # Merge with the blocks below as long as they overlap.
        while len(blocks) > 1 and _top(blocks[-2], heights, sizes) > _bottom(
            blocks[-1], heights, sizes
        ):
            last = blocks.pop()
            blocks[-1] += last
    placed = np.empty(len(heights))
    for block in blocks:
        bottom = _bottom(block, heights, sizes)
        for i in block:
            placed[i] = bottom + sizes[i] / 2
            bottom += sizes[i]
    return placed


def _bottom(block: list[int], heights: np.ndarray, sizes: np.ndarray) -> float:
    return float(heights[block].mean() - sizes[block].sum() / 2)


def _top(block: list[int], heights: np.ndarray, sizes: np.ndarray) -> float:
    return float(heights[block].mean() + sizes[block].sum() / 2)
