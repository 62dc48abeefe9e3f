"""Recordings of episodes, as videos and as strips of frames; several agents side by side.

A frame has a title above the environment's picture, and step and return below it.
"""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rl_runner.config.environment import EnvConfig, WrapperConfig
from rl_runner.envs import build_env, make_single_env
from rl_runner.envs.film import Frame
from rl_runner.errors import EnvError, Problem
from rl_runner.evaluation.pictures.window import EVALUATE_INSTEAD, has_display
from rl_runner.evaluation.play.baseline_runs import BaselineRun
from rl_runner.evaluation.play.episodes import play_episodes
from rl_runner.evaluation.play.loaded_run import Run
from rl_runner.local_code import keeping_working_directory
from rl_runner.seeding import SeedTree

WIDEST_PANEL = 960  # pixels; wide enough for environments that draw text
WIDEST_FRAME = 1440  # of several panels together
NARROWEST_PANEL = 240  # smaller pictures are enlarged, or the text would not fit
TALLEST_PANEL = 2400  # pixels, of an enlarged picture
GAP = 6
SMALLEST_LETTERS, LARGEST_LETTERS = 14, 24  # pixels
BACKGROUND, TEXT, FAINT, ENDED = "#e6ebf0", "#1b2733", "#52616f", "#9a4a00"
RECORDER = "rl_runner.envs.film:EpisodeFilm"
MOST_FPS = 25  # frames per second kept; more do not look smoother, and GIF counts hundredths
DEFAULT_FPS = 15  # for environments without `render_fps`
FASTEST = 1e6  # frames per second; more is no rate
STRIP_TEXT_SIZE = 18  # pixels; strips are shown smaller than they are
HOLD_SECONDS = 1.0  # how long an episode's last frame stays


def panel_width(n_panels: int) -> int:
    """Return the width of each of ``n_panels`` panels side by side, in pixels."""
    width = (WIDEST_FRAME - (n_panels - 1) * GAP) // n_panels
    return max(NARROWEST_PANEL, min(WIDEST_PANEL, width))


def compose(
    frames: Sequence[Frame], titles: Sequence[str], where: str = "", *, size: int = 0
) -> Image.Image:
    """Draw panels side by side, each with its title above and step and return below.

    :param where: a line above all panels, e.g. which episode this is
    :param size: of the text in pixels; 0 chooses it by the panels' width
    """
    # Lay out: text size, a line for each text, the panels between them.
    pictures = [_enlarged(Image.fromarray(frame.pixels)) for frame in frames]
    width, height = pictures[0].size
    size = size or min(LARGEST_LETTERS, max(SMALLEST_LETTERS, round(width / 22)))
    font, line = ImageFont.load_default(size), round(1.7 * size)
    top = line * (2 if where else 1)
    total = width * len(pictures) + GAP * (len(pictures) - 1)
    sheet = Image.new("RGB", (_even(total), _even(height + top + line)), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    if where:
        draw.text((total / 2, line / 2), where, FAINT, font, anchor="mm")
    # Draw each panel: title, picture, state of the episode.
    for i, (frame, picture, title) in enumerate(zip(frames, pictures, titles, strict=True)):
        left = i * (width + GAP)
        middle = left + width / 2
        draw.text((middle, top - line / 2), title, TEXT, _fitting(title, size, width), anchor="mm")
        sheet.paste(picture, (left, top))
        caption = f"step {frame.step:,}    return {_short(frame.episode_return)}"
        caption += f"    {frame.ending}" if frame.ending else ""
        colour = ENDED if frame.ending else TEXT
        below = (middle, top + height + line / 2)
        draw.text(below, caption, colour, _fitting(caption, size, width), anchor="mm")
    return sheet


def _fitting(text: str, size: int, width: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font in the largest size, ``size`` at most, in which a text fits."""
    while size > 8 and ImageFont.load_default(size).getlength(text) > width - 4:
        size -= 1
    return ImageFont.load_default(size)


def _enlarged(picture: Image.Image) -> Image.Image:
    factor = -(-NARROWEST_PANEL // picture.width)
    if factor == 1:
        return picture
    # A picture that is far taller than wide is enlarged less, and gets margins instead.
    factor = max(1, min(factor, TALLEST_PANEL // picture.height))
    size = (picture.width * factor, picture.height * factor)
    enlarged = picture.resize(size, Image.Resampling.NEAREST)
    if enlarged.width >= NARROWEST_PANEL:
        return enlarged
    panel = Image.new(picture.mode, (NARROWEST_PANEL, enlarged.height))
    panel.paste(enlarged, ((NARROWEST_PANEL - enlarged.width) // 2, 0))
    return panel


def _short(value: float) -> str:
    if value == round(value):
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 0.01 else f"{value:,.2f}"


def _even(length: int) -> int:
    """Round up to an even number, as video encoders require."""
    return length + length % 2


@dataclass(frozen=True)
class Video:
    """Frames, drawn while they are iterated over, and how fast they are shown."""

    frames: Iterator[Image.Image]
    frames_per_second: float


@keeping_working_directory()
def record_video(
    runs: Sequence[Run | BaselineRun],
    titles: Sequence[str],
    *,
    n_episodes: int,
    speed: float = 1.0,
    deterministic: bool = True,
) -> Video:
    """Record agents of one environment side by side, on the same held-out episodes.

    :param runs: the agents; the first one's environment and episode seeds are used for all
    :param titles: the title above each
    :param speed: 2.0 shows them twice as fast as the environment's ``render_fps``
    :raises EnvError: if the environment cannot draw pictures
    """
    config = runs[0].env
    # Keep every n-th frame, so that no more than MOST_FPS are shown a second.
    own = render_fps(config) * speed
    every = max(1, math.ceil(own / MOST_FPS))
    fps = own / every
    seeds = SeedTree(runs[0].seed).final_evaluation(n_episodes)
    width = panel_width(len(runs))

    # A generator: frames in memory are those of one episode, however many episodes are recorded.
    def frames() -> Iterator[Image.Image]:
        for i, seed in enumerate(seeds):
            recordings = [
                record_episode(run, config, seed, every, width, deterministic=deterministic)
                for run in runs
            ]
            where = f"episode {i + 1} of {n_episodes}"
            yield from _side_by_side(recordings, titles, where, fps)

    return Video(frames(), fps)


def record_episode(
    run: Run | BaselineRun,
    config: EnvConfig,
    seed: int,
    every: int,
    width: int,
    *,
    deterministic: bool,
) -> list[Frame]:
    """Play one episode and return its frames.

    :param config: the environment
    :param every: keep every n-th frame, and the first and the last
    :param width: the largest width of a frame, in pixels
    """
    # Add the wrapper that keeps the frames, and play in a single environment.
    wrapper = WrapperConfig(name=RECORDER, kwargs={"every": every, "width": width})
    recorded = config.model_copy(update={"wrappers": (*config.wrappers, wrapper)})
    if not has_display():
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # or pygame warns at every start
    sampling_seed = SeedTree(run.seed).policy_sampling
    with closing(build_env(recorded, [seed], training=False, render_mode="rgb_array")) as env:
        play_episodes(
            run.player(env), env, [seed], deterministic=deterministic, sampling_seed=sampling_seed
        )
        frames: list[Frame] = env.env_method("film")[0]
        return frames


def render_fps(config: EnvConfig) -> float:
    """Return the environment's own number of frames per second, or ours if it is not a number.

    :raises EnvError: if it cannot draw pictures
    """
    env = make_single_env(config)
    modes = env.metadata.get("render_modes") or []
    fps = env.metadata.get("render_fps")
    env.close()
    if "rgb_array" not in modes:
        listed = ", ".join(f"`{mode}`" for mode in modes) or "none"
        what = f"{config.id} cannot draw pictures: a video needs the render mode `rgb_array`"
        what += f" (available: {listed})."
        raise EnvError(Problem(what, "env.id", EVALUATE_INSTEAD))
    if isinstance(fps, int | float | np.integer | np.floating) and 0 < fps < FASTEST:
        return float(fps)
    return DEFAULT_FPS


@keeping_working_directory()
def frame_strip(
    runs: Sequence[Run | BaselineRun],
    titles: Sequence[str],
    *,
    n_frames: int = 5,
    deterministic: bool = True,
) -> Image.Image:
    """Draw evenly spaced frames of the first held-out episode, one row per agent.

    :raises EnvError: if the environment cannot draw pictures
    """
    config = runs[0].env
    render_fps(config)  # raises if there are no pictures
    # Play the episode with each agent and pick frames from it.
    (seed,) = SeedTree(runs[0].seed).final_evaluation(1)
    width = panel_width(n_frames)
    rows = []
    for run, title in zip(runs, titles, strict=True):
        frames = record_episode(run, config, seed, 1, width, deterministic=deterministic)
        last = len(frames) - 1
        shown = [frames[round(k * last / (n_frames - 1))] for k in range(n_frames)]
        rows.append(compose(shown, [title] + [""] * (n_frames - 1), size=STRIP_TEXT_SIZE))
    # Put the rows below one another.
    strip = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)), "white")
    for k, row in enumerate(rows):
        strip.paste(row, (0, k * rows[0].height))
    return strip


def _side_by_side(
    recordings: Sequence[Sequence[Frame]], titles: Sequence[str], where: str, fps: float
) -> Iterator[Image.Image]:
    """Show episodes at the same time; a shorter one stays on its last frame until all are over."""
    longest = max(map(len, recordings))
    held = round(HOLD_SECONDS * fps)
    for k in range(longest + held):
        shown = [frames[min(k, len(frames) - 1)] for frames in recordings]
        yield compose(shown, titles, where)
