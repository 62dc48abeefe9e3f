"""The chat: the agent's advice and the learner's responses, the newest at the bottom."""

from rl_runner.envs.tutor import phrases
from rl_runner.envs.tutor.canvas import Box, Canvas, Colour, Style, wrapped
from rl_runner.envs.tutor.dashboard import draw_card
from rl_runner.envs.tutor.icons import ARROW_DOWN, ARROW_UP
from rl_runner.envs.tutor.palette import (
    BLUE,
    BODY,
    CARD,
    FAINT,
    GREEN,
    GREEN_PALE,
    INK,
    MUTED,
    ORANGE,
    ORANGE_PALE,
    SMALL,
    SMALL_STRONG,
)
from rl_runner.envs.tutor.view import Exchange, TutorView
from rl_runner.envs.tutor.words import ENDINGS, signed

LEARNER = Style(12, CARD)
META = Style(11, MUTED)
WELCOME = "Welcome. I suggest modules, resources and quizzes. Tell me what helps and what does not."
GAP, PAD_X, PAD_Y = 6, 10, 6
META_HEIGHT = 20
BANNER = 34


def draw(canvas: Canvas, box: Box, view: TutorView) -> None:
    """Draw as many of the latest exchanges as fit."""
    room = draw_card(canvas, box, "Chat")
    bottom = room.bottom
    if view.ending:
        bottom -= BANNER + 8
        _draw_banner(canvas, Box(room.left, bottom + 8, room.right, room.bottom), view)
    if not view.chat:
        _draw_bubble(canvas, Box(room.left, room.top, room.right, bottom), WELCOME, False)
        return
    shown: list[tuple[Exchange, int]] = []
    height = 0
    for exchange in reversed(view.chat):
        needed = _height(room.width, exchange)
        if shown and height + needed > bottom - room.top:
            break
        shown.append((exchange, needed))
        height += needed
    top = max(room.top, bottom - height) if len(shown) < len(view.chat) else room.top
    for exchange, needed in reversed(shown):
        _draw_exchange(canvas, Box(room.left, top, room.right, top + needed), exchange)
        top += needed


def _bubble_lines(text: str, width: int) -> list[str]:
    return wrapped(text, BODY, round(width * 0.84) - 2 * PAD_X, 4)


def _bubble_height(text: str, width: int) -> int:
    return len(_bubble_lines(text, width)) * BODY.line_height + 2 * PAD_Y


def _height(width: int, exchange: Exchange) -> int:
    said = (phrases.advice(exchange), phrases.reply(exchange))
    return META_HEIGHT + sum(_bubble_height(text, width) + GAP for text in said) + 4


def _draw_exchange(canvas: Canvas, box: Box, exchange: Exchange) -> None:
    _draw_meta(canvas, Box(box.left, box.top, box.right, box.top + META_HEIGHT - 2), exchange)
    top = box.top + META_HEIGHT
    for text, by_learner in ((phrases.advice(exchange), False), (phrases.reply(exchange), True)):
        room = Box(box.left, top, box.right, top + _bubble_height(text, box.width))
        _draw_bubble(canvas, room, text, by_learner)
        top = room.bottom + GAP


def _draw_bubble(canvas: Canvas, room: Box, text: str, by_learner: bool) -> None:
    style = LEARNER if by_learner else BODY
    lines = _bubble_lines(text, room.width)
    width = round(max(style.width(line) for line in lines)) + 2 * PAD_X + 1
    left = room.right - width if by_learner else room.left
    height = len(lines) * style.line_height + 2 * PAD_Y
    bubble = Box(left, room.top, left + width, room.top + height)
    canvas.rectangle(bubble, BLUE if by_learner else FAINT, 10)
    canvas.lines(bubble.inset(PAD_X, PAD_Y), lines, style)


def _draw_meta(canvas: Canvas, box: Box, exchange: Exchange) -> None:
    key = f"exchange {exchange.step}"
    ink = canvas.text(box, f"Step {exchange.step}", META, key=f"{key} step")
    reward = signed(exchange.reward)
    canvas.text(box, reward, SMALL_STRONG, align="right", key=f"{key} reward")
    if exchange.feedback:
        liked = exchange.feedback > 0
        colour = GREEN if liked else ORANGE
        mark = Box(ink.right + 10, box.top + 5, ink.right + 19, box.top + 14)
        canvas.polygon(mark, ARROW_UP if liked else ARROW_DOWN, colour)
        words = "positive feedback" if liked else "negative feedback"
        room = Box(mark.right + 5, box.top, box.right - 50, box.bottom)
        canvas.text(room, words, Style(11, colour), key=f"{key} feedback")


def _draw_banner(canvas: Canvas, box: Box, view: TutorView) -> None:
    fill: dict[str, tuple[Colour, Colour]] = {
        "graduated": (GREEN_PALE, GREEN),
        "left": (ORANGE_PALE, ORANGE),
        "time over": (FAINT, INK),
    }
    background, colour = fill[view.ending]
    canvas.rectangle(box, background, 8)
    style = Style(SMALL.size, colour, bold=True)
    canvas.text(box.inset(12, 0), ENDINGS[view.ending], style, align="centre", key="ending")
