"""The progress tracker: modules completed, quiz results, knowledge and its gaps, by topic."""

from rl_runner.envs.tutor.page.labels import estimated, quiz
from rl_runner.envs.tutor.page.picture.canvas import Box, Canvas, Style
from rl_runner.envs.tutor.page.picture.shapes import (
    AMBER,
    CARD,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    ORANGE_PALE,
    SMALL,
    SMALL_STRONG,
    draw_card,
)
from rl_runner.envs.tutor.page.view import GAP, TutorView
from rl_runner.envs.tutor.simulator.model import TOPICS

HEIGHT = 199
ROW = 54
BAR = 9
GAP_TAG = Style(11, ORANGE, bold=True)


def draw(canvas: Canvas, box: Box, view: TutorView) -> None:
    """Draw one row per topic."""
    room = draw_card(canvas, box, "Progress tracker")
    _draw_legend(canvas, Box(room.right - 130, box.top + 10, room.right, box.top + 28))
    for topic in range(len(TOPICS)):
        top = room.top + topic * ROW
        _draw_topic(canvas, Box(room.left, top, room.right, top + ROW), view, topic)


def _draw_legend(canvas: Canvas, box: Box) -> None:
    top = box.top + 4
    knows = canvas.text(box, "knowledge", SMALL, align="right")
    _draw_marker(canvas, knows.left - 9, top)
    done = Box(box.left, box.top, knows.left - 19, box.bottom)
    ink = canvas.text(done, "done", SMALL, align="right")
    canvas.rectangle(Box(ink.left - 17, top, ink.left - 5, top + BAR), GREEN, 4)


def _draw_topic(canvas: Canvas, box: Box, view: TutorView, topic: int) -> None:
    key = f"topic {topic}"
    first = Box(box.left, box.top, box.right, box.top + 16)
    name = Box(first.left, first.top, first.right - 60, first.bottom)
    canvas.text(name, TOPICS[topic], SMALL_STRONG)
    count = f"{view.completed[topic]} of {view.levels}"
    canvas.text(first, count, SMALL, align="right", key=f"{key} completed")
    top = box.top + 18
    _draw_bar(canvas, Box(box.left, top, box.right, top + BAR), view, topic)
    last = Box(box.left, box.top + 30, box.right, box.top + 46)
    known = f"knows {estimated(view.knowledge[topic])}"
    ink = canvas.text(last, known, SMALL, key=f"{key} knowledge")
    if view.gap(topic) >= GAP:
        width = round(GAP_TAG.width("gap")) + 12
        tag = Box(ink.right + 6, last.top, ink.right + 6 + width, last.bottom)
        canvas.rectangle(tag, ORANGE_PALE, 8)
        canvas.text(tag, "gap", GAP_TAG, align="centre", key=f"{key} gap")
    canvas.text(last, quiz(view, topic), SMALL, align="right", key=f"{key} quiz")


def _draw_bar(canvas: Canvas, box: Box, view: TutorView, topic: int) -> None:
    """Draw one section per module, and the knowledge as a marker on the same scale.

    Completed modules beyond the knowledge are drawn in the colour of a gap.
    """
    known = box.left + round(view.knowledge[topic] * (box.width - 4))
    for level in range(view.levels):
        left, right = (box.left + (level + end) * (box.width + 4) // view.levels for end in (0, 1))
        section = Box(left, box.top, right - 4, box.bottom)
        done = level < view.completed[topic]
        canvas.rectangle(section, GREEN if done else FAINT, 4)
        if done and view.gap(topic) >= GAP and known < section.right:
            beyond = Box(max(known, section.left), section.top, section.right, section.bottom)
            canvas.rectangle(beyond, AMBER, 4)
    _draw_marker(canvas, known, box.top)


def _draw_marker(canvas: Canvas, left: int, top: int) -> None:
    canvas.rectangle(Box(left - 1, top - 4, left + 5, top + BAR + 4), CARD, 3)
    canvas.rectangle(Box(left, top - 3, left + 4, top + BAR + 3), INK, 2)
