"""Draws the pictures of docs/tutor-page.md: one episode of the mastery-gated baseline.

python benchmarks/tutor_pictures.py docs/images

It also prints the processor time of a picture.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from rl_runner.envs.tutor.env import TutorEnv
from rl_runner.envs.tutor.page import render_page, render_text
from rl_runner.envs.tutor.page.view import TutorView
from rl_runner.envs.tutor.planning.policies import Mastery

COLOURS = 128  # of a picture's palette; the page has few colours and smooth edges
SEED = 96  # a beginner who struggles and graduates
REPEATS = 25


def main(folder: Path) -> None:
    """Write the pictures, and print the cost of a frame."""
    views = moments()
    for path in draw_pages(folder, views):
        print(f"{path}: {path.stat().st_size // 1000} kB")
    for draw in (render_page, render_text):
        print(f"{draw.__name__}: {cost(draw, views['middle']):.1f} ms")


def moments() -> dict[str, TutorView]:
    """Return the beginning of an episode, its step with the largest gaps, and its end."""
    views = play(SEED)
    early = range(2 * len(views) // 3)
    struggling = max(early, key=lambda step: sum(map(views[step].gap, range(3))))
    return {"start": views[0], "middle": views[struggling], "end": views[-1]}


def draw_pages(folder: Path, views: Mapping[str, TutorView]) -> Iterator[Path]:
    """Draw the page at these moments; yield each picture's file."""
    for name, view in views.items():
        picture = Image.fromarray(render_page(view))
        path = folder / f"tutor-{name}.png"
        picture.quantize(COLOURS).save(path, optimize=True)
        yield path


def play(seed: int) -> list[TutorView]:
    """Return the views of an episode, from before the first step to after the last."""
    env, tutor = TutorEnv(render_mode="rgb_array"), Mastery()
    observation, _ = env.reset(seed=seed)
    views, started = [env.view()], np.ones(1, dtype=bool)
    while not views[-1].ending:
        (action,), _ = tutor.predict(observation, episode_start=started)
        observation, *_ = env.step(action)
        started = np.zeros(1, dtype=bool)
        views.append(env.view())
    return views


def cost(draw: Callable[[TutorView], object], view: TutorView) -> float:
    """Return the median processor time of a frame in milliseconds."""
    times = []
    for _ in range(REPEATS):
        begun = time.process_time()
        draw(view)
        times.append(1e3 * (time.process_time() - begun))
    return statistics.median(times)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
