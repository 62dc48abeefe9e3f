"""The progress tracker: sections completed, quiz results, knowledge and its gaps."""

from rl_runner.envs.tutor.canvas import Box, Canvas, Style
from rl_runner.envs.tutor.dashboard import draw_card
from rl_runner.envs.tutor.palette import (
    BLUE,
    FAINT,
    GREEN,
    ORANGE,
    SMALL,
    SMALL_STRONG,
)
from rl_runner.envs.tutor.view import GAP, TOPICS, TutorView
from rl_runner.envs.tutor.words import percent, quiz

HEIGHT = 214
ROW = 58


def draw(canvas: Canvas, box: Box, view: TutorView) -> None:
    """Draw one row per topic."""
    room = draw_card(canvas, box, "Progress tracker")
    for topic in range(len(TOPICS)):
        top = room.top + topic * ROW
        _draw_topic(canvas, Box(room.left, top, room.right, top + ROW), view, topic)


def _draw_topic(canvas: Canvas, box: Box, view: TutorView, topic: int) -> None:
    key = f"topic {topic}"
    first = Box(box.left, box.top, box.right, box.top + 16)
    canvas.text(
        Box(first.left, first.top, first.right - 60, first.bottom), TOPICS[topic], SMALL_STRONG
    )
    count = f"{view.completed[topic]} of {view.levels}"
    canvas.text(first, count, SMALL, align="right", key=f"{key} completed")
    _draw_bar(canvas, Box(box.left, box.top + 19, box.right, box.top + 29), view, topic)
    last = Box(box.left, box.top + 32, box.right, box.top + 48)
    has_gap = view.gap(topic) >= GAP
    words = f"knows {percent(view.knowledge[topic])}"
    style = Style(11, ORANGE, bold=True) if has_gap else SMALL
    text = f"gap: {words}" if has_gap else words
    canvas.text(last, text, style, key=f"{key} knowledge")
    canvas.text(last, quiz(view, topic), SMALL, align="right", key=f"{key} quiz")


def _draw_bar(canvas: Canvas, box: Box, view: TutorView, topic: int) -> None:
    width = (box.width - 4 * (view.levels - 1)) // view.levels
    for level in range(view.levels):
        left = box.left + level * (width + 4)
        done = level < view.completed[topic]
        section = Box(left, box.top, left + width, box.bottom)
        canvas.rectangle(section, GREEN if done else FAINT, 4)
    tick = box.left + round(view.knowledge[topic] * (box.width - 3))
    canvas.rectangle(Box(tick, box.top - 3, tick + 3, box.bottom + 3), BLUE)
