"""The platform's page as text, for a terminal (render mode ``ansi``)."""

from io import StringIO
from typing import TYPE_CHECKING, Literal

from rl_runner.envs.tutor.page import phrases
from rl_runner.envs.tutor.page.course import load_course
from rl_runner.envs.tutor.page.labels import (
    ENDINGS,
    FEEDBACK,
    estimated,
    goal,
    minutes,
    module_state,
    outcome,
    quiz,
    signed,
    stations,
)
from rl_runner.envs.tutor.page.view import GAP, Exchange, TutorView
from rl_runner.envs.tutor.simulator.model import TOPICS

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

WIDTH = 100
LATEST = 4
BAR = 8
MARKS = {"passed": "✓", "completed": "✓", "quiz open": "?", "next": "▶", "later": "·"}
STYLES = {"passed": "green", "completed": "green", "quiz open": "yellow", "next": "bold blue"}


def render_text(view: TutorView, *, colour: bool = True, width: int = WIDTH) -> str:
    """Write the page of one learner as text.

    :param colour: use ANSI escape sequences
    :param width: columns; no line is longer
    :returns: header, dashboard, library with the progress tracker, and chat
    """
    from rich.console import Console

    console = Console(
        file=StringIO(),
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        legacy_windows=False,
    )
    with console.capture() as captured:
        for part in (_header(view), _dashboard(view), _library(view), _chat(view)):
            console.print(part)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _grid(*justify: Literal["wide", "left", "right"]) -> "Table":
    from rich.table import Table

    grid = Table.grid(expand=True, padding=(0, 2, 0, 0))
    for how in justify:
        ratio = 1 if how == "wide" else None
        grid.add_column(justify="right" if how == "right" else "left", ratio=ratio)
    return grid


def _panel(content: "RenderableType", title: str) -> "RenderableType":
    from rich.panel import Panel

    return Panel(content, title=title, title_align="left", border_style="dim", padding=(0, 1))


def _text(words: str, style: str = "") -> "Text":
    """Return literal text: no markup is interpreted, and it is shortened, not wrapped."""
    from rich.text import Text

    return Text(words, style=style, no_wrap=True, overflow="ellipsis")


def _header(view: TutorView) -> "RenderableType":
    row = _grid("wide", "right")
    learner = f"The business of music · {view.genre} artist, {view.experience}"
    figures = f"step {view.step} of {view.horizon} · return {signed(view.return_so_far)}"
    row.add_row(_text(learner, "bold"), _text(figures, "bold"))
    return row


def _dashboard(view: TutorView) -> "RenderableType":
    rows = _grid("wide", "wide")
    facts = [
        f"Modules completed  {view.modules_completed} of {view.n_modules}",
        f"Topics finished    {view.topics_finished} of {len(TOPICS)}",
        f"Wants most         {goal(view)}",
        f"Engagement         {estimated(view.engagement)}",
        f"Skips              {view.skips}",
        f"Last module        {minutes(view.minutes)}",
    ]
    course = load_course()
    ahead = [
        f"{number} {course.title(station.topic, station.level)} ({', '.join(station.kinds)})"
        for number, station in enumerate(stations(view.path), start=1)
    ]
    if view.ending:
        ahead = [f"{label}: {value}" for label, value in outcome(view)]
    rows.add_row(_text("Your progress", "bold"), _text(_second_title(view), "bold"))
    for index in range(max(len(facts), min(len(ahead), len(facts) + 1))):
        left = facts[index] if index < len(facts) else ""
        right = ahead[index] if index < len(ahead) else ""
        rows.add_row(_text(left), _text(right))
    return _panel(rows, "Dashboard")


def _second_title(view: TutorView) -> str:
    return "How it went" if view.ending else "Recommended path"


def _library(view: TutorView) -> "RenderableType":
    rows = _grid("wide", "left", "right", "left")
    course = load_course()
    for topic, name in enumerate(TOPICS):
        known = f"knows {estimated(view.knowledge[topic])}"
        has_gap = view.gap(topic) >= GAP
        state = quiz(view, topic) + (", gap" if has_gap else "")
        style = "bold yellow" if has_gap else ""
        bar = _text(_bar(view, topic))
        rows.add_row(_text(name, "bold"), bar, _text(known), _text(state, style))
        for level in range(1, view.levels + 1):
            state = module_state(view, topic, level)
            module = course.module(topic, level)
            kinds = ", ".join(module.kinds) if module else ""
            title = f"{MARKS[state]} {course.title(topic, level)}"
            style = STYLES.get(state, "dim")
            rows.add_row(_text(title, style), _text(kinds, "dim"), "", _text(state, style))
    return _panel(rows, "Library and progress tracker")


def _bar(view: TutorView, topic: int) -> str:
    """Return completed modules as a bar of blocks: ``▓▓▓▓░░░░ 1 of 2``."""
    filled = BAR * view.completed[topic] // view.levels
    return "▓" * filled + "░" * (BAR - filled) + f" {view.completed[topic]} of {view.levels}"


def _chat(view: TutorView) -> "RenderableType":
    from rich.text import Text

    rows = _grid("left", "wide")
    if len(view.chat) > LATEST:
        rows.add_row("", _text(f"{len(view.chat) - LATEST} earlier exchanges", "dim"))
    for exchange in view.chat[-LATEST:]:
        rows.add_row(_text(f"Step {exchange.step}", "dim"), _text(_result(exchange), "dim"))
        rows.add_row(_text("Agent"), Text(phrases.advice(exchange)))
        rows.add_row(_text("Learner", "blue"), Text(phrases.reply(exchange), style="blue"))
    if not view.chat:
        rows.add_row("", _text("No advice yet. The first step starts the conversation."))
    if view.ending:
        rows.add_row(_text("End", "bold"), _text(ENDINGS[view.ending], "bold"))
    return _panel(rows, "Chat")


def _result(exchange: Exchange) -> str:
    reward = f"reward {signed(exchange.reward)}"
    return f"{reward} · {FEEDBACK[exchange.feedback]}" if exchange.feedback else reward
