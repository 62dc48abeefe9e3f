"""The only place that prints: results on standard output, everything else on standard error.

Whatever an environment prints in this process goes to standard error too, so that standard output
holds nothing but the result (:func:`separate_results`, :func:`only_results`). How a text is made to
fit a terminal is in :mod:`.characters` and :mod:`.tables`.
"""

import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from rl_runner.cli.display.characters import SPELL_OUT, UNSAFE, visible
from rl_runner.cli.display.tables import WrappedText
from rl_runner.errors import RunnerError, bounded

PIPE_WIDTH = 120  # columns, where there is no terminal to ask

MOST_OF_A_MESSAGE = 10_000  # characters

UNSAFE_IN_JSON = re.compile(r"[\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_results: list[TextIO] = []  # where the command under way prints its result, apart from sys.stdout


def separate_results() -> None:
    """Let everything that this process or its children print go to standard error, except results.

    Call it once, at the start of a process that runs commands. Afterwards only ``sys.stdout`` leads
    to the original standard output; compiled code and child processes do not know it.
    """
    sys.stdout.flush()
    results = os.dup(1)
    os.dup2(2, 1)
    encoding = sys.stdout.encoding
    sys.stdout = os.fdopen(results, "w", encoding=encoding, errors=SPELL_OUT)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors=SPELL_OUT)


@contextlib.contextmanager
def only_results() -> Iterator[None]:
    """Keep standard output for results; other code that prints there writes to standard error."""
    _results.append(sys.stdout)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = _results.pop()


def result_stream() -> TextIO:
    """Return where results are printed."""
    return _results[-1] if _results else sys.stdout


class SafeConsole(Console):
    """Rich's console, which shows control characters in texts as escapes."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield the segments of a renderable; only Rich's own contain control characters."""
        for segment in super().render(renderable, options):
            unsafe = not segment.control and UNSAFE.search(segment.text)
            yield Segment(visible(segment.text), segment.style) if unsafe else segment


def console(*, stderr: bool = False) -> Console:
    """Return a console, a new one each time because tests and pipes replace the streams."""
    stream = sys.stderr if stderr else result_stream()
    width = None if stream.isatty() else PIPE_WIDTH
    return SafeConsole(file=stream, width=width, highlight=False, soft_wrap=False, emoji=False)


def show(*renderables: Any) -> None:
    """Print results for people; strings without markup, since names may hold brackets."""
    for renderable in renderables:
        text = Text(visible(renderable)) if isinstance(renderable, str) else renderable
        shown = WrappedText(text) if isinstance(text, Text) else text
        console().print(shown, crop=False)


def show_text(text: str) -> None:
    """Print text as it is: no wrapping, no markup."""
    result_stream().write(visible(text))


def show_json(document: Any) -> None:
    """Print one JSON document; NaN, which JSON does not have, becomes null."""
    text = json.dumps(_without_nan(document), indent=2, ensure_ascii=False)
    text = UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    stream = result_stream()
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:  # JSON has escapes of its own for what an encoding does not have
        text = json.dumps(json.loads(text), indent=2)
    stream.write(text + "\n")


def show_message(text: str) -> None:
    """Write a message on standard error; a terminal shows it in several lines, a file in one."""
    text = visible(bounded(text, MOST_OF_A_MESSAGE))
    stderr = console(stderr=True)
    if stderr.is_terminal:
        stderr.print(WrappedText(Text(text)), crop=False)
    else:
        stderr.print(Text(text), soft_wrap=True)


def show_error(error: RunnerError) -> None:
    """Draw between two lines what is wrong, where, and what to do; paths stay copyable."""
    parts: list[WrappedText] = []
    for problem in error.problems:
        if parts:
            parts.append(_part(""))
        if problem.where:
            parts.append(_part(problem.where, "cyan"))
        parts.append(_part(problem.what))
        if problem.cure:
            parts.append(_part(problem.cure, "green"))
    stderr = console(stderr=True)
    # A frame without sides: they would be copied together with a path that takes two lines.
    top = WrappedText(Text(f"╭─ {error.title} ".ljust(stderr.width, "─"), "red"))
    bottom = WrappedText(Text("╰".ljust(stderr.width, "─"), "red"))
    stderr.print(top, *parts, bottom, sep="", crop=False)


def _part(text: str, style: str = "") -> WrappedText:
    return WrappedText(Text(visible(bounded(text, MOST_OF_A_MESSAGE)), style=style))


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
