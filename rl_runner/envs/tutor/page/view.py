"""What the tutor's page shows, as plain data: everything here is observable, nothing is hidden.

The environment fills a :class:`TutorView` after every step; the page (:mod:`.page`) only reads it.
Topics are numbered 0..2, levels of a topic 1..L (1 foundations, 2 advanced).
"""

from dataclasses import dataclass
from typing import Literal

SHORT_TOPICS = ("Distribution", "Copyright", "Marketing")  # as TOPICS, where there is less space

Response = Literal[
    "completed",  # a suggested module, to its end
    "stopped",  # a suggested module was begun and not completed
    "skipped",  # a suggested module (or there was none left in the topic)
    "read",  # a resource link was opened
    "answered",  # a clarifying question
    "passed",  # a quiz: at least two of three right
    "failed",  # a quiz
    "nothing to test",  # a quiz was recommended, and no completed module was untested
]
Ending = Literal["", "graduated", "left", "time over"]


@dataclass(frozen=True)
class Exchange:
    """One step: the agent's advice and the learner's response to it.

    :param step: 1..T
    :param action: 0..5, see :mod:`rl_runner.envs.tutor.simulator.model`
    :param topic: what the advice was about; the focus topic for actions that name none
    :param level: of the module suggested, explained or tested, 1..L; 0 if there is none
    :param reward: the step's reward
    :param correct: right answers of a quiz, 0..3; None for other actions
    :param feedback: +1 positive, −1 negative, 0 none
    :param named_topic: the topic that the learner named when asked; None for other actions
    :param left: whether the learner left the platform after this step
    """

    step: int
    action: int
    topic: int
    level: int
    response: Response
    reward: float
    correct: int | None = None
    feedback: int = 0
    named_topic: int | None = None
    left: bool = False


@dataclass(frozen=True)
class PathStep:
    """One of the next things to do: a module, a quiz on it, or a resource for it."""

    kind: Literal["module", "quiz", "resource"]
    topic: int
    level: int


@dataclass(frozen=True)
class TutorView:
    """The platform's picture of one learner at one moment.

    :param genre: as the page writes it, ``"Afrobeats"``
    :param experience: ``"beginner"``, ``"intermediate"`` or ``"professional"``
    :param step: steps taken, 0..horizon
    :param levels: modules per topic, L
    :param completed: modules completed per topic, 0..L
    :param quiz_passed: whether the latest completed module of each topic has been passed
    :param quiz_scores: right answers in the topic's latest quiz, 0..3; None before the first
    :param knowledge: the filter's posterior mean per topic as a fraction of L, 0..1
    :param engagement: the noisy estimate that the agent sees, 0..1
    :param skips: suggestions skipped so far
    :param minutes: spent on the last module; None before the first
    :param focus: the topic last suggested; None before the first suggestion
    :param stated_goal: the topic named in the last clarifying answer; None before the first
    :param return_so_far: undiscounted sum of rewards
    :param path: what is recommended next, see :func:`recommended_path`
    :param chat: every exchange of the episode, oldest first
    :param ending: why the episode is over; empty while it goes on
    """

    genre: str
    experience: str
    step: int
    horizon: int
    levels: int
    completed: tuple[int, ...]
    quiz_passed: tuple[bool, ...]
    quiz_scores: tuple[int | None, ...]
    knowledge: tuple[float, ...]
    engagement: float
    skips: int
    minutes: float | None
    focus: int | None
    stated_goal: int | None
    return_so_far: float
    path: tuple[PathStep, ...] = ()
    chat: tuple[Exchange, ...] = ()
    ending: Ending = ""

    @property
    def modules_completed(self) -> int:
        """Modules completed in all topics."""
        return sum(self.completed)

    @property
    def n_modules(self) -> int:
        """Modules there are."""
        return self.levels * len(self.completed)

    @property
    def topics_finished(self) -> int:
        """Topics whose every module is completed and whose last quiz is passed."""
        done = zip(self.completed, self.quiz_passed, strict=True)
        return sum(completed == self.levels and passed for completed, passed in done)

    def gap(self, topic: int) -> float:
        """Return how far knowledge is behind the modules completed in a topic, in levels, ≥ 0."""
        return max(0.0, self.completed[topic] - self.knowledge[topic] * self.levels)


GAP = 0.5  # levels that knowledge may be behind the modules completed before the page says so


def recommended_path(
    completed: tuple[int, ...],
    quiz_passed: tuple[bool, ...],
    knowledge: tuple[float, ...],
    levels: int,
    first_topic: int | None = None,
) -> tuple[PathStep, ...]:
    """Return what is left to do in the order of a mastery-gated curriculum.

    A completed module that is not passed comes first, with a resource before its quiz where
    knowledge (a fraction of ``levels``) is behind by at least :data:`GAP` levels. Then every other
    module with its quiz, topic by topic, beginning with ``first_topic`` (what the learner said to
    want).
    """
    topics = sorted(range(len(completed)), key=lambda topic: (topic != first_topic, topic))
    path = []
    for topic in topics:
        level = completed[topic]
        if level > 0 and not quiz_passed[topic]:
            if level - knowledge[topic] * levels >= GAP:
                path.append(PathStep("resource", topic, level))
            path.append(PathStep("quiz", topic, level))
    for topic in topics:
        for level in range(completed[topic] + 1, levels + 1):
            path += [PathStep("module", topic, level), PathStep("quiz", topic, level)]
    return tuple(path)
