"""What several parts of the page use: colours, type sizes, cards and icons.

Blue, green and orange are Okabe and Ito's (2008) hues, which colour-blind readers can tell apart.
They are darkened until text has a contrast of at least 4.5 : 1 on the cards (WCAG 2.2, AA). No
state is shown by colour alone.
"""

from rl_runner.envs.tutor.page.picture.canvas import Box, Canvas, Colour, Style

INK: Colour = (22, 30, 46)
MUTED: Colour = (86, 96, 114)
LINE: Colour = (217, 222, 230)
FAINT: Colour = (237, 240, 245)
PAGE: Colour = (228, 233, 240)
CARD: Colour = (255, 255, 255)
NIGHT: Colour = (18, 32, 58)
NIGHT_MUTED: Colour = (176, 190, 214)
NIGHT_LINE: Colour = (62, 79, 112)

BLUE: Colour = (0, 98, 158)
GREEN: Colour = (0, 116, 84)
GREEN_PALE: Colour = (219, 241, 234)
ORANGE: Colour = (176, 72, 0)
ORANGE_PALE: Colour = (252, 232, 215)
AMBER: Colour = (240, 157, 86)  # for areas; no text is drawn on it
GOLD: Colour = (240, 180, 41)

TITLE = Style(13, INK, bold=True)
BODY = Style(12, INK)
STRONG = Style(12, INK, bold=True)
SMALL = Style(11, MUTED)
SMALL_INK = Style(11, INK)
SMALL_STRONG = Style(11, INK, bold=True)
FIGURE = Style(17, INK, bold=True)


CHECK = ((0.12, 0.52), (0.24, 0.40), (0.42, 0.58), (0.77, 0.20), (0.89, 0.32), (0.42, 0.82))
PLAY = ((0.28, 0.18), (0.82, 0.5), (0.28, 0.82))
ARROW_UP = ((0.5, 0.1), (0.95, 0.85), (0.05, 0.85))
ARROW_DOWN = ((0.05, 0.15), (0.95, 0.15), (0.5, 0.9))
SIZE, DISC = 13, 16
PADDING = 14  # of a card


def draw_card(canvas: Canvas, box: Box, title: str) -> Box:
    """Draw an empty card with a title and return the space below the title."""
    canvas.card(box, CARD, LINE, 10)
    inner = box.inset(PADDING, 10)
    canvas.text(Box(inner.left, inner.top, inner.right, inner.top + 18), title, TITLE)
    return Box(inner.left, inner.top + 27, inner.right, inner.bottom)


def draw_kind(canvas: Canvas, x: int, y: int, kind: str, colour: Colour) -> None:
    """Draw the icon of a text, a video or a quiz: 13 × 13 pixels from (x, y)."""
    box = Box(x, y, x + SIZE, y + SIZE)
    if kind == "text":
        canvas.rectangle(Box(x + 1, y, x + 12, y + SIZE), colour, 2)
        for row, length in ((3, 7), (6, 7), (9, 4)):
            canvas.rectangle(Box(x + 3, y + row, x + 3 + length, y + row + 1), CARD)
    elif kind == "video":
        canvas.rectangle(Box(x, y + 1, x + SIZE, y + 12), colour, 3)
        canvas.polygon(box.inset(3, 3), PLAY, CARD)
    else:
        canvas.disc(x, y, SIZE, colour)
        canvas.polygon(box.inset(3, 3), CHECK, CARD)


def draw_check(canvas: Canvas, x: int, y: int, diameter: int, colour: Colour) -> None:
    """Draw a disc with a check mark."""
    canvas.disc(x, y, diameter, colour)
    canvas.polygon(_inner(x, y, diameter), CHECK, CARD)


def draw_state(canvas: Canvas, x: int, y: int, state: str) -> None:
    """Draw a module's state (see :func:`.labels.module_state`) as a disc of 16 pixels."""
    if state == "later":
        _draw_circle(canvas, x, y, LINE)
    elif state == "next":
        canvas.disc(x, y, DISC, BLUE)
        canvas.polygon(_inner(x, y, DISC), PLAY, CARD)
    elif state == "quiz open":
        _draw_circle(canvas, x, y, GREEN)
        canvas.polygon(_inner(x, y, DISC), CHECK, GREEN)
    else:
        draw_check(canvas, x, y, DISC, GREEN)


def _inner(x: int, y: int, diameter: int) -> Box:
    margin = diameter // 5
    return Box(x, y, x + diameter, y + diameter).inset(margin, margin)


def _draw_circle(canvas: Canvas, x: int, y: int, colour: Colour) -> None:
    canvas.disc(x, y, DISC, colour)
    canvas.disc(x + 2, y + 2, DISC - 4, CARD)
