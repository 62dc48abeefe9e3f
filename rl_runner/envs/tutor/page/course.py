"""The course that the tutor teaches: ``modules.yaml``, checked against a schema."""

from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from rl_runner.config.section import Section, validate_section
from rl_runner.config.yaml_text import parse_yaml
from rl_runner.envs.tutor.page.view import SHORT_TOPICS
from rl_runner.envs.tutor.simulator.model import N_QUESTIONS, TOPICS

FILE = "modules.yaml"
N_OPTIONS = 4

Line = Annotated[str, Field(min_length=3, max_length=200, pattern=r"^\S.*\S$")]
Paragraph = Annotated[str, Field(min_length=40, max_length=900, pattern=r"^\S[^\n]*\S$")]
LIST = Field(strict=False)  # accepts YAML's lists for tuples
Kind = Literal["text", "video", "quiz"]


class Item(Section):
    """One part of a module: a text to read, a video to watch or the quiz."""

    kind: Kind
    title: Line
    minutes: Annotated[int, Field(ge=1, le=60)]


class Resource(Section):
    """A real organisation, standard or service, and what to look for there.

    It has a name and no link: addresses change, and a wrong link is worse than none.
    """

    name: Line
    look_for: Line


class Question(Section):
    """A question with four options, exactly one of which is right.

    :param answer: index of the right option, 0..3
    """

    question: Line
    options: Annotated[tuple[Line, Line, Line, Line], LIST]
    answer: Annotated[int, Field(ge=0, lt=N_OPTIONS)]
    explanation: Line

    @model_validator(mode="after")
    def _options_differ(self) -> Self:
        if len({option.casefold() for option in self.options}) < N_OPTIONS:
            message = "two options are the same"
            raise ValueError(message)
        return self


class Module(Section):
    """One level of a topic.

    :param level: 1 foundations, 2 advanced
    :param summary: one paragraph
    :param questions: at least five; a quiz has three of them
    """

    level: Annotated[int, Field(ge=1)]
    title: Line
    summary: Paragraph
    objectives: Annotated[tuple[Line, ...], Field(strict=False, min_length=2)]
    items: Annotated[tuple[Item, ...], Field(strict=False, min_length=2)]
    resources: Annotated[tuple[Resource, ...], Field(strict=False, min_length=3)]
    questions: Annotated[tuple[Question, ...], Field(strict=False, min_length=N_QUESTIONS + 2)]

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of its items, each once, in their order."""
        return tuple(dict.fromkeys(item.kind for item in self.items))

    @property
    def minutes(self) -> int:
        """How long all of its items take."""
        return sum(item.minutes for item in self.items)


class Topic(Section):
    """A topic and its modules, from the first level to the last."""

    name: Line
    modules: Annotated[tuple[Module, ...], Field(strict=False, min_length=1)]

    @model_validator(mode="after")
    def _levels_count_from_one(self) -> Self:
        levels = [module.level for module in self.modules]
        if levels != list(range(1, len(levels) + 1)):
            message = f"levels must be 1, 2, …; they are {levels}"
            raise ValueError(message)
        return self


class Course(Section):
    """The whole course.

    :param known_until: the month up to which the facts were checked, for example ``"2025-06"``
    :param notice: what a reader must know about the facts
    """

    known_until: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
    notice: Paragraph
    topics: Annotated[tuple[Topic, Topic, Topic], LIST]

    @model_validator(mode="after")
    def _topics_are_the_environments(self) -> Self:
        names = tuple(topic.name for topic in self.topics)
        if names != TOPICS:
            message = f"the topics must be {TOPICS}, in this order"
            raise ValueError(message)
        return self

    def module(self, topic: int, level: int) -> Module | None:
        """Return the module of a topic (0..2) and level (from 1); None if there is none."""
        modules = self.topics[topic].modules
        return modules[level - 1] if 1 <= level <= len(modules) else None

    def title(self, topic: int, level: int) -> str:
        """Return a module's title; a generic one for levels that are not in the course."""
        module = self.module(topic, level)
        return module.title if module else f"{SHORT_TOPICS[topic]}, part {level}"


@lru_cache(maxsize=1)
def load_course() -> Course:
    """Return the course that comes with the package; the file is read once.

    :raises ConfigError: if the file does not fit the schema, with line and key
    """
    text = (files("rl_runner.envs.tutor") / FILE).read_text(encoding="utf-8")
    raw, source = parse_yaml(text, FILE)
    return validate_section(Course, raw, source)
