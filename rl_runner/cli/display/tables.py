"""Tables and texts that fit the terminal without breaking a word, a number or a hash.

A table that is too wide first wraps its headings and long texts at spaces. Then it leaves out the
columns that matter least, and says which. Then each row becomes a block of lines. A word that is
longer than a whole line is printed as it is: the terminal breaks it, so it can still be copied.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, pairwise

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from rl_runner.cli.display.characters import spelled, visible
from rl_runner.errors import bounded

GAP = "  "  # between columns
SHORT_CELL = 24  # columns; a cell no longer than that stays on one line
SHORT_HEADING = 5  # columns, likewise: `95 %`
LEAST_TEXT = 20  # columns that a longer text has at least
MOST_OF_A_CELL = 1_000  # characters


@dataclass(frozen=True)
class Column:
    """A column of a table.

    :param name: its heading; a name that begins with ``>`` aligns its cells to the right
    :param rank: 0 if it is always shown; of the others those with the highest rank are left out
        first, all with the same rank together
    """

    name: str
    rank: int = 0

    @property
    def heading(self) -> str:
        """The heading as it is shown."""
        return visible(self.name.removeprefix(">"))

    @property
    def is_right(self) -> bool:
        """Whether its cells are aligned to the right."""
        return self.name.startswith(">")


def table(
    columns: Sequence[str | Column], rows: Iterable[Sequence[object]], title: str = ""
) -> "FittedTable":
    """Build a table. A column given by its name alone is always shown."""
    known = [column if isinstance(column, Column) else Column(column) for column in columns]
    return FittedTable(known, [[*map(_cell, row)] for row in rows], visible(title))


def _cell(value: object) -> str:
    return "" if value is None else visible(bounded(str(value), MOST_OF_A_CELL))


class FittedTable:
    """A table that chooses its layout when it is printed, by the width of the terminal.

    Output that goes to no terminal keeps all columns, however wide they are.
    """

    def __init__(
        self, columns: Sequence[Column], rows: Sequence[Sequence[str]], title: str = ""
    ) -> None:
        self._columns = columns
        self._rows = rows
        self._title = title

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines of the table."""
        encoding = console.encoding
        whole = _Layout(
            [spelled(column.heading, encoding) for column in self._columns],
            [column.is_right for column in self._columns],
            [[spelled(cell, encoding) for cell in row] for row in self._rows],
        )
        if self._title:
            yield from _lines(spelled(self._title, encoding), options.max_width, "italic")
        # Everything, or all columns but those that matter least.
        rule = "-" if options.ascii_only else "─"
        ranks = sorted({column.rank for column in self._columns} - {0}, reverse=True)
        for lowest in [None, *ranks] if console.is_terminal else [None]:
            kept = [lowest is None or column.rank < lowest for column in self._columns]
            layout = whole.only(kept)
            widths = layout.widths(options.max_width)
            if widths is None and not console.is_terminal:
                widths = layout.least_widths()
            if widths is not None:
                yield from layout.lines(widths, rule)
                left_out = [
                    h for h, is_kept in zip(whole.headings, kept, strict=True) if not is_kept
                ]
                if left_out:
                    listed = ", ".join(dict.fromkeys(left_out))
                    text = f"A wider terminal also shows: {listed}."
                    yield from _lines(text, options.max_width, "dim")
                yield Text()
                return
        # A block of lines for each row.
        yield from whole.blocks(options.max_width)
        yield Text()


@dataclass(frozen=True)
class _Layout:
    """Headings and cells that share columns."""

    headings: Sequence[str]
    are_right: Sequence[bool]
    rows: Sequence[Sequence[str]]

    def only(self, kept: Sequence[bool]) -> "_Layout":
        """Return the columns that are kept."""
        return _Layout(
            list(compress(self.headings, kept)),
            list(compress(self.are_right, kept)),
            [list(compress(row, kept)) for row in self.rows],
        )

    def least_widths(self) -> list[int]:
        """Return how narrow each column can be."""
        return [
            max(_least_heading(heading), *(_least_width(row[i]) for row in self.rows), 1)
            for i, heading in enumerate(self.headings)
        ]

    def widths(self, available: int) -> list[int] | None:
        """Return a width for each column; None if they do not fit beside each other."""
        available -= len(GAP) * (len(self.headings) - 1)
        natural = [
            max(cell_len(heading), *(_natural_width(row[i]) for row in self.rows), 1)
            for i, heading in enumerate(self.headings)
        ]
        widths = self.least_widths()
        if sum(widths) > available:
            return None
        # Give the space that is left to the columns that want more, a little to each in turn.
        spare = available - sum(widths)
        while spare > 0 and widths != natural:
            for i, wanted in enumerate(natural):
                if spare > 0 and widths[i] < wanted:
                    widths[i] += 1
                    spare -= 1
        return widths

    def lines(self, widths: Sequence[int], rule: str) -> Iterator[Text]:
        """Yield the headings, a rule, and the rows."""
        yield from self._row(self.headings, widths, "bold", at_bottom=True)
        yield Text(GAP.join(rule * width for width in widths), no_wrap=True, overflow="ignore")
        for row in self.rows:
            yield from self._row(row, widths)

    def _row(
        self,
        cells: Sequence[str],
        widths: Sequence[int],
        style: str = "",
        *,
        at_bottom: bool = False,
    ) -> Iterator[Text]:
        """Yield the lines of a row, whose cells may take several."""
        parts = [wrap(cell, width) for cell, width in zip(cells, widths, strict=True)]
        height = max(map(len, parts))
        for part in parts:
            empty = [""] * (height - len(part))
            part[:] = [*empty, *part] if at_bottom else [*part, *empty]
        for line in zip(*parts, strict=True):
            aligned = (
                _aligned(text, width, is_right)
                for text, width, is_right in zip(line, widths, self.are_right, strict=True)
            )
            yield Text(GAP.join(aligned).rstrip(), style, no_wrap=True, overflow="ignore")

    def blocks(self, available: int) -> Iterator[Text]:
        """Yield each row as a block: its first cell, and below it a line for each other cell."""
        indent = max((cell_len(heading) for heading in self.headings[1:]), default=0) + 4
        for row in self.rows:
            first = f"{self.headings[0]} {row[0]}" if row[0].isdigit() else row[0]
            yield Text(first, "bold", no_wrap=True, overflow="ignore")
            for heading, cell in zip(self.headings[1:], row[1:], strict=True):
                start = _aligned(f"  {heading}", indent, is_right=False)
                for part in wrap(cell, max(available - indent, LEAST_TEXT)):
                    yield Text(f"{start}{part}".rstrip(), no_wrap=True, overflow="ignore")
                    start = " " * indent


class WrappedText:
    """A text that is wrapped at spaces, and nowhere else."""

    def __init__(self, text: Text) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines of the text."""
        text = self._text
        shown = spelled(text.plain, console.encoding)
        if shown != text.plain:
            text = Text(shown, text.style)
        for line in text.split(allow_blank=True):
            for part in line.divide(_breaks(line.plain, options.max_width)):
                part.rstrip()
                part.no_wrap, part.overflow = True, "ignore"
                yield part


def wrap(text: str, width: int) -> list[str]:
    """Return a text as lines of at most ``width`` columns; a longer word is a line of its own."""
    lines = []
    for line in text.splitlines() or [""]:
        starts = [0, *_breaks(line, width), len(line)]
        lines += [line[a:b].rstrip() for a, b in pairwise(starts)]
    return lines


def _breaks(line: str, width: int) -> list[int]:
    """Return where a line is broken, each the beginning of a word."""
    breaks: list[int] = []
    used = start = 0  # columns of the present line; where the present word begins
    for word in line.split(" "):
        columns = cell_len(word)
        if used and used + columns > width and word:
            breaks.append(start)
            used = 0
        used += columns + 1
        start += len(word) + 1
    return breaks


def _lines(text: str, width: int, style: str) -> Iterator[Text]:
    for part in wrap(text, width):
        yield Text(part, style, no_wrap=True, overflow="ignore")


def _natural_width(cell: str) -> int:
    return max(map(cell_len, cell.splitlines()), default=0)


def _longest_word(text: str) -> int:
    return max(map(cell_len, text.split()), default=0)


def _least_heading(heading: str) -> int:
    """Return how narrow a heading can be: all but the shortest are broken at spaces."""
    return max(_longest_word(heading), min(cell_len(heading), SHORT_HEADING))


def _least_width(cell: str) -> int:
    """Return how narrow a cell can be: a short one is not broken, a long one only at spaces."""
    natural = _natural_width(cell)
    return natural if natural <= SHORT_CELL else max(_longest_word(cell), LEAST_TEXT)


def _aligned(text: str, width: int, is_right: bool) -> str:
    space = " " * (width - cell_len(text))
    return space + text if is_right else text + space
