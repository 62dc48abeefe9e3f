import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from tutor_views import CHAT, GRADUATED, LEFT, MIDDLE, START, views

from rl_runner.envs.tutor.page import draw_page, render_page
from rl_runner.envs.tutor.page.course import load_course
from rl_runner.envs.tutor.page.labels import signed
from rl_runner.envs.tutor.page.picture.canvas import (
    Box,
    Canvas,
    DrawnText,
    Style,
    shortened,
    wrapped,
)
from rl_runner.envs.tutor.page.view import TutorView

MOMENTS = {"start": START, "middle": MIDDLE, "left": LEFT, "graduated": GRADUATED}
every_moment = pytest.mark.parametrize("view", MOMENTS.values(), ids=MOMENTS)
SLOW = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


def _values(view: TutorView) -> dict[str, str]:
    texts = [text for text in draw_page(view).texts if text.key]
    assert len({text.key for text in texts}) == len(texts)
    return {text.key: text.text.replace("\u00a0", " ") for text in texts}


def _contains(outer: Box, inner: Box) -> bool:
    return (
        outer.left <= inner.left
        and outer.top <= inner.top
        and inner.right <= outer.right
        and inner.bottom <= outer.bottom
    )


def _overlap(a: Box, b: Box) -> bool:
    return a.left < b.right and b.left < a.right and a.top < b.bottom and b.top < a.bottom


def _luminance(colour: tuple[int, ...]) -> float:
    """WCAG 2.2, relative luminance."""
    parts = np.asarray(colour) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def _contrast(text: DrawnText, pixels: np.ndarray) -> float:
    ink = text.ink
    around = pixels[ink.top : ink.bottom, ink.left : ink.right].reshape(-1, 3)
    background = Counter(map(tuple, around.tolist())).most_common(1)[0][0]
    light, dark = sorted([_luminance(text.style.colour), _luminance(background)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _check_layout(canvas: Canvas) -> None:
    assert canvas.texts
    for text in canvas.texts:
        assert text.text, text
        assert _contains(text.room, text.ink), text
        assert _contains(canvas.box, text.room), text
        assert text.style.size >= 11, text
    for one, other in itertools.combinations(canvas.texts, 2):
        assert not _overlap(one.ink, other.ink), (one, other)


@every_moment
def test_a_picture_has_the_size_asked_for(view: TutorView):
    page = render_page(view)
    assert page.shape == (600, 960, 3)
    assert page.dtype == np.uint8
    assert page.flags.writeable
    assert render_page(view, (1280, 800)).shape == (800, 1280, 3)


@pytest.mark.parametrize("size", [(959, 600), (960, 599), (0, 0)])
def test_a_size_that_cannot_be_read_is_refused(size: tuple[int, int]):
    with pytest.raises(ValueError, match="at least 960 × 600"):
        render_page(START, size)


@every_moment
def test_the_same_view_gives_the_same_pixels(view: TutorView):
    assert np.array_equal(render_page(view), render_page(replace(view)))


@every_moment
@pytest.mark.parametrize("size", [(960, 600), (1400, 900)])
def test_no_text_overflows_or_overlaps(view: TutorView, size: tuple[int, int]):
    _check_layout(draw_page(view, size))


@given(view=views())
@SLOW
def test_no_text_overflows_or_overlaps_whatever_the_view(view: TutorView):
    _check_layout(draw_page(view))


@every_moment
def test_every_text_can_be_read_on_what_is_behind_it(view: TutorView):
    canvas = draw_page(view)
    pixels = np.asarray(canvas.image)
    for text in canvas.texts:
        assert _contrast(text, pixels) >= 4.5, text


@every_moment
def test_titles_are_not_cut(view: TutorView):
    shown = {text.text for text in draw_page(view).texts}
    course = load_course()
    for topic in range(3):
        assert {course.title(topic, 1), course.title(topic, 2)} <= shown


def test_the_numbers_are_the_views():
    expected = {
        "learner": "Afrobeats artist, beginner",
        "step": "11 of 40",
        "return": "+8.4",
        "modules completed": "3",
        "modules": "of 6",
        "topics finished": "0 of 3",
        "goal": "Copyright",
        "engagement": "≈ 48 %",
        "skips": "1",
        "minutes": "23 min",
        "last action": "Resource",
        "focus": "in focus",
        "topic 0 completed": "1 of 2",
        "topic 1 completed": "2 of 2",
        "topic 2 completed": "0 of 2",
        "topic 0 knowledge": "knows ≈ 31 %",
        "topic 1 knowledge": "knows ≈ 62 %",
        "topic 2 knowledge": "knows ≈ 10 %",
        "topic 1 gap": "gap",
        "topic 0 quiz": "quiz open",
        "topic 1 quiz": "quiz open, last 1 of 3",
        "topic 2 quiz": "no quiz yet",
        "module 0 1": "quiz open",
        "module 0 2": "next",
        "module 1 1": "completed",
        "module 1 2": "quiz open",
        "module 2 1": "next",
        "module 2 2": "later",
        "path 0": "Licences, samples and contracts",
        "path 0 kinds": "Resource, then quiz · Copyright",
        "path 1 kinds": "Quiz · Distribution",
        "exchange 9": "Copyright: completed",
        "exchange 9 reward": "+0.9",
        "exchange 5": "Quiz: passed, 3 of 3",
        "exchange 11 step": "Step 11",
        "exchange 11 reward": "+4.9",
        "exchange 11 feedback": "positive feedback",
    }
    values = _values(MIDDLE)
    assert {key: values.get(key) for key in expected} == expected
    assert "topic 0 gap" not in values
    assert "ending" not in values


def test_before_the_first_step_nothing_is_made_up():
    values = _values(START)
    assert values["step"] == "0 of 40"
    assert values["return"] == "0.0"
    assert values["minutes"] == "–"
    assert values["goal"] == "not asked yet"
    assert not {"last action", "focus", "ending"} & values.keys()
    assert not any(key.startswith("exchange") for key in values)


def test_the_end_is_shown_and_summed_up():
    values = _values(LEFT)
    assert values["ending"] == "The learner left the platform"
    assert values["outcome Suggestions followed"] == "4 of 6"
    assert values["outcome Quizzes passed"] == "1 of 3"
    assert values["outcome Questions answered correctly"] == "5 of 9"
    assert values["outcome Positive feedback"] == "2"
    assert values["outcome Negative feedback"] == "2"
    assert values["outcome Path steps left undone"] == str(len(LEFT.path))
    assert _values(replace(LEFT, ending="time over"))["ending"] == "Time is over"
    graduated = _values(GRADUATED)
    assert graduated["ending"].startswith("Graduated")
    assert graduated["topics finished"] == "3 of 3"
    assert graduated["topic 0 quiz"] == "quiz passed, 3 of 3"


@given(view=views())
@SLOW
def test_numbers_are_never_cut_short(view: TutorView):
    values = _values(view)
    assert values["step"] == f"{view.step} of {view.horizon}"
    assert values["return"] == signed(view.return_so_far)
    assert values["skips"] == str(view.skips)
    assert values["engagement"] == f"≈ {100 * view.engagement:.0f} %"
    assert values["modules completed"] == str(sum(view.completed))
    for topic in range(3):
        assert values[f"topic {topic} completed"] == f"{view.completed[topic]} of {view.levels}"
    if view.chat:
        last = view.chat[-1]
        assert values[f"exchange {last.step} reward"] == signed(last.reward)


@pytest.mark.parametrize(
    "change",
    [
        {"genre": "Highlife"},
        {"experience": "professional"},
        {"step": 12},
        {"horizon": 50},
        {"completed": (1, 2, 1)},
        {"quiz_passed": (True, False, False), "quiz_scores": (2, 1, None)},
        {"quiz_scores": (None, 0, None)},
        {"knowledge": (0.31, 0.9, 0.1)},
        {"engagement": 0.2},
        {"skips": 3},
        {"minutes": 8.0},
        {"focus": 0},
        {"stated_goal": 2},
        {"return_so_far": -3.1},
        {"path": MIDDLE.path[1:]},
        {"chat": CHAT[:-1]},
        {"ending": "time over"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_field_is_seen(change: dict[str, object]):
    assert not np.array_equal(render_page(replace(MIDDLE, **change)), render_page(MIDDLE))


def test_texts_are_shortened_and_wrapped_by_their_measured_width():
    style = Style(12, (0, 0, 0))
    title = "From master to streaming services"
    assert shortened(title, style, 1000) == title
    cut = shortened(title, style, 100)
    assert cut.endswith("…")
    assert style.width(cut) <= 100 < style.width(title[: len(cut)] + "…")
    lines = wrapped(title, style, 100, 9)
    assert " ".join(lines) == title
    assert all(style.width(line) <= 100 for line in lines)
    two = wrapped(title, style, 100, 2)
    assert len(two) == 2
    assert two[-1].endswith("…")


@pytest.mark.parametrize(
    ("value", "text"), [(1.9, "+1.9"), (-0.1, "−0.1"), (0.0, "0.0"), (-0.04, "0.0"), (12, "+12.0")]
)
def test_rewards_are_written_with_their_sign(value: float, text: str):
    assert signed(value) == text
