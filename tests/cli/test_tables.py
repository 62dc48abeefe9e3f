"""Tables and texts in terminals of every width and of poorer encodings."""

import io
import re
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from rl_runner.cli.display.characters import spelled
from rl_runner.cli.display.console import SafeConsole, show, show_error
from rl_runner.cli.display.tables import Column, WrappedText, table, wrap
from rl_runner.errors import Problem, RunnerError

NAMES = ["cartpole-ppo-f502fd63", "cartpole-dqn-7f91b108"]
COLUMNS = [
    "experiment", ">seeds", ">mean", "95 %", Column(">IQM", 1), Column("95 %", 1),
    Column(">median", 2), Column("95 %", 2),
]  # fmt: skip
ROWS = [
    [name, "5 of 5", "475.3", "402.1 to 500.0", "490.2", "431.8 to 500.0", "497.9", "−8.5 to 500.0"]
    for name in NAMES
]


def printed(
    renderable: object, width: int, *, encoding: str = "utf-8", terminal: bool = True
) -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", newline="")
    console = SafeConsole(
        file=stream, width=width, force_terminal=terminal, color_system=None, highlight=False
    )
    console.print(renderable, crop=False)
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [120, 80, 60, 40, 20])
def test_no_name_and_no_number_is_broken_at_any_width(width: int):
    shown = printed(table(COLUMNS, ROWS), width)
    for name in NAMES:
        assert name in shown  # a hash that a line break cuts could not be copied
    for value in ("475.3", "402.1 to 500.0"):
        assert shown.count(value) >= 2
    widest = max(width, 28)  # a heading and an interval beside it
    assert all(cell_len(line) <= widest for line in shown.splitlines())


def test_columns_that_matter_least_are_left_out_first_and_named():
    everything = printed(table(COLUMNS, ROWS), 120)
    assert "also shows" not in everything
    assert "median" in everything
    shown = printed(table(COLUMNS, ROWS), 80)
    assert "IQM" in shown
    assert "median" not in shown.replace("A wider terminal also shows: median, 95 %.", "")
    assert "A wider terminal also shows: IQM, 95 %, median." in " ".join(
        printed(table(COLUMNS, ROWS), 60).split()
    )


def test_rows_are_stacked_where_even_the_first_columns_do_not_fit():
    lines = printed(table(COLUMNS, ROWS, "Results"), 40).splitlines()
    assert lines[0] == "Results"
    assert lines[1] == NAMES[0]
    assert ["seeds", "5 of 5"] in [re.split(r"\s{2,}", line.strip()) for line in lines]
    assert ["median", "497.9"] in [re.split(r"\s{2,}", line.strip()) for line in lines]


def test_a_file_keeps_all_columns():
    shown = printed(table(COLUMNS, ROWS), 60, terminal=False)
    assert "−8.5 to 500.0" in shown
    assert "also shows" not in shown


def test_numbers_are_aligned_at_their_right_ends():
    lines = printed(table(["seed", ">mean"], [["0", "1.5"], ["1", "100.25"]]), 80).splitlines()
    assert [line.rstrip() for line in lines[2:4]] == ["0        1.5", "1     100.25"]


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
@pytest.mark.parametrize("width", [120, 60, 30])
def test_poorer_encodings_get_replacements_that_are_aligned(encoding: str, width: int):
    rows = [["α−1", "—", "0.1 ± 0.2"], ["long enough…", "1.5", "★ ≥ ε"]]
    shown = printed(table(["name", ">value", "× of"], rows, "A → B"), width, encoding=encoding)
    assert "A -> B" in shown
    assert "alpha-1" in shown
    assert "long enough..." in shown
    assert "* >= epsilon" in shown
    assert "\\u" not in shown
    shown = printed(WrappedText(Text("ε is 0.1 … ±1")), width, encoding=encoding)
    assert shown.startswith("epsilon is 0.1 ...")


def test_foreign_letters_in_names_become_escapes():
    assert spelled("q_学", "ascii") == "q_\\u5b66"
    assert spelled("café", "latin-1") == "café"
    assert spelled("café", "no-such-encoding") == "café"


WORDS = st.lists(st.text("abcdef−0123…", min_size=1, max_size=30), min_size=1, max_size=12)


@given(WORDS, st.integers(1, 60))
def test_wrapping_keeps_every_word_and_no_line_is_longer_than_it_must_be(
    words: Sequence[str], width: int
):
    lines = wrap(" ".join(words), width)
    assert " ".join(lines).split() == list(words)
    for line in lines:
        assert len(line) <= width or " " not in line.strip()


@given(
    st.lists(st.lists(st.text("ab 0", max_size=40), min_size=3, max_size=3), max_size=4),
    st.integers(10, 130),
)
def test_a_table_in_a_terminal_breaks_no_word(rows: list[list[str]], width: int):
    shown = printed(table(["first", Column(">second", 1), Column("third one", 2)], rows), width)
    words = set(shown.split())
    for row in rows:
        assert set(row[0].split()) <= words | {"first"}


def test_a_path_in_an_error_can_be_copied(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    path = "/a/very/long/path/" + "x" * 200
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    show_error(RunnerError(Problem("It is gone.", path, "Look elsewhere.")))
    assert path in capsys.readouterr().err


def test_a_result_for_people_is_wrapped_at_spaces(capsys: pytest.CaptureFixture[str]):
    show("word " * 50 + "w" * 150)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "w" * 150
    assert all(len(line) <= 120 for line in lines[:-1])
