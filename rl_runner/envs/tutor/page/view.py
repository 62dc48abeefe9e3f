"""What the tutor's page shows, as plain data; all of it is observable, nothing is hidden.

:mod:`.record` fills a :class:`TutorView`; the picture and the text only read it.
Topics are numbered 0..2, levels of a topic 1..L (1 foundations, 2 advanced).
"""

from dataclasses import dataclass
from typing import Literal

SHORT_TOPICS = ("Distribution", "Copyright", "Marketing")  # as TOPICS, where there is less space

Response = Literal[
    "completed",  # a suggested module was completed
    "stopped",  # a suggested module was started but not completed
    "skipped",  # the suggestion was skipped, or the topic had no module left
    "read",  # a resource was opened
    "answered",  # a clarifying question was answered
    "passed",  # a quiz, with at least two of three answers right
    "failed",  # a quiz
    "nothing to test",  # a quiz was recommended, but no completed module was untested
]
Ending = Literal["", "graduated", "left", "time over"]


@dataclass(frozen=True)
class Exchange:
    """One step: the agent's advice and the learner's response to it.

    :param step: 1..T
    :param action: 0..5, see :mod:`rl_runner.envs.tutor.simulator.model`
    :param topic: the topic of the advice; the focus topic for actions that name none
    :param level: level of the module suggested, explained or tested, 1..L; 0 if there is none
    :param reward: the step's reward
    :param correct: right answers in a quiz, 0..3; None for other actions
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
    """One of the next steps: a module, a quiz on it, or a resource for it."""

    kind: Literal["module", "quiz", "resource"]
    topic: int
    level: int


@dataclass(frozen=True)
class TutorView:
    """What the platform knows about one learner at one moment.

    :param genre: as shown on the page, for example ``"Afrobeats"``
    :param experience: ``"beginner"``, ``"intermediate"`` or ``"professional"``
    :param step: steps taken, 0..horizon
    :param levels: modules per topic, L
    :param completed: modules completed per topic, 0..L
    :param quiz_passed: whether the quiz on the latest completed module of each topic is passed
    :param quiz_scores: right answers in the topic's latest quiz, 0..3; None before the first
    :param knowledge: the filter's posterior mean per topic as a fraction of L, 0..1
    :param engagement: the noisy reading that the agent observes, 0..1
    :param skips: suggestions skipped so far
    :param minutes: spent on the last module; None before the first
    :param focus: the topic last suggested; None before the first suggestion
    :param stated_goal: the topic named in the last clarifying answer; None before the first
    :param return_so_far: undiscounted sum of rewards
    :param path: what is recommended next, see :func:`recommended_path`
    :param chat: every exchange of the episode, oldest first
    :param ending: how the episode ended; empty while it is in progress
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
        """Modules in the course."""
        return self.levels * len(self.completed)

    @property
    def topics_finished(self) -> int:
        """Topics in which all modules are completed and the last quiz is passed."""
        done = zip(self.completed, self.quiz_passed, strict=True)
        return sum(completed == self.levels and passed for completed, passed in done)

    def gap(self, topic: int) -> float:
        """Return how many levels knowledge is behind the modules completed in a topic, ≥ 0."""
        return max(0.0, self.completed[topic] - self.knowledge[topic] * self.levels)


GAP = 0.5  # in levels; the page marks a gap of at least this size


def recommended_path(
    completed: tuple[int, ...],
    quiz_passed: tuple[bool, ...],
    knowledge: tuple[float, ...],
    levels: int,
    first_topic: int | None = None,
) -> tuple[PathStep, ...]:
    """Return what is left to do, in the order of a mastery-gated curriculum.

    Completed modules whose quiz is not passed come first, with a resource before the quiz where
    knowledge (a fraction of ``levels``) is behind by at least :data:`GAP` levels. The remaining
    modules follow with their quizzes, topic by topic, beginning with ``first_topic`` (the one that
    the learner named).
    """
    topics = sorted(range(len(completed)), key=lambda topic: (topic != first_topic, topic))
    path = []
    # Modules that still have to be passed.
    for topic in topics:
        level = completed[topic]
        if level > 0 and not quiz_passed[topic]:
            if level - knowledge[topic] * levels >= GAP:
                path.append(PathStep("resource", topic, level))
            path.append(PathStep("quiz", topic, level))
    # Modules that still have to be completed.
    for topic in topics:
        for level in range(completed[topic] + 1, levels + 1):
            path += [PathStep("module", topic, level), PathStep("quiz", topic, level)]
    return tuple(path)
