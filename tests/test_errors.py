import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_runner import errors
from rl_runner.errors import ConfigError, Problem, RunnerError, did_you_mean


def test_a_problem_reads_where_what_cure():
    problem = Problem("It is wrong.", "a.yaml:3", "Mend it.")
    assert str(problem) == "a.yaml:3\nIt is wrong.\nMend it."


def test_a_problem_leaves_out_what_it_does_not_know():
    assert str(Problem("It is wrong.")) == "It is wrong."
    assert str(Problem("It is wrong.", cure="Mend it.")) == "It is wrong.\nMend it."


def test_equal_problems_are_told_once_in_a_set():
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
