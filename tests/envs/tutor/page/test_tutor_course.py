import tomllib
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

import rl_runner
from rl_runner.config.section import validate_section
from rl_runner.config.yaml_text import parse_yaml
from rl_runner.envs.tutor.page.course import FILE, Course, Module, load_course
from rl_runner.envs.tutor.simulator.model import TOPICS
from rl_runner.errors import ConfigError

COURSE = load_course()
MODULES = [module for topic in COURSE.topics for module in topic.modules]
QUESTIONS = [question for module in MODULES for question in module.questions]
ROOT = Path(rl_runner.__file__).parent.parent
TEXT = (files("rl_runner.envs.tutor") / FILE).read_text(encoding="utf-8")

every_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.title)


def _read(text: str) -> Course:
    raw, source = parse_yaml(text, FILE)
    return validate_section(Course, raw, source)


def test_there_are_three_topics_of_two_levels():
    assert [topic.name for topic in COURSE.topics] == list(TOPICS)
    assert [len(topic.modules) for topic in COURSE.topics] == [2, 2, 2]


@every_module
def test_a_module_has_something_to_read_or_watch_and_a_quiz(module: Module):
    kinds = [item.kind for item in module.items]
    assert kinds.count("quiz") == 1
    assert kinds[-1] == "quiz"
    assert {"text", "video"} <= set(kinds)
    assert 10 <= module.minutes <= 45
    assert len(module.questions) >= 5


@every_module
def test_right_answers_are_spread_over_the_places(module: Module):
    places = Counter(question.answer for question in module.questions)
    assert len(places) >= 3
    assert max(places.values()) <= len(module.questions) / 2


def test_the_longest_option_is_right_about_as_often_as_by_chance():
    longest = sum(
        len(question.options[question.answer]) == max(map(len, question.options))
        for question in QUESTIONS
    )
    assert 0.15 <= longest / len(QUESTIONS) <= 0.4


def test_no_question_resource_or_title_is_there_twice():
    for names in (
        [question.question for question in QUESTIONS],
        [module.title for module in MODULES],
        [(module.title, resource.name) for module in MODULES for resource in module.resources],
    ):
        assert len(set(names)) == len(names)


def test_no_link_is_given_that_could_be_wrong():
    for sign in ("http", "www.", ".com", ".org", ".co.", ".africa"):
        assert sign not in TEXT


def test_a_level_without_text_still_has_a_title():
    assert COURSE.title(1, 1) == "What you own in a song"
    assert COURSE.title(1, 3) == "Copyright, part 3"
    assert COURSE.module(1, 3) is None
    assert COURSE.module(1, 0) is None


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("answer: 1\n", "answer: 4\n", "less than 4"),
        ("kind: video", "kind: film", "film"),
        ("level: 2\n", "level: 3\n", "levels must be 1, 2"),
        ("name: Music Distribution", "name: Distribution", "topics must be"),
        ('"The written song behind the recording"', '"one particular recording"', "are the same"),
        ("objectives:", "aims:", "aims"),
        ('known_until: "2025-01"', 'known_until: "2025-13"', "known_until"),
    ],
)
def test_a_broken_file_is_refused_with_its_place(old: str, new: str, problem: str):
    assert old in TEXT
    with pytest.raises(ConfigError, match=problem) as refused:
        _read(TEXT.replace(old, new, 1))
    assert str(refused.value).startswith(FILE)


def test_a_wheel_has_every_data_file():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packed = pyproject["tool"]["setuptools"]["package-data"]
    folder = ROOT / "rl_runner"
    data = [path for path in folder.rglob("*") if path.suffix in {".yaml", ".json", ".typed"}]
    assert folder / "envs" / "tutor" / FILE in data
    for path in data:
        package = ".".join(path.parent.relative_to(ROOT).parts)
        assert any(path.match(pattern) for pattern in packed.get(package, [])), path
