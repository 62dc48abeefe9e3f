"""The position of each part of the page: header, dashboard, chat, library, progress tracker."""

import numpy as np

from rl_runner.envs.tutor.page.picture import chat, dashboard, header, library, tracker
from rl_runner.envs.tutor.page.picture.canvas import Box, Canvas
from rl_runner.envs.tutor.page.picture.shapes import PAGE
from rl_runner.envs.tutor.page.view import TutorView

SMALLEST = (960, 600)
MARGIN = 12
LEFT_COLUMN, RIGHT_COLUMN = 276, 288


def render_page(view: TutorView, size: tuple[int, int] = SMALLEST) -> np.ndarray:
    """Draw the page of one learner.

    :param size: width and height in pixels, at least 960 × 600
    :returns: (height, width, 3) uint8, RGB
    :raises ValueError: if ``size`` is too small
    """
    return np.asarray(draw_page(view, size).image).copy()


def draw_page(view: TutorView, size: tuple[int, int] = SMALLEST) -> Canvas:
    """Draw the page; return its canvas, which records the texts on it."""
    width, height = size
    if width < SMALLEST[0] or height < SMALLEST[1]:
        message = f"the page needs at least {SMALLEST[0]} × {SMALLEST[1]} pixels, not {size}"
        raise ValueError(message)
    canvas = Canvas(width, height, PAGE)
    header.draw(canvas, Box(0, 0, width, header.HEIGHT), view)
    # Three columns below the header.
    body = Box(MARGIN, header.HEIGHT + MARGIN, width - MARGIN, height - MARGIN)
    left = Box(body.left, body.top, body.left + LEFT_COLUMN, body.bottom)
    right = Box(body.right - RIGHT_COLUMN, body.top, body.right, body.bottom)
    middle = Box(left.right + MARGIN, body.top, right.left - MARGIN, body.bottom)
    # Left: progress, and below it the path or, at the end of an episode, the summary.
    split = left.top + dashboard.HEIGHT
    dashboard.draw_progress(canvas, Box(left.left, left.top, left.right, split), view)
    below = Box(left.left, split + MARGIN, left.right, left.bottom)
    draw_below = dashboard.draw_summary if view.ending else dashboard.draw_path
    draw_below(canvas, below, view)
    # Middle: the chat. Right: the library, and below it the progress tracker.
    chat.draw(canvas, middle, view)
    split = right.bottom - tracker.HEIGHT
    library.draw(canvas, Box(right.left, right.top, right.right, split - MARGIN), view)
    tracker.draw(canvas, Box(right.left, split, right.right, right.bottom), view)
    return canvas
