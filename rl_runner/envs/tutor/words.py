"""Numbers and states as the page writes them, in pictures and in text alike."""

from rl_runner.envs.tutor.view import QUESTIONS_PER_QUIZ, TutorView

MINUS = "−"
ENDINGS = {
    "graduated": "Graduated: every module completed, every quiz passed",
    "left": "The learner left the platform",
    "time over": "Time is over",
}


def signed(value: float) -> str:
    """Write a reward or a return: ``+1.9``, ``−0.1``, ``0.0``."""
    text = f"{abs(value):.1f}"
    if float(text) == 0.0:
        return text
    return f"{'+' if value > 0 else MINUS}{text}"


def percent(fraction: float) -> str:
    """Write a fraction: ``62 %``."""
    return f"{fraction:.0%}".replace("%", "\u00a0%")


def minutes(value: float | None) -> str:
    """Write a time: ``14 min``; a dash before there is one."""
    return "–" if value is None else f"{value:.0f}\u00a0min"


def quiz(view: TutorView, topic: int) -> str:
    """Write the state of a topic's latest quiz."""
    score = view.quiz_scores[topic]
    if view.completed[topic] == 0:
        return "no quiz yet"
    if view.quiz_passed[topic]:
        return f"quiz passed, {score} of {QUESTIONS_PER_QUIZ}"
    if score is None:
        return "quiz open"
    return f"quiz open, last {score} of {QUESTIONS_PER_QUIZ}"
