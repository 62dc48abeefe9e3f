"""The dashboard's lower half after the end of an episode: how it went."""

from rl_runner.envs.tutor.page.labels import outcome
from rl_runner.envs.tutor.page.picture.canvas import Box, Canvas
from rl_runner.envs.tutor.page.picture.dashboard import draw_card
from rl_runner.envs.tutor.page.picture.palette import FAINT, SMALL_INK, SMALL_STRONG
from rl_runner.envs.tutor.page.view import TutorView

ROW = 34


def draw(canvas: Canvas, box: Box, view: TutorView) -> None:
    """Draw the counts of the whole episode as a table."""
    room = draw_card(canvas, box, "How it went")
    for index, (label, value) in enumerate(outcome(view)):
        top = room.top + index * ROW
        if index:
            canvas.rectangle(Box(room.left, top, room.right, top + 1), FAINT)
        row = Box(room.left, top, room.right, top + ROW)
        ink = canvas.text(row, value, SMALL_STRONG, align="right", key=f"outcome {label}")
        canvas.text(Box(row.left, top, ink.left - 8, row.bottom), label, SMALL_INK)
