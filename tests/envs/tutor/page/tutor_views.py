"""Views of imagined learners: three to look at closely, and all that Hypothesis can think of."""

from dataclasses import replace

from hypothesis import strategies as st

from rl_runner.envs.tutor.page.view import (
    Exchange,
    TutorView,
    recommended_path,
)
from rl_runner.envs.tutor.simulator.model import CLARIFY, N_TOPICS, QUIZ, RESOURCE

START = TutorView(
    genre="Afrobeats",
    experience="beginner",
    step=0,
    horizon=40,
    levels=2,
    completed=(0, 0, 0),
    quiz_passed=(False, False, False),
    quiz_scores=(None, None, None),
    knowledge=(0.09, 0.08, 0.08),
    engagement=0.6,
    skips=0,
    minutes=None,
    focus=None,
    stated_goal=None,
    return_so_far=0.0,
    path=recommended_path((0, 0, 0), (False, False, False), (0.09, 0.08, 0.08), 2),
)
CHAT = (
    Exchange(1, CLARIFY, 0, 0, "answered", -0.1, named_topic=1),
    Exchange(2, 1, 1, 1, "completed", 5.9, feedback=1),
    Exchange(3, QUIZ, 1, 1, "failed", 0.4, correct=1),
    Exchange(4, RESOURCE, 1, 1, "read", -0.1),
    Exchange(5, QUIZ, 1, 1, "passed", 1.4, correct=3),
    Exchange(6, 0, 0, 1, "completed", 0.9),
    Exchange(7, 1, 1, 2, "stopped", -5.1, feedback=-1),
    Exchange(8, 2, 2, 1, "skipped", -1.1),
    Exchange(9, 1, 1, 2, "completed", 0.9),
    Exchange(10, QUIZ, 1, 2, "failed", 0.4, correct=1),
    Exchange(11, RESOURCE, 1, 2, "read", 4.9, feedback=1),
)
MIDDLE = replace(
    START,
    step=11,
    completed=(1, 2, 0),
    quiz_scores=(None, 1, None),
    knowledge=(0.31, 0.62, 0.1),
    engagement=0.48,
    skips=1,
    minutes=23.1,
    focus=1,
    stated_goal=1,
    return_so_far=8.4,
    path=recommended_path((1, 2, 0), (False, False, False), (0.31, 0.62, 0.1), 2, 1),
    chat=CHAT,
)
LEFT = replace(
    MIDDLE,
    step=12,
    skips=2,
    focus=2,
    return_so_far=2.3,
    chat=(*CHAT, Exchange(12, 2, 2, 1, "skipped", -6.1, feedback=-1, left=True)),
    ending="left",
)
GRADUATED = replace(
    MIDDLE,
    step=24,
    completed=(2, 2, 2),
    quiz_passed=(True, True, True),
    quiz_scores=(3, 2, 3),
    knowledge=(0.93, 0.97, 0.88),
    return_so_far=17.8,
    path=(),
    chat=(*CHAT, Exchange(24, QUIZ, 2, 2, "passed", 1.4, correct=3)),
    ending="graduated",
)


@st.composite
def exchanges(draw: st.DrawFn, step: int, levels: int) -> Exchange:
    action = draw(st.integers(0, 5))
    replies = {RESOURCE: ["read"], CLARIFY: ["answered"]}
    replies[QUIZ] = ["passed", "failed", "nothing to test"]
    response = draw(st.sampled_from(replies.get(action, ["completed", "stopped", "skipped"])))
    right = {"passed": st.integers(2, 3), "failed": st.integers(0, 1)}
    return Exchange(
        step=step,
        action=action,
        topic=action if action < N_TOPICS else draw(st.integers(0, 2)),
        level=0 if response == "nothing to test" else draw(st.integers(0, levels)),
        response=response,
        reward=draw(st.integers(-61, 69)) / 10,
        correct=draw(right[response]) if response in right else None,
        feedback=draw(st.integers(-1, 1)),
        named_topic=draw(st.integers(0, 2)) if action == CLARIFY else None,
    )


@st.composite
def views(draw: st.DrawFn) -> TutorView:
    levels = draw(st.integers(1, 4))
    per_topic = lambda values: st.tuples(values, values, values)
    completed = draw(per_topic(st.integers(0, levels)))
    passed = tuple(count > 0 and draw(st.booleans()) for count in completed)
    scores = tuple(draw(st.integers(2, 3)) if ok else None for ok in passed)
    knowledge = draw(per_topic(st.floats(0, 1)))
    horizon = draw(st.sampled_from([20, 40, 10_000]))
    step = draw(st.integers(0, horizon))
    first = draw(st.none() | st.integers(0, 2))
    steps = range(max(1, step - 9), step + 1)
    return TutorView(
        genre=draw(st.sampled_from(["Afrobeats", "Bongo Flava", "Hip-hop"])),
        experience=draw(st.sampled_from(["beginner", "intermediate", "professional"])),
        step=step,
        horizon=horizon,
        levels=levels,
        completed=completed,
        quiz_passed=passed,
        quiz_scores=scores,
        knowledge=knowledge,
        engagement=draw(st.floats(0, 1)),
        skips=draw(st.integers(0, step)),
        minutes=draw(st.none() | st.floats(0.1, 600)),
        focus=draw(st.none() | st.integers(0, 2)),
        stated_goal=first,
        return_so_far=draw(st.integers(-6100, 2000)) / 10,
        path=recommended_path(completed, passed, knowledge, levels, first),
        chat=tuple(draw(exchanges(number, levels)) for number in steps),
        ending=draw(st.sampled_from(["", "graduated", "left", "time over"])),
    )
