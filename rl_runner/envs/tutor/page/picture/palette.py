"""The page's colours and type sizes.

Blue, green and orange are Okabe and Ito's (2008) hues, which colour-blind readers can tell apart.
They are darkened until text has a contrast of at least 4.5 : 1 on the cards (WCAG 2.2, AA). No
state is shown by colour alone.
"""

from rl_runner.envs.tutor.page.picture.canvas import Colour, Style

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
