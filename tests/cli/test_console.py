import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from rl_runner.cli.display import console as module
from rl_runner.cli.display import tables
from rl_runner.cli.display.characters import visible
from rl_runner.cli.display.console import (
    only_results,
    show,
    show_error,
    show_json,
    show_message,
    show_text,
)
from rl_runner.cli.display.tables import table
from rl_runner.errors import Problem, RunnerError

ANY_TEXT = st.text(st.characters(exclude_categories=()))
CONTROLS = {chr(i) for i in (*range(32), *range(127, 160))} - {"\n", "\t"}


class Pipe(io.TextIOWrapper):
    """A stream that can be read as text, and refuses what UTF-8 cannot encode."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", newline="")

    def text(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode()  # type: ignore[attr-defined]


@given(ANY_TEXT)
def test_nothing_that_is_printed_controls_the_terminal(text: str):
    with pytest.MonkeyPatch.context() as patch:
        out, err = Pipe(), Pipe()
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        show(text, Text.assemble(("!", "yellow"), text), table([text], [[text]], text))
        show_text(text)
        show_message(text)
        show_error(RunnerError(Problem(text, text, text)))
        show_json({text: [text]})
    for stream in (out, err):
        assert not CONTROLS & set(stream.text())


@given(st.recursive(ANY_TEXT | st.integers() | st.none(), st.lists))
def test_printed_json_reads_as_the_same_document(document: object):
    with pytest.MonkeyPatch.context() as patch:
        out = Pipe()
        patch.setattr(sys, "stdout", out)
        show_json(document)
    assert json.loads(out.text()) == document


def test_control_characters_are_shown_as_escapes():
    assert visible("a\x1b[2J\x07\u202eb\tc\n\udcff") == r"a\x1b[2J\x07\u202eb" + "\tc\n" + r"\udcff"


def test_a_message_is_bounded(capsys: pytest.CaptureFixture[str]):
    show_message("q" * 1_000_000)
    show_error(RunnerError(Problem("q" * 1_000_000)))
    show(table(["column"], [["q" * 1_000_000]]))
    printed = capsys.readouterr()
    assert len(printed.err) < 3 * module.MOST_OF_A_MESSAGE
    assert len(printed.out) < 5 * tables.MOST_OF_A_CELL


def test_what_others_print_goes_to_standard_error(capsys: pytest.CaptureFixture[str]):
    with only_results():
        sys.stdout.write("from an environment\n")
        show("the result")
    show("after it")
    printed = capsys.readouterr()
    assert printed.out == "the result\nafter it\n"
    assert printed.err == "from an environment\n"
