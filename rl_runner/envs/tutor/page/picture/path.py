"""The dashboard's lower half while an episode goes on: the recommended learning path."""

from rl_runner.envs.tutor.page.course import load_course
from rl_runner.envs.tutor.page.labels import Station, stations
from rl_runner.envs.tutor.page.picture.canvas import Box, Canvas, Style, wrapped
from rl_runner.envs.tutor.page.picture.dashboard import draw_card
from rl_runner.envs.tutor.page.picture.palette import (
    BLUE,
    BODY,
    CARD,
    FAINT,
    GREEN,
    LINE,
    MUTED,
    SMALL,
    SMALL_INK,
    SMALL_STRONG,
)
from rl_runner.envs.tutor.page.picture.shapes import draw_check
from rl_runner.envs.tutor.page.view import TutorView

ROW, DISC, BETWEEN = 41, 22, 8
INDENT = DISC + 10
FOOT = 16
ABOUT_HEADING, FEWEST_LINES = 27, 3
NUMBER = Style(11, CARD, bold=True)
NUMBER_LATER = Style(11, MUTED, bold=True)
NOTHING = "Every module is completed and every quiz is passed. Nothing is left to do."


def draw(canvas: Canvas, box: Box, view: TutorView) -> None:
    """Draw the next steps of the recommended path, as many as fit."""
    room = draw_card(canvas, box, "Recommended path")
    if not view.path:
        draw_check(canvas, room.left, room.top, DISC, GREEN)
        beside = Box(room.left + INDENT, room.top + 2, room.right, room.bottom)
        canvas.lines(beside, wrapped(NOTHING, BODY, beside.width, 4), BODY)
        return
    ahead = stations(view.path)
    n_shown = min(len(ahead), (room.height + BETWEEN) // ROW)
    if n_shown < len(ahead):
        n_shown = (room.height - FOOT) // ROW
        foot = Box(room.left + INDENT, room.bottom - FOOT, room.right, room.bottom)
        canvas.text(foot, f"and {len(ahead) - n_shown} more", SMALL, key="path more")
    middle = room.left + DISC // 2
    bottom = room.top + (n_shown - 1) * ROW + DISC // 2
    canvas.rectangle(Box(middle - 1, room.top + DISC // 2, middle + 1, bottom), LINE)
    for index, station in enumerate(ahead[:n_shown]):
        top = room.top + index * ROW
        _draw_step(canvas, Box(room.left, top, room.right, top + ROW), station, index)
    if n_shown == len(ahead):
        rest = Box(room.left, room.top + n_shown * ROW, room.right, room.bottom)
        _draw_about(canvas, rest, ahead[0])


def _draw_about(canvas: Canvas, room: Box, station: Station) -> None:
    """Draw what the next module is about, if some lines of it fit."""
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
