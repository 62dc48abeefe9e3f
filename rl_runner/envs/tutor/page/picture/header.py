"""The top of the page: the learner, the steps taken and the return so far."""

from rl_runner.envs.tutor.page.labels import signed
from rl_runner.envs.tutor.page.picture.canvas import Box, Canvas, Style
from rl_runner.envs.tutor.page.picture.shapes import (
    BLUE,
    CARD,
    GOLD,
    GREEN,
    NIGHT,
    NIGHT_LINE,
    NIGHT_MUTED,
    ORANGE,
)
from rl_runner.envs.tutor.page.view import TutorView

HEIGHT = 60
BAND = 6
NAME = Style(15, CARD, bold=True)
LABEL = Style(11, NIGHT_MUTED)
VALUE = Style(15, CARD, bold=True)
TRIANGLE = ((0.0, 0.0), (1.0, 0.0), (0.5, 1.0))


def draw(canvas: Canvas, box: Box, view: TutorView) -> None:
    """Draw the header: title and learner on the left, steps and return on the right."""
    canvas.rectangle(box, NIGHT)
    _draw_band(canvas, Box(box.left, box.bottom - BAND, box.right, box.bottom))
    # Left: the title and the learner.
    upper = Box(box.left + 12, box.top + 7, box.right - 12, box.top + 29)
    lower = Box(upper.left, upper.bottom, upper.right, box.top + 47)
    learner = f"{view.genre} artist, {view.experience}"
    left = upper.left + 40
    _draw_mark(canvas, upper.left, box.top + 10)
    canvas.text(Box(left, upper.top, 520, upper.bottom), "The business of music", NAME)
    canvas.text(Box(left, lower.top, 520, lower.bottom), learner, LABEL, key="learner")
    # Right: the numbers, and a bar for the steps taken.
    steps = f"{view.step} of {view.horizon}"
    right = upper.right
    _draw_figure(canvas, right - 84, right, "Return so far", signed(view.return_so_far), "return")
    _draw_figure(canvas, right - 248, right - 112, "Steps taken", steps, "step")
    widest = round(
        VALUE.width(f"{view.horizon} of {view.horizon}")
    )  # so that the bar does not move
    bar_right = right - 112 - widest - 14
    bar = Box(bar_right - 160, 33, bar_right, 39)
    canvas.rectangle(bar, NIGHT_LINE, 3)
    filled = round(bar.width * view.step / view.horizon)
    canvas.rectangle(Box(bar.left, bar.top, bar.left + filled, bar.bottom), GOLD, 3)


def _draw_figure(canvas: Canvas, left: int, right: int, label: str, value: str, key: str) -> None:
    canvas.text(Box(left, 8, right, 24), label, LABEL, align="right")
    canvas.text(Box(left, 26, right, 46), value, VALUE, align="right", key=key)


def _draw_mark(canvas: Canvas, x: int, y: int) -> None:
    """Draw five bars of a sound level meter."""
    for column, height in enumerate((12, 22, 32, 18, 26)):
        left = x + 6 * column
        top = y + (34 - height) // 2
        canvas.rectangle(Box(left, top, left + 4, top + height), GOLD, 2)


def _draw_band(canvas: Canvas, box: Box) -> None:
    """Draw a woven band of triangles in the page's colours."""
    colours = (GOLD, BLUE, GREEN, ORANGE)
    for index, left in enumerate(range(box.left, box.right, 2 * box.height)):
        tile = Box(left, box.top, left + 2 * box.height, box.bottom)
        canvas.polygon(tile, TRIANGLE, colours[index % len(colours)])
