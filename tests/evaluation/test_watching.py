import sys
from collections.abc import Callable
from typing import Any

import pytest

from rl_runner.errors import EnvError
from rl_runner.evaluation.recording import load_agents
from rl_runner.evaluation.watching import DISPLAYS, check_display, has_display, play_in_window

Trained = Callable[[str], Any]


@pytest.fixture
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name in DISPLAYS:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_display")
def test_without_a_display_a_film_is_recommended():
    assert not has_display()
    with pytest.raises(EnvError, match="rl record"):
        check_display()


@pytest.mark.usefixtures("no_display")
@pytest.mark.parametrize("name", DISPLAYS)
def test_any_display_will_do(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pygame.display.init", lambda: None)
    monkeypatch.setattr("pygame.display.get_driver", lambda: "x11")
    monkeypatch.setenv(name, ":0")
    check_display()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="displays are named on Linux")
@pytest.mark.usefixtures("no_display")
def test_a_display_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DISPLAY", ":7654")
    with pytest.raises(EnvError, match=r"cannot be reached \(DISPLAY=:7654\)") as refusal:
        check_display()
    assert "rl record" in str(refusal.value)


@pytest.mark.usefixtures("no_display")
def test_other_systems_have_one_always(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.platform", "darwin")
    check_display()


def test_the_window_shows_the_held_out_episodes(trained: Trained, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    (run,), _ = load_agents(trained("ppo").path, ["untrained"])
    seen = play_in_window(run, 2)
    assert seen.returns.tolist() == run.evaluate(2).returns.tolist()


def test_a_window_that_cannot_open_is_explained(trained: Trained, monkeypatch: pytest.MonkeyPatch):
    import pygame

    pygame.display.quit()
    monkeypatch.setenv("SDL_VIDEODRIVER", "no-such-driver")
    (run,), _ = load_agents(trained("ppo").path, ["untrained"])
    with pytest.raises(EnvError, match="The window failed"):
        play_in_window(run, 1)
