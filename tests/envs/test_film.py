from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from rl_runner.envs.film import EpisodeFilm, plain_picture
from rl_runner.errors import EnvError


class Counter(gym.Env[int, int]):
    """Its picture is as grey as many steps were made; it ends itself after ``length`` steps."""

    observation_space = spaces.Discrete(100)
    action_space = spaces.Discrete(1)

    def __init__(self, length: int = 7, width: int = 80) -> None:
        self.length, self.width = length, width
        self.t = 0

    def reset(self, **_: Any) -> tuple[int, dict[str, Any]]:
        self.t = 0
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        del action
        self.t += 1
        return self.t, 0.5, self.t == self.length, False, {}

    def render(self) -> Any:
        return np.full((60, self.width, 3), self.t, dtype=np.uint8)


def play(film: EpisodeFilm, n_steps: int) -> None:
    film.reset()
    for _ in range(n_steps):
        film.step(0)


@pytest.mark.parametrize(
    ("every", "steps"), [(1, [0, 1, 2, 3, 4, 5, 6, 7]), (3, [0, 3, 6, 7]), (7, [0, 7]), (9, [0, 7])]
)
def test_every_nth_step_the_first_and_the_last_are_kept(every: int, steps: list[int]):
    film = EpisodeFilm(Counter(), every)
    play(film, 7)
    frames = film.film()
    assert [frame.step for frame in frames] == steps
    assert [frame.episode_return for frame in frames] == [step / 2 for step in steps]
    assert [int(frame.pixels[0, 0, 0]) for frame in frames] == steps
    assert [frame.ending for frame in frames] == [""] * (len(steps) - 1) + ["ended"]


def test_a_finished_film_survives_the_reset_and_an_unfinished_one_does_not():
    film = EpisodeFilm(Counter())
    assert film.film() == []
    play(film, 7)
    film.reset()
    film.step(0)
    assert [frame.step for frame in film.film()] == list(range(8))


def test_the_time_limit_is_another_ending():
    film = EpisodeFilm(gym.wrappers.TimeLimit(Counter(), 3))
    play(film, 3)
    assert film.film()[-1].ending == "time limit"


@pytest.mark.parametrize(("width", "shape"), [(600, (60, 80, 3)), (40, (30, 40, 3))])
def test_wide_pictures_are_made_smaller_and_narrow_ones_left_alone(
    width: int, shape: tuple[int, ...]
):
    film = EpisodeFilm(Counter(), width=width)
    play(film, 7)
    assert {frame.pixels.shape for frame in film.film()} == {shape}


@pytest.mark.parametrize(
    ("rendered", "colour"),
    [
        (np.full((4, 5, 3), 7, np.uint8), (7, 7, 7)),
        (np.full((4, 5), 7, np.uint8), (7, 7, 7)),
        (np.full((4, 5, 1), 7, np.int64), (7, 7, 7)),
        (np.full((4, 5, 4), (1, 2, 3, 255), np.uint8), (1, 2, 3)),
        (np.full((3, 4, 5), 7, np.uint8), (7, 7, 7)),
        (np.full((4, 5, 3), 1.0), (255, 255, 255)),
        (np.full((4, 5, 3), 300.0), (255, 255, 255)),
        (np.full((4, 5, 3), np.nan), (0, 0, 0)),
        ([np.zeros((4, 5, 3)), np.ones((4, 5, 3))], (255, 255, 255)),
    ],
)
def test_any_picture_becomes_bytes(rendered: Any, colour: tuple[int, int, int]) -> None:
    pixels = plain_picture(rendered)
    assert (pixels.shape, pixels.dtype) == ((4, 5, 3), np.uint8)
    assert tuple(pixels[0, 0]) == colour


@pytest.mark.parametrize(
    "rendered", [None, "text", [], {}, 3, np.zeros((0, 0, 3)), np.zeros((4, 5, 2)), ["a", "b"]]
)
def test_what_is_not_a_picture_is_named(rendered: Any) -> None:
    with pytest.raises(EnvError, match="not a picture"):
        plain_picture(rendered)
