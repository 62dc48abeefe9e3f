"""The library: every module with its kinds of content and its state."""

from rl_runner.envs.tutor.page.course import load_course
from rl_runner.envs.tutor.page.labels import module_state
from rl_runner.envs.tutor.page.picture.canvas import Box, Canvas, Style
from rl_runner.envs.tutor.page.picture.shapes import (
    BLUE,
    GREEN,
    MUTED,
    SMALL,
    SMALL_INK,
    SMALL_STRONG,
    draw_card,
    draw_kind,
    draw_state,
)
from rl_runner.envs.tutor.page.view import TutorView
from rl_runner.envs.tutor.simulator.model import TOPICS

HEADING, ROW, LOW_ROW, BETWEEN = 18, 32, 18, 5
STATE_WIDTH = 70


def draw(canvas: Canvas, box: Box, view: TutorView) -> None:
    """Draw the modules topic by topic, with one line each if two do not fit."""
    room = draw_card(canvas, box, "Library")
    # Two lines or one for each module, and how many of a topic's modules fit.
    space = (room.height + BETWEEN) // len(TOPICS) - HEADING - BETWEEN
    row = ROW if view.levels * ROW <= space else LOW_ROW
    n_shown = min(view.levels, space // row)
    top = room.top
    for topic, name in enumerate(TOPICS):
        canvas.text(Box(room.left, top, room.right - 60, top + 16), name, SMALL_STRONG)
        if view.focus == topic:
            heading = Box(room.right - 60, top, room.right, top + 16)
            canvas.text(heading, "in focus", Style(11, BLUE), align="right", key="focus")
        top += HEADING
        # Of many modules, those around the latest completed one.
        first = min(max(view.completed[topic], 1), view.levels - n_shown + 1)
        for level in range(first, first + n_shown):
            _draw_module(canvas, Box(room.left, top, room.right, top + row), view, topic, level)
            top += row
        top += BETWEEN


def _draw_module(canvas: Canvas, box: Box, view: TutorView, topic: int, level: int) -> None:
    state = module_state(view, topic, level)
    draw_state(canvas, box.left, box.top, state)
    course = load_course()
    left = box.left + 24
    two_lines = box.height >= ROW
    title_right = box.right if two_lines else box.right - STATE_WIDTH
    style = SMALL if state == "later" else SMALL_INK
    title_room = Box(left, box.top, title_right, box.top + 16)
    canvas.text(title_room, course.title(topic, level), style)
    state_top = box.top + 14 if two_lines else box.top
    words = Style(11, {"next": BLUE, "later": MUTED}.get(state, GREEN))
    state_room = Box(box.right - STATE_WIDTH, state_top, box.right, state_top + 16)
    canvas.text(state_room, state, words, align="right", key=f"module {topic} {level}")
    module = course.module(topic, level)
    if two_lines and module:
        for index, kind in enumerate(module.kinds):
            draw_kind(canvas, left + 18 * index, box.top + 16, kind, MUTED)
        minutes_left = left + 18 * len(module.kinds) + 2
        minutes_room = Box(minutes_left, state_top, state_room.left, state_top + 16)
        canvas.text(minutes_room, f"{module.minutes} min", SMALL)
