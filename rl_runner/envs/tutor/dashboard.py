"""The dashboard: how far the learner is, how they are, and what is recommended next."""

from rl_runner.envs.tutor.canvas import Box, Canvas, Style, wrapped
from rl_runner.envs.tutor.content import load_course
from rl_runner.envs.tutor.palette import (
    BLUE,
    BODY,
    CARD,
    FAINT,
    FIGURE,
    GREEN,
    LINE,
    MUTED,
    SMALL,
    SMALL_STRONG,
    STRONG,
    TITLE,
)
from rl_runner.envs.tutor.view import SHORT_TOPICS, TOPICS, PathStep, TutorView
from rl_runner.envs.tutor.words import ENDINGS, minutes, percent

PROGRESS_HEIGHT = 214
PADDING = 14
ROW = 42
NUMBER = Style(11, CARD, bold=True)
NUMBER_LATER = Style(11, MUTED, bold=True)


def draw_card(canvas: Canvas, box: Box, title: str) -> Box:
    """Draw an empty card with a title and return the room below the title."""
    canvas.card(box, CARD, LINE, 10)
    inner = box.inset(PADDING, 10)
    canvas.text(Box(inner.left, inner.top, inner.right, inner.top + 18), title, TITLE)
    return Box(inner.left, inner.top + 26, inner.right, inner.bottom)


def draw_progress(canvas: Canvas, box: Box, view: TutorView) -> None:
    """Draw modules completed as a ring, then engagement, skips and minutes."""
    room = draw_card(canvas, box, "Your progress")
    ring = Box(room.left, room.top, room.left + 84, room.top + 84)
    canvas.arc(ring, 10, 1.0, FAINT)
    done = view.modules_completed
    if done:
        canvas.arc(ring, 10, done / view.n_modules, GREEN)
    middle = Box(ring.left, ring.top + 2, ring.right, ring.bottom - 2)
    count = f"{done}/{view.n_modules}"
    canvas.text(middle, count, FIGURE, align="centre", key="modules completed")
    side = Box(ring.right + 14, ring.top, room.right, ring.bottom)
    _draw_counts(canvas, side, view)
    top = ring.bottom + 14
    canvas.rectangle(Box(room.left, top, room.right, top + 1), LINE)
    third = room.width // 3
    figures = (
        ("Engagement", percent(view.engagement), "engagement"),
        ("Skips", str(view.skips), "skips"),
        ("Last module", minutes(view.minutes), "minutes"),
    )
    for column, (label, value, key) in enumerate(figures):
        left = room.left + column * third
        right = left + third
        canvas.text(Box(left, top + 9, right, top + 25), label, SMALL)
        canvas.text(Box(left, top + 26, right, top + 48), value, FIGURE, key=key)


def _draw_counts(canvas: Canvas, box: Box, view: TutorView) -> None:
    tests = sum(view.quiz_passed)
    goal = "not asked yet" if view.stated_goal is None else SHORT_TOPICS[view.stated_goal]
    rows = (
        ("modules completed", f"{view.modules_completed} of {view.n_modules}", "modules"),
        ("quizzes passed", f"{tests} of {len(TOPICS)}", "quizzes passed"),
        ("wants most", goal, "goal"),
    )
    for index, (label, value, key) in enumerate(rows):
        top = box.top + index * 29
        canvas.text(Box(box.left, top, box.right, top + 15), value, STRONG, key=key)
        canvas.text(Box(box.left, top + 14, box.right, top + 28), label, SMALL)


def draw_path(canvas: Canvas, box: Box, view: TutorView) -> None:
    """Draw the next steps of the recommended path, as many as fit."""
    room = draw_card(canvas, box, "Recommended path")
    if view.ending or not view.path:
        text = ENDINGS.get(view.ending, "Nothing is left to do.")
        canvas.lines(room, wrapped(text, BODY, room.width, 3), BODY, key="path end")
        return
    n_shown = min(len(view.path), (room.height - 18) // ROW)
    line = room.left + 11
    bottom = room.top + (n_shown - 1) * ROW + 12
    canvas.rectangle(Box(line - 1, room.top + 12, line + 1, bottom), LINE)
    for index, step in enumerate(view.path[:n_shown]):
        top = room.top + index * ROW
        _draw_step(canvas, Box(room.left, top, room.right, top + ROW), index, step)
    more = len(view.path) - n_shown
    if more:
        foot = Box(room.left + 32, room.bottom - 16, room.right, room.bottom)
        canvas.text(foot, f"and {more} more", SMALL, key="path more")


def _draw_step(canvas: Canvas, box: Box, index: int, step: PathStep) -> None:
    is_next = index == 0
    canvas.disc(box.left, box.top + 2, 22, BLUE if is_next else FAINT)
    disc = Box(box.left, box.top + 2, box.left + 22, box.top + 24)
    style = NUMBER if is_next else NUMBER_LATER
    canvas.text(disc, str(index + 1), style, align="centre")
    left = box.left + 32
    title = load_course().title(step.topic, step.level)
    heading = {"module": title, "quiz": f"Quiz: {title}", "resource": f"Resource: {title}"}
    style = SMALL_STRONG if is_next else Style(11, SMALL_STRONG.colour)
    canvas.text(Box(left, box.top, box.right, box.top + 15), heading[step.kind], style)
    canvas.text(Box(left, box.top + 14, box.right, box.top + 28), TOPICS[step.topic], SMALL)
