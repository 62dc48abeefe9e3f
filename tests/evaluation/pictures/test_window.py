import sys
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import pytest
from gymnasium import spaces

from rl_runner.config import EnvConfig
from rl_runner.errors import EnvError
from rl_runner.evaluation.pictures.window import (
    DISPLAYS,
    check_display,
    has_display,
    play_in_window,
)
from rl_runner.evaluation.play.baseline_runs import BaselineRun
from rl_runner.evaluation.play.loaded_run import load_checkpoints

Trained = Callable[[str], Any]


class Painter(gym.Env[int, int]):
    """Can be recorded, but opens no window."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012 - as in Gymnasium
    observation_space = action_space = spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode


gym.register("WatchingTestPainter-v0", entry_point=Painter, max_episode_steps=5)


@pytest.fixture
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name in DISPLAYS:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_display")
def test_without_a_display_a_video_is_recommended():
    assert not has_display()
    with pytest.raises(EnvError, match="rl record"):
        check_display()


@pytest.mark.usefixtures("no_display")
@pytest.mark.parametrize("name", DISPLAYS)
def test_any_display_will_do(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pygame.display.init", lambda: None)
    monkeypatch.setattr("pygame.display.get_driver", lambda: "x11")
    monkeypatch.setenv(name, ":0")
    assert has_display()
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
    assert has_display()
    check_display()


def test_the_window_shows_the_held_out_episodes(trained: Trained, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    (run,), _ = load_checkpoints(trained("ppo").path, ["untrained"])
    seen = play_in_window(run, 2)
    assert seen.returns.tolist() == run.evaluate(2).returns.tolist()


@pytest.mark.parametrize(
    ("env_id", "cure"), [("Recommender-v0", "rl eval"), ("WatchingTestPainter-v0", "rl record")]
)
def test_what_has_no_window_is_refused_with_what_there_is(env_id: str, cure: str):
    run = BaselineRun("random", EnvConfig(id=env_id))
    with pytest.raises(EnvError, match="has no window") as refusal:
        play_in_window(run, 1)
    assert cure in str(refusal.value)


def test_a_window_that_cannot_open_is_explained(trained: Trained, monkeypatch: pytest.MonkeyPatch):
    import pygame

    pygame.display.quit()
    monkeypatch.setenv("SDL_VIDEODRIVER", "no-such-driver")
    (run,), _ = load_checkpoints(trained("ppo").path, ["untrained"])
    with pytest.raises(EnvError, match="The window failed"):
        play_in_window(run, 1)
