"""The dashboard's upper half: how far the learner is, and how they are."""

from rl_runner.envs.tutor.page.labels import estimated, goal, minutes
from rl_runner.envs.tutor.page.picture.canvas import Box, Canvas, Style
from rl_runner.envs.tutor.page.picture.palette import (
    CARD,
    FAINT,
    FIGURE,
    GREEN,
    LINE,
    SMALL,
    STRONG,
    TITLE,
)
from rl_runner.envs.tutor.page.view import TutorView

HEIGHT = 206
PADDING = 14
RING = 88
BIG = Style(22, FIGURE.colour, bold=True)


def draw_card(canvas: Canvas, box: Box, title: str) -> Box:
    """Draw an empty card with a title and return the room below the title."""
    canvas.card(box, CARD, LINE, 10)
    inner = box.inset(PADDING, 10)
    canvas.text(Box(inner.left, inner.top, inner.right, inner.top + 18), title, TITLE)
    return Box(inner.left, inner.top + 27, inner.right, inner.bottom)


def draw(canvas: Canvas, box: Box, view: TutorView) -> None:
    """Draw modules completed as a ring, then engagement, skips and minutes."""
    room = draw_card(canvas, box, "Your progress")
    ring = Box(room.left, room.top, room.left + RING, room.top + RING)
    _draw_ring(canvas, ring, view)
    _draw_counts(canvas, Box(ring.right + 18, ring.top + 4, room.right, ring.bottom), view)
    top = ring.bottom + 12
    canvas.rectangle(Box(room.left, top, room.right, top + 1), LINE)
    columns = (
        (0, 106, "Engagement", estimated(view.engagement), "engagement"),
        (106, 166, "Skips", str(view.skips), "skips"),
        (166, room.width, "Last module", minutes(view.minutes), "minutes"),
    )
    for left, right, label, value, key in columns:
        column = Box(room.left + left, top + 9, room.left + right, room.bottom)
        canvas.text(Box(column.left, column.top, column.right, column.top + 16), label, SMALL)
        value_room = Box(column.left, column.top + 17, column.right, column.top + 38)
        canvas.text(value_room, value, FIGURE, key=key)


def _draw_ring(canvas: Canvas, ring: Box, view: TutorView) -> None:
    canvas.arc(ring, 10, 1.0, FAINT)
    done = view.modules_completed
    if done:
        canvas.arc(ring, 10, done / view.n_modules, GREEN)
    upper = Box(ring.left + 12, ring.top + 20, ring.right - 12, ring.top + 50)
    canvas.text(upper, str(done), BIG, align="centre", key="modules completed")
    lower = Box(ring.left + 12, ring.top + 49, ring.right - 12, ring.top + 65)
    canvas.text(lower, f"of {view.n_modules}", SMALL, align="centre", key="modules")


def _draw_counts(canvas: Canvas, box: Box, view: TutorView) -> None:
    finished = f"{view.topics_finished} of {len(view.completed)}"
    rows = (("Topics finished", finished, "topics finished"), ("Wants most", goal(view), "goal"))
    for index, (label, value, key) in enumerate(rows):
        top = box.top + index * 44
        canvas.text(Box(box.left, top, box.right, top + 16), label, SMALL)
        canvas.text(Box(box.left, top + 16, box.right, top + 34), value, STRONG, key=key)
