from collections.abc import Iterator

import numpy as np
import pygame
import pytest
from tutor_views import MIDDLE

from rl_runner.envs.tutor.page import render_page
from rl_runner.envs.tutor.page.window import Window


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> Iterator[Window]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    window = Window("Tutor", fps=1000)
    yield window
    window.close()


def _shown() -> np.ndarray:
    screen = pygame.display.get_surface()
    return pygame.surfarray.array3d(screen).transpose(1, 0, 2)


def test_the_window_shows_the_page(window: Window):
    page = render_page(MIDDLE)
    window.show(page)
    assert np.array_equal(_shown(), page)


def test_the_window_takes_the_size_of_the_picture(window: Window):
    window.show(render_page(MIDDLE))
    larger = render_page(MIDDLE, (1200, 700))
    window.show(larger)
    assert np.array_equal(_shown(), larger)


def test_a_window_that_its_user_closes_stays_closed(window: Window):
    page = render_page(MIDDLE)
    window.show(page)
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    window.show(page)
    assert window.is_closed
    assert not pygame.display.get_init()
    window.show(page)
    assert not pygame.display.get_init()


def test_closing_twice_or_unopened_is_no_error(window: Window):
    window.close()
    window.close()
    assert window.is_closed
