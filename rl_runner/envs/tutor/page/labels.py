"""Numbers and states as the page writes them, both in the picture and in the text."""

from dataclasses import dataclass
from itertools import groupby

from rl_runner.envs.tutor.page.view import SHORT_TOPICS, Exchange, PathStep, TutorView
from rl_runner.envs.tutor.simulator.model import N_QUESTIONS, N_TOPICS

ACTIONS = (*SHORT_TOPICS, "Resource", "Question", "Quiz")
FEEDBACK = {1: "positive feedback", -1: "negative feedback"}
MINUS = "−"
ENDINGS = {
    "graduated": "Graduated: all completed, all passed",
    "left": "The learner left the platform",
    "time over": "Time is over",
}


def signed(value: float) -> str:
    """Write a reward or a return: ``+1.9``, ``−0.1``, ``0.0``."""
    text = f"{abs(value):.1f}"
    if float(text) == 0.0:
        return text
    return f"{'+' if value > 0 else MINUS}{text}"


def estimated(fraction: float) -> str:
    """Write an estimate by the platform: ``≈ 62 %``."""
    return f"≈ {100 * fraction:.0f} %".replace(" ", "\u00a0")


def minutes(value: float | None) -> str:
    """Write a duration: ``14 min``; a dash if there is none yet."""
    return "–" if value is None else f"{value:.0f}\u00a0min"


def quiz(view: TutorView, topic: int) -> str:
    """Write the state of a topic's latest quiz."""
    score = view.quiz_scores[topic]
    if view.completed[topic] == 0:
        return "no quiz yet"
    if view.quiz_passed[topic]:
        return f"quiz passed, {score} of {N_QUESTIONS}"
    if score is None:
        return "quiz open"
    return f"quiz open, last {score} of {N_QUESTIONS}"


def in_short(exchange: Exchange) -> str:
    """Write an exchange on one line: ``Quiz: passed, 2 of 3``."""
    words = f"{ACTIONS[exchange.action]}: {exchange.response}"
    if exchange.correct is not None:
        words += f", {exchange.correct} of {N_QUESTIONS}"
    if exchange.named_topic is not None:
        words += f", {SHORT_TOPICS[exchange.named_topic]}"
    return words


def goal(view: TutorView) -> str:
    """Write the topic that the learner named when last asked."""
    return "not asked yet" if view.stated_goal is None else SHORT_TOPICS[view.stated_goal]


@dataclass(frozen=True)
class Station:
    """Consecutive steps of the recommended path that belong to one module."""

    topic: int
    level: int
    kinds: tuple[str, ...]

    def __str__(self) -> str:
        """Write the steps of a station: ``Module, then quiz · Copyright``."""
        return f"{', then '.join(self.kinds).capitalize()} · {SHORT_TOPICS[self.topic]}"


def stations(path: tuple[PathStep, ...]) -> tuple[Station, ...]:
    """Group the path by module, in its order."""
    groups = groupby(path, key=lambda step: (step.topic, step.level))
    return tuple(
        Station(topic, level, tuple(step.kind for step in steps))
        for (topic, level), steps in groups
    )


def module_state(view: TutorView, topic: int, level: int) -> str:
    """Write a module's state: completed, passed, quiz open, next or later."""
    completed = view.completed[topic]
    if level < completed:
        return "completed"
    if level == completed:
        return "passed" if view.quiz_passed[topic] else "quiz open"
    return "next" if level == completed + 1 else "later"


def outcome(view: TutorView) -> tuple[tuple[str, str], ...]:
    """Return labels and counts of a complete episode, for its summary."""
    # Count what happened.
    suggested = [exchange for exchange in view.chat if exchange.action < N_TOPICS]
    skipped = sum(exchange.response == "skipped" for exchange in suggested)
    quizzes = [exchange for exchange in view.chat if exchange.correct is not None]
    passed = sum(exchange.response == "passed" for exchange in quizzes)
    right = sum(exchange.correct or 0 for exchange in quizzes)
    feedback = [exchange.feedback for exchange in view.chat]
    return (
        ("Modules completed", f"{view.modules_completed} of {view.n_modules}"),
        ("Suggestions followed", f"{len(suggested) - skipped} of {len(suggested)}"),
        ("Quizzes passed", f"{passed} of {len(quizzes)}"),
        ("Questions answered correctly", f"{right} of {N_QUESTIONS * len(quizzes)}"),
        ("Positive feedback", str(feedback.count(1))),
        ("Negative feedback", str(feedback.count(-1))),
        ("Path steps left undone", str(len(view.path))),
    )
