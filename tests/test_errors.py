import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_runner import errors
from rl_runner.errors import (
    ConfigError,
    Problem,
    RunnerError,
    bounded,
    describe_exception,
    describe_exit,
    did_you_mean,
    place_of,
)


def test_a_problem_reads_where_what_cure():
    problem = Problem("It is wrong.", "a.yaml:3", "Mend it.")
    assert str(problem) == "a.yaml:3\nIt is wrong.\nMend it."


def test_a_problem_leaves_out_what_it_does_not_know():
    assert str(Problem("It is wrong.")) == "It is wrong."
    assert str(Problem("It is wrong.", cure="Mend it.")) == "It is wrong.\nMend it."


def test_equal_problems_are_one_in_a_set():
    assert len({Problem("a", "b"), Problem("a", "b"), Problem("a", "c")}) == 2


def test_an_error_carries_all_its_problems():
    first, second = Problem("one", "x:1"), Problem("two", "x:2", "cure")
    error = ConfigError(first, second)
    assert error.problems == (first, second)
    assert str(error) == "x:1\none\n\nx:2\ntwo\ncure"


@pytest.mark.parametrize(
    "name", ["ConfigError", "EnvError", "RunFolderError", "CheckpointError", "DataError"]
)
def test_every_error_is_a_runner_error_with_a_title_of_its_own(name: str):
    kind = getattr(errors, name)
    assert issubclass(kind, RunnerError)
    assert kind.title != RunnerError.title
    with pytest.raises(RunnerError, match="what"):
        raise kind(Problem("what"))


def test_titles_tell_the_errors_apart():
    titles = [kind.title for kind in RunnerError.__subclasses__()]
    assert len(set(titles)) == len(titles)


def test_a_tree_in_the_docstring_names_every_error():
    for kind in [*RunnerError.__subclasses__(), errors.CodeError]:
        assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize(
    ("word", "known", "answer"),
    [
        ("gama", ["gamma", "tau"], "Did you mean `gamma`?"),
        ("learnig_rate", ["learning_rate", "learning_starts"], "Did you mean `learning_rate`?"),
        ("xyz", ["gamma", "tau"], ""),
        ("gamma", [], ""),
        (5, ["5x", "gamma"], "Did you mean `5x`?"),
        ("", ["gamma"], ""),
    ],
)
def test_the_closest_known_word_is_suggested(word: object, known: list[str], answer: str):
    assert did_you_mean(word, known) == answer


@given(st.text(min_size=1), st.lists(st.text()))
def test_a_known_word_suggests_itself(word: str, others: list[str]):
    assert did_you_mean(word, [*others, word]) == f"Did you mean `{word}`?"


def test_an_error_reaches_another_process_with_its_problems():
    error = ConfigError(Problem("one", "x:1"), Problem("two", "x:2", "cure"))
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(again) is ConfigError
    assert again.problems == error.problems


# --- texts of whatever was raised -----------------------------------------------------------------

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates, too


@given(ANY_TEXT, st.integers(2, 50))
def test_a_bounded_text_can_be_encoded_and_is_not_much_longer(text: str, limit: int):
    shown = bounded(text, limit)
    shown.encode("utf-8")
    if len(text) <= limit:
        assert shown == text.encode("utf-8", "backslashreplace").decode()
    else:
        half = limit // 2
        assert shown.startswith(text[:half].encode("utf-8", "backslashreplace").decode())
        assert f"{len(text) - 2 * half:,} characters left out" in shown


@given(ANY_TEXT)
def test_an_exception_is_described_on_one_line(text: str):
    message = describe_exception(ValueError(text))
    assert message.startswith("ValueError")
    assert len(message.splitlines()) == 1


class Unspeakable(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise ValueError

    __repr__ = __str__


def test_an_exception_that_has_no_text_is_described():
    assert describe_exception(Unspeakable()).startswith("Unspeakable (its text is not available")
    assert describe_exception(KeyError()) == "KeyError"


def test_an_error_of_ours_says_on_one_line_what_where_and_the_cure():
    error = RunnerError(Problem("It is wrong.", "a.yaml:3", "Mend it."), Problem("And this."))
    assert describe_exception(error) == "It is wrong. (a.yaml:3) Mend it. And this."


def test_the_place_of_an_exception_is_where_it_was_raised():
    def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError) as caught:  # noqa: PT011
        fail()
    assert f"{__file__}:" in place_of(caught.value)
    assert place_of(caught.value).endswith(", in fail")
    assert place_of(ValueError()) == ""


def test_the_end_of_a_process_is_described():
    assert describe_exit(-9) == "was ended by SIGKILL; was it out of memory?"
    assert describe_exit(-11) == "was ended by SIGSEGV"
    assert describe_exit(3) == "ended with exit code 3"
