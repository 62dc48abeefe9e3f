"""The library: every module with its kinds of content and its state."""

from rl_runner.envs.tutor.canvas import Box, Canvas, Style
from rl_runner.envs.tutor.content import load_course
from rl_runner.envs.tutor.dashboard import draw_card
from rl_runner.envs.tutor.icons import draw_check, draw_kind, draw_play, draw_ring
from rl_runner.envs.tutor.palette import (
    BLUE,
    GREEN,
    LINE,
    MUTED,
    SMALL,
    SMALL_INK,
    SMALL_STRONG,
)
from rl_runner.envs.tutor.view import TOPICS, TutorView

HEADING, ROW = 20, 36


def state_of(view: TutorView, topic: int, level: int) -> str:
    """Return a module's state in words: passed, completed, next or later."""
    completed = view.completed[topic]
    if level < completed or (level == completed and view.quiz_passed[topic]):
        return "passed" if level == completed else "completed"
    if level == completed:
        return "quiz open"
    return "next" if level == completed + 1 else "later"


def draw(canvas: Canvas, box: Box, view: TutorView) -> None:
    """Draw the modules topic by topic."""
    room = draw_card(canvas, box, "Library")
    top = room.top
    for topic, name in enumerate(TOPICS):
        canvas.text(Box(room.left, top, room.right, top + 16), name, SMALL_STRONG)
        top += HEADING
        for level in range(1, view.levels + 1):
            _draw_module(canvas, Box(room.left, top, room.right, top + ROW), view, topic, level)
            top += ROW


def _draw_module(canvas: Canvas, box: Box, view: TutorView, topic: int, level: int) -> None:
    state = state_of(view, topic, level)
    colour = {"next": BLUE, "later": LINE}.get(state, GREEN)
    draw = {"next": draw_play, "later": draw_ring}.get(state, draw_check)
    draw(canvas, box.left, box.top + 1, 16, colour)
    left = box.left + 24
    course = load_course()
    style = SMALL if state == "later" else SMALL_INK
    title = course.title(topic, level)
    canvas.text(Box(left, box.top, box.right, box.top + 16), title, style)
    module = course.module(topic, level)
    x = left
    for kind in module.kinds if module else ():
        draw_kind(canvas, x, box.top + 17, kind, MUTED)
        x += 18
    words = Style(11, MUTED if state == "later" else colour)
    room = Box(x + 4, box.top + 16, box.right, box.top + 31)
    canvas.text(room, state, words, align="right", key=f"module {topic} {level}")
