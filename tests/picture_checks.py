"""What must hold for every picture."""

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.text import Text


def draw(figure: Figure) -> RendererAgg:
    """Lay a figure out and draw it; matplotlib's warnings are errors."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


def assert_no_text_is_cut(figure: Figure, name: str = "") -> RendererAgg:
    """Draw a figure, and check that each of its texts is inside it."""
    renderer = draw(figure)
    whole = figure.bbox
    unseen = set(_labels_out_of_view(figure.axes))
    for text in figure.findobj(Text):
        if not text.get_text().strip() or not text.get_visible() or text in unseen:
            continue
        box = Text.get_window_extent(text, renderer)
        at = (name, text.get_text())
        assert box.x0 >= whole.x0 - 1, at
        assert box.x1 <= whole.x1 + 1, at
        assert box.y0 >= whole.y0 - 1, at
        assert box.y1 <= whole.y1 + 1, at
    return renderer


def _labels_out_of_view(panels: Sequence[Axes]) -> Iterator[Text]:
    """Yield the texts that are not drawn: of hidden axes, and of ticks beyond an axis' ends."""
    for axes in panels:
        if not axes.get_visible():
            yield from axes.findobj(Text)
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low <= tick.get_loc() <= high:
                    yield from (tick.label1, tick.label2)
