import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from tutor_views import CHAT, GRADUATED, LEFT, MIDDLE, START, views

from rl_runner.envs.tutor.page import render_text
from rl_runner.envs.tutor.page.course import load_course
from rl_runner.envs.tutor.page.labels import module_state, stations
from rl_runner.envs.tutor.page.phrases import advice, reply
from rl_runner.envs.tutor.page.view import (
    Exchange,
    PathStep,
    TutorView,
    recommended_path,
)
from rl_runner.envs.tutor.simulator.model import CLARIFY, QUIZ, RESOURCE

ESCAPE = "\x1b["
RESPONSES = {
    0: ("completed", "stopped", "skipped"),
    1: ("completed", "stopped", "skipped"),
    2: ("completed", "stopped", "skipped"),
    RESOURCE: ("read",),
    CLARIFY: ("answered",),
    QUIZ: ("passed", "failed", "nothing to test"),
}
EVERYTHING_SAID = [
    Exchange(step, action, action % 3, level, response, 0.0, correct=1, named_topic=2)
    for step in (1, 2, 3, 4)
    for action, responses in RESPONSES.items()
    for level in (0, 1, 2, 3)
    for response in responses
]


@pytest.mark.parametrize("exchange", EVERYTHING_SAID[::5], ids=str)
def test_something_is_said_and_the_same_again(exchange: Exchange):
    for words in (advice, reply):
        said = words(exchange)
        assert said == words(replace(exchange))
        assert re.search(r"[.?!]$", said)
        assert "{" not in said
        assert "  " not in said


def test_the_words_vary_with_the_steps():
    said = {advice(Exchange(step, CLARIFY, 0, 0, "answered", 0.0)) for step in range(1, 20)}
    assert len(said) == 3


def test_the_advice_is_about_the_module():
    course = load_course()
    for exchange in EVERYTHING_SAID:
        module = course.module(exchange.topic, exchange.level)
        if module and exchange.action == RESOURCE:
            assert any(resource.name in advice(exchange) for resource in module.resources)
        elif module and exchange.action == QUIZ:
            assert any(question.question in advice(exchange) for question in module.questions)
        elif module and exchange.action != CLARIFY:
            assert module.title in advice(exchange)


def test_the_reply_has_the_exchanges_own_numbers():
    assert "2 of 3" in reply(Exchange(1, QUIZ, 0, 1, "passed", 0.9, correct=2))
    assert "1 of 3" in reply(Exchange(1, QUIZ, 0, 1, "failed", 0.4, correct=1))
    assert "Copyright" in reply(Exchange(1, CLARIFY, 0, 0, "answered", -0.1, named_topic=1))


def test_feedback_and_farewell_are_heard():
    skipped = Exchange(4, 2, 2, 1, "skipped", -1.1)
    plain = reply(skipped)
    said = {reply(replace(skipped, feedback=feedback)) for feedback in (-1, 0, 1)}
    assert len(said) == 3
    assert all(words.startswith(plain) for words in said)
    assert len(reply(replace(skipped, left=True))) > len(plain)


def test_an_unknown_action_is_refused():
    with pytest.raises(ValueError, match=r"0\.\.5"):
        advice(Exchange(1, 6, 0, 0, "read", 0.0))


def test_the_path_begins_with_what_is_not_passed():
    path = recommended_path((1, 2, 0), (False, False, False), (0.3, 0.62, 0.1), 2, 1)
    assert path[:3] == (PathStep("resource", 1, 2), PathStep("quiz", 1, 2), PathStep("quiz", 0, 1))
    assert path[3:5] == (PathStep("module", 0, 2), PathStep("quiz", 0, 2))
    assert [station.kinds for station in stations(path)][:2] == [("resource", "quiz"), ("quiz",)]
    assert str(stations(path)[0]) == "Resource, then quiz · Copyright"


def test_the_path_begins_with_the_topic_that_the_learner_wants():
    nothing = (False, False, False)
    assert recommended_path((0, 0, 0), nothing, (0, 0, 0), 2, 2)[0] == PathStep("module", 2, 1)
    assert recommended_path((0, 0, 0), nothing, (0, 0, 0), 2)[0] == PathStep("module", 0, 1)


@given(view=views())
def test_the_path_leads_to_graduation(view: TutorView):
    modules = [(step.topic, step.level) for step in view.path if step.kind == "module"]
    missing = [
        (topic, level)
        for topic in range(3)
        for level in range(view.completed[topic] + 1, view.levels + 1)
    ]
    assert sorted(modules) == missing
    for topic in range(3):
        ends = [step.kind for step in view.path if step.topic == topic]
        finished = view.completed[topic] == view.levels and view.quiz_passed[topic]
        assert ends[-1:] == ([] if finished else ["quiz"])


def test_modules_have_states_by_what_was_completed_and_passed():
    states = [module_state(MIDDLE, topic, level) for topic in range(3) for level in (1, 2)]
    assert states == ["quiz open", "next", "completed", "quiz open", "next", "later"]
    assert module_state(GRADUATED, 0, 2) == "passed"


@given(view=views())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_line_of_text_is_too_long(view: TutorView):
    text = render_text(view, colour=False)
    assert max(map(len, text.splitlines())) <= 100
    assert ESCAPE not in text
    assert f"step {view.step} of {view.horizon}" in text


def test_the_text_has_the_numbers_of_the_view():
    text = render_text(MIDDLE, colour=False).replace("\u00a0", " ")
    for words in (
        "Afrobeats artist, beginner",
        "step 11 of 40 · return +8.4",
        "Modules completed  3 of 6",
        "Wants most         Copyright",
        "Engagement         ≈ 48 %",
        "Skips              1",
        "Last module        23 min",
        "1 Licences, samples and contracts",
        "knows ≈ 62 %  quiz open, last 1 of 3, gap",
        "7 earlier exchanges",
        "reward +4.9 · positive feedback",
        advice(CHAT[-1])[:40],
        reply(CHAT[-1]),
    ):
        assert words in text
    assert "knows ≈ 31 %  quiz open \n" in re.sub(r" +│", " ", text)


def test_the_text_tells_beginning_and_end():
    assert "No advice yet" in render_text(START, colour=False)
    text = render_text(LEFT, colour=False)
    assert "The learner left the platform" in text
    assert "Suggestions followed: 4 of 6" in text


def test_colour_adds_nothing_but_escape_sequences():
    coloured = render_text(MIDDLE)
    assert ESCAPE in coloured
    plain = re.sub(r"\x1b\[[\d;]*m", "", coloured)
    assert [line.rstrip() for line in plain.splitlines()] == render_text(
        MIDDLE, colour=False
    ).splitlines()
