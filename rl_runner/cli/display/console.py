"""The only place that prints: results on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from rich import box
from rich.console import Console, Group
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from rl_runner.errors import RunnerError

PIPE_WIDTH = 120  # columns, where there is no terminal to ask


def console(*, stderr: bool = False) -> Console:
    """Return a console, a new one each time because tests and pipes replace the streams."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False, emoji=False)


def show(*renderables: Any) -> None:
    """Print results for people; strings without markup, since names may hold brackets."""
    for renderable in renderables:
        console().print(Text(renderable) if isinstance(renderable, str) else renderable)


def show_text(text: str) -> None:
    """Print text as it is: no wrapping, no markup."""
    sys.stdout.write(text)


def show_json(document: Any) -> None:
    """Print one JSON document; NaN, which JSON does not have, becomes null."""
    sys.stdout.write(json.dumps(_without_nan(document), indent=2, ensure_ascii=False) + "\n")


def show_message(text: str) -> None:
    """Write one line on standard error, so that standard output holds results only."""
    console(stderr=True).print(escape(text), soft_wrap=True)


def show_error(error: RunnerError) -> None:
    """Draw one panel: what is wrong, where, and what to do."""
    parts: list[Text] = []
    for problem in error.problems:
        if parts:
            parts.append(Text())
        if problem.where:
            parts.append(Text(problem.where, style="cyan"))
        parts.append(Text(problem.what))
        if problem.cure:
            parts.append(Text(problem.cure, style="green"))
    panel = Panel(Group(*parts), title=error.title, title_align="left", border_style="red")
    console(stderr=True).print(panel)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> Table:
    """Build a table; columns whose name begins with ``>`` are right-aligned.

    Long cells wrap instead of being cut, because names may differ only at their ends.
    """
    built = Table(box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    built.title = escape(title) or None
    for column in columns:
        name = escape(column.removeprefix(">"))
        justify: Literal["left", "right"] = "right" if column.startswith(">") else "left"
        built.add_column(name, justify=justify, overflow="fold")
    for row in rows:
        built.add_row(*("" if cell is None else escape(str(cell)) for cell in row))
    return built


def number(value: float | None, digits: int | None = None) -> str:
    """Write a number for a table: three decimals below 10, else two; an em dash for None.

    A number that would look like 0 gets three significant digits instead.
    """
    if value is None:
        return "—"
    decimals = (3 if abs(value) < 10 else 2) if digits is None else digits
    if decimals and 0 < abs(value) < 10**-decimals:
        return f"{value:.3g}"
    return f"{value:,.{decimals}f}"


def count(n: int, noun: str) -> str:
    """Write a number with its noun: ``1 run``, ``2 runs``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def interval(ends: Sequence[float] | None, digits: int | None = None) -> str:
    """Write both ends of an interval; an em dash for None."""
    return f"{number(ends[0], digits)} to {number(ends[1], digits)}" if ends else "—"


def duration(seconds: float | None) -> str:
    """Write seconds as 12.3s, 4m05s or 2h03m."""
    if seconds is None:
        return "—"
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - NaN is what differs from itself
        return None
    return value
