"""The dashboard: the learner's progress, and below it the recommended path or the summary."""

from rl_runner.envs.tutor.page.course import load_course
from rl_runner.envs.tutor.page.labels import (
    Station,
    estimated,
    goal,
    minutes,
    outcome,
    stations,
)
from rl_runner.envs.tutor.page.picture.canvas import Box, Canvas, Style, wrapped
from rl_runner.envs.tutor.page.picture.shapes import (
    BLUE,
    BODY,
    CARD,
    FAINT,
    FIGURE,
    GREEN,
    LINE,
    MUTED,
    SMALL,
    SMALL_INK,
    SMALL_STRONG,
    STRONG,
    draw_card,
    draw_check,
)
from rl_runner.envs.tutor.page.view import TutorView

HEIGHT = 206
RING = 88
BIG = Style(22, FIGURE.colour, bold=True)
PATH_ROW, DISC, BETWEEN = 41, 22, 8
INDENT = DISC + 10
FOOT = 16
ABOUT_HEADING, FEWEST_LINES = 27, 3
NUMBER = Style(11, CARD, bold=True)
NUMBER_LATER = Style(11, MUTED, bold=True)
NOTHING = "Every module is completed and every quiz is passed. There is nothing left to do."
SUMMARY_ROW = 34


def draw_progress(canvas: Canvas, box: Box, view: TutorView) -> None:
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


def draw_path(canvas: Canvas, box: Box, view: TutorView) -> None:
    """Draw the next stations of the recommended path, as many as fit."""
    room = draw_card(canvas, box, "Recommended path")
    if not view.path:
        draw_check(canvas, room.left, room.top, DISC, GREEN)
        beside = Box(room.left + INDENT, room.top + 2, room.right, room.bottom)
        canvas.lines(beside, wrapped(NOTHING, BODY, beside.width, 4), BODY)
        return
    # How many stations fit; if not all, a line says how many more there are.
    ahead = stations(view.path)
    n_shown = min(len(ahead), (room.height + BETWEEN) // PATH_ROW)
    if n_shown < len(ahead):
        n_shown = (room.height - FOOT) // PATH_ROW
        foot = Box(room.left + INDENT, room.bottom - FOOT, room.right, room.bottom)
        canvas.text(foot, f"and {len(ahead) - n_shown} more", SMALL, key="path more")
    # A line through the numbers, then the stations.
    middle = room.left + DISC // 2
    bottom = room.top + (n_shown - 1) * PATH_ROW + DISC // 2
    canvas.rectangle(Box(middle - 1, room.top + DISC // 2, middle + 1, bottom), LINE)
    for index, station in enumerate(ahead[:n_shown]):
        top = room.top + index * PATH_ROW
        _draw_step(canvas, Box(room.left, top, room.right, top + PATH_ROW), station, index)
    # Space that is left describes the next module.
    if n_shown == len(ahead):
        rest = Box(room.left, room.top + n_shown * PATH_ROW, room.right, room.bottom)
        _draw_about(canvas, rest, ahead[0])


def _draw_about(canvas: Canvas, room: Box, station: Station) -> None:
    """Draw the summary of the next module, if enough lines fit."""
    module = load_course().module(station.topic, station.level)
    n_lines = (room.height - ABOUT_HEADING) // SMALL.line_height
    if module and n_lines >= FEWEST_LINES:
        canvas.rectangle(Box(room.left, room.top, room.right, room.top + 1), LINE)
        heading = Box(room.left, room.top + 8, room.right, room.top + 24)
        canvas.text(heading, "About the next module", SMALL_STRONG)
        below = Box(room.left, room.top + ABOUT_HEADING, room.right, room.bottom)
        canvas.lines(below, wrapped(module.summary, SMALL, below.width, n_lines), SMALL)


def _draw_step(canvas: Canvas, box: Box, station: Station, index: int) -> None:
    is_next = index == 0
    disc = Box(box.left, box.top + 2, box.left + DISC, box.top + 2 + DISC)
    canvas.disc(disc.left, disc.top, DISC, BLUE if is_next else FAINT)
    number = NUMBER if is_next else NUMBER_LATER
    canvas.text(disc, str(index + 1), number, align="centre")
    left = box.left + INDENT
    title = load_course().title(station.topic, station.level)
    style = SMALL_STRONG if is_next else SMALL_INK
    key = f"path {index}"
    canvas.text(Box(left, box.top, box.right, box.top + 15), title, style, key=key)
    below = Box(left, box.top + 15, box.right, box.top + 30)
    canvas.text(below, str(station), SMALL, key=f"{key} kinds")


def draw_summary(canvas: Canvas, box: Box, view: TutorView) -> None:
    """Draw the counts of the complete episode as a table."""
    room = draw_card(canvas, box, "How it went")
    for index, (label, value) in enumerate(outcome(view)):
        top = room.top + index * SUMMARY_ROW
        if index:
            canvas.rectangle(Box(room.left, top, room.right, top + 1), FAINT)
        row = Box(room.left, top, room.right, top + SUMMARY_ROW)
        ink = canvas.text(row, value, SMALL_STRONG, align="right", key=f"outcome {label}")
        canvas.text(Box(row.left, top, ink.left - 8, row.bottom), label, SMALL_INK)
