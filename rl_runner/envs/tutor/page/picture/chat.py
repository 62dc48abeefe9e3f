"""The chat: the agent's advice and the learner's responses, the latest at the bottom.

The latest exchanges are shown in full; above them, earlier ones have one line each.
"""

import math

from rl_runner.envs.tutor.page import phrases
from rl_runner.envs.tutor.page.labels import ACTIONS, ENDINGS, FEEDBACK, in_short, signed
from rl_runner.envs.tutor.page.picture.canvas import Box, Canvas, Colour, Style, wrapped
from rl_runner.envs.tutor.page.picture.shapes import (
    ARROW_DOWN,
    ARROW_UP,
    BLUE,
    BODY,
    CARD,
    FAINT,
    GREEN,
    GREEN_PALE,
    INK,
    LINE,
    MUTED,
    ORANGE,
    ORANGE_PALE,
    SMALL,
    SMALL_INK,
    SMALL_STRONG,
    draw_card,
)
from rl_runner.envs.tutor.page.view import Exchange, TutorView

LEARNER = Style(12, CARD)
WELCOME = (
    "Welcome. You make {genre}, at {experience} level. I suggest modules, "
    "resources and quizzes; tell me what helps and what does not."
)
ACTIONS_LABEL = "The agent’s six actions"
ACTIONS_TAKEN = f"{ACTIONS_LABEL}; the last one is filled"
WIDEST = 0.86  # of the chat's width, for a bubble
GAP, PAD_X, PAD_Y = 6, 10, 6
META, EXCHANGE_GAP, EARLIER, EARLIER_GAP = 19, 8, 17, 12
BANNER, BUTTON, MAX_LINES = 32, 24, 5


def draw(canvas: Canvas, box: Box, view: TutorView) -> None:
    """Draw the conversation, and below it the agent's actions with the last one marked."""
    room = draw_card(canvas, box, "Chat")
    last = view.chat[-1] if view.chat else None
    buttons = Box(room.left, room.bottom - 2 * BUTTON - 22, room.right, room.bottom)
    _draw_actions(canvas, buttons, last)
    bottom = buttons.top - 10
    if view.ending:
        banner = Box(room.left, bottom - BANNER, room.right, bottom)
        _draw_banner(canvas, banner, view)
        bottom = banner.top - 8
    room = Box(room.left, room.top, room.right, bottom)
    if view.chat:
        _draw_exchanges(canvas, room, view.chat)
    else:
        welcome = WELCOME.format(genre=view.genre, experience=view.experience)
        _draw_bubble(canvas, room, welcome, by_learner=False)
        canvas.text(room, "The first step starts the conversation.", SMALL, align="centre")


def _draw_exchanges(canvas: Canvas, room: Box, chat: tuple[Exchange, ...]) -> None:
    # How many of the latest exchanges fit in full, with room for up to three earlier ones.
    n_full, height = 0, 0
    for exchange in reversed(chat):
        needed = _height(room.width, exchange)
        n_earlier = len(chat) - n_full - 1
        if n_full and height + needed + min(n_earlier, 3) * EARLIER > room.height:
            break
        height += needed
        n_full += 1
    # The earlier ones at the top, then those in full.
    top = _draw_earlier(canvas, room, chat[:-n_full], room.height - height)
    for exchange in chat[-n_full:]:
        needed = _height(room.width, exchange)
        _draw_exchange(canvas, Box(room.left, top, room.right, top + needed), exchange)
        top += needed


def _draw_earlier(canvas: Canvas, room: Box, earlier: tuple[Exchange, ...], height: int) -> int:
    """Draw as many earlier exchanges as fit, one line each; return where they end."""
    n_shown = min(len(earlier), max(0, height - EARLIER_GAP) // EARLIER)
    top = room.top
    if not n_shown:
        return top
    left = room.left + max(26, math.ceil(SMALL.width(str(earlier[-1].step))) + 6)
    for exchange in earlier[-n_shown:]:
        line = Box(room.left, top, room.right, top + EARLIER)
        key = f"exchange {exchange.step}"
        canvas.text(Box(line.left, top, left, line.bottom), str(exchange.step), SMALL)
        text_room = Box(left, top, line.right - 70, line.bottom)
        ink = canvas.text(text_room, in_short(exchange), SMALL, key=key)
        _draw_feedback_mark(canvas, ink.right + 8, top + 4, exchange.feedback)
        reward = signed(exchange.reward)
        canvas.text(line, reward, SMALL, align="right", key=f"{key} reward")
        top += EARLIER
    canvas.rectangle(Box(room.left, top + 4, room.right, top + 5), LINE)
    return top + EARLIER_GAP


def _bubble_lines(text: str, width: int) -> list[str]:
    return wrapped(text, BODY, round(width * WIDEST) - 2 * PAD_X, MAX_LINES)


def _bubble_height(text: str, width: int) -> int:
    return len(_bubble_lines(text, width)) * BODY.line_height + 2 * PAD_Y


def _height(width: int, exchange: Exchange) -> int:
    said = (phrases.advice(exchange), phrases.reply(exchange))
    return META + sum(_bubble_height(text, width) + GAP for text in said) + EXCHANGE_GAP - GAP


def _draw_exchange(canvas: Canvas, box: Box, exchange: Exchange) -> None:
    _draw_meta(canvas, Box(box.left, box.top, box.right, box.top + META - 3), exchange)
    top = box.top + META
    for text, by_learner in ((phrases.advice(exchange), False), (phrases.reply(exchange), True)):
        room = Box(box.left, top, box.right, top + _bubble_height(text, box.width))
        _draw_bubble(canvas, room, text, by_learner=by_learner)
        top = room.bottom + GAP


def _draw_bubble(canvas: Canvas, room: Box, text: str, *, by_learner: bool) -> None:
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
    ink = canvas.text(box, f"Step {exchange.step}", SMALL, key=f"{key} step")
    reward = signed(exchange.reward)
    reward_ink = canvas.text(box, reward, SMALL_STRONG, align="right", key=f"{key} reward")
    label = Box(reward_ink.left - 60, box.top, reward_ink.left - 5, box.bottom)
    canvas.text(label, "reward", SMALL, align="right")
    if exchange.feedback:
        right = _draw_feedback_mark(canvas, ink.right + 10, box.top + 4, exchange.feedback)
        style = Style(11, GREEN if exchange.feedback > 0 else ORANGE)
        room = Box(right + 5, box.top, label.left, box.bottom)
        canvas.text(room, FEEDBACK[exchange.feedback], style, key=f"{key} feedback")


def _draw_feedback_mark(canvas: Canvas, left: int, top: int, feedback: int) -> int:
    """Draw a triangle, pointing up for positive feedback; return its right edge."""
    if feedback:
        liked = feedback > 0
        mark = Box(left, top, left + 9, top + 9)
        canvas.polygon(mark, ARROW_UP if liked else ARROW_DOWN, GREEN if liked else ORANGE)
    return left + 9


def _draw_actions(canvas: Canvas, box: Box, last: Exchange | None) -> None:
    """Draw the agent's six actions; the last one taken is filled."""
    canvas.rectangle(Box(box.left, box.top, box.right, box.top + 1), LINE)
    label = Box(box.left, box.top + 5, box.right, box.top + 20)
    canvas.text(label, ACTIONS_TAKEN if last else ACTIONS_LABEL, SMALL)
    for action, name in enumerate(ACTIONS):
        left, right = (box.left + (action % 3 + end) * (box.width + 6) // 3 for end in (0, 1))
        top = box.bottom - (2 - action // 3) * BUTTON + 3
        button = Box(left, top, right - 6, top + BUTTON - 4)
        taken = last is not None and last.action == action
        if taken:
            canvas.rectangle(button, INK, 10)
        else:
            canvas.card(button, CARD, LINE, 10)
        style = Style(11, CARD, bold=True) if taken else SMALL_INK
        key = "last action" if taken else ""
        canvas.text(button.inset(8, 0), name, style, align="centre", key=key)


def _draw_banner(canvas: Canvas, box: Box, view: TutorView) -> None:
    fills: dict[str, tuple[Colour, Colour]] = {
        "graduated": (GREEN_PALE, GREEN),
        "left": (ORANGE_PALE, ORANGE),
        "time over": (FAINT, MUTED),
    }
    background, colour = fills[view.ending]
    canvas.rectangle(box, background, 8)
    style = Style(11, colour, bold=True)
    canvas.text(box.inset(10, 0), ENDINGS[view.ending], style, align="centre", key="ending")
