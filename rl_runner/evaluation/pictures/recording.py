"""Films of agents: their episodes, several agents side by side, with return and step in writing."""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from rl_runner.config.schema import EnvConfig, WrapperConfig
from rl_runner.envs import build_env, make_single_env
from rl_runner.envs.film import Frame
from rl_runner.errors import EnvError, Problem
from rl_runner.evaluation.pictures.frames import compose, panel_width
from rl_runner.evaluation.pictures.window import has_display
from rl_runner.evaluation.play.episodes import play_episodes
from rl_runner.evaluation.play.loaded_run import Run, load_run
from rl_runner.runs.find import find_runs
from rl_runner.seeding import SeedTree

FILM = "rl_runner.envs.film:EpisodeFilm"
SMOOTH = 25  # frames per second that are enough; GIFs count in hundredths of a second
DEFAULT_FPS = 15  # for environments that do not say how fast they are
STRIP_LETTERS = 18  # pixels; strips are shown smaller than they are
HOLD_SECONDS = 1.0  # how long an episode's last frame stays


@dataclass(frozen=True)
class Film:
    """Frames to be written one after another, and how fast they are shown."""

    frames: Iterator[Image.Image]
    frames_per_second: float


def load_agents(path: Path, checkpoints: Sequence[str]) -> tuple[list[Run], list[str]]:
    """Load several checkpoints of one run, and say in a few words which each is.

    :param path: a run, or an experiment, whose first run is taken
    :raises RunnerError: if it is neither, or a checkpoint is not kept
    """
    first = find_runs(path)[0]
    runs = [load_run(first, name) for name in checkpoints]
    titles = []
    for run in runs:
        steps = f"{run.agent.num_timesteps:,} steps"
        named = run.checkpoint == "untrained" or run.checkpoint.isdigit()
        titles.append(run.checkpoint if named else f"{run.checkpoint}, {steps}")
    return runs, [f"{int(title):,} steps" if title.isdigit() else title for title in titles]


def film_agents(
    runs: Sequence[Run],
    titles: Sequence[str],
    *,
    n_episodes: int,
    speed: float = 1.0,
    deterministic: bool = True,
) -> Film:
    """Film agents of one environment side by side, on the same held-out episodes.

    :param runs: the agents; the first one's environment and episode seeds are used for all
    :param titles: what is written above each
    :param speed: 2.0 shows twice as fast as the environment runs
    :return: frames that are played and drawn as they are asked for
    :raises EnvError: if the environment draws no pictures
    """
    config = runs[0].config.env
    own = render_fps(config) * speed
    every = max(1, math.ceil(own / SMOOTH))
    fps = own / every
    seeds = SeedTree(runs[0].seed).final_evaluation(n_episodes)
    width = panel_width(len(runs))

    def frames() -> Iterator[Image.Image]:
        for i, seed in enumerate(seeds):
            films = [
                film_episode(run, config, seed, every, width, deterministic=deterministic)
                for run in runs
            ]
            where = f"episode {i + 1} of {n_episodes}"
            yield from _side_by_side(films, titles, where, fps)

    return Film(frames(), fps)


def film_episode(
    run: Run, config: EnvConfig, seed: int, every: int, width: int, *, deterministic: bool
) -> list[Frame]:
    """Play one episode and return its frames.

    :param config: the environment
    :param every: keep every n-th frame, and the first and the last
    :param width: of a frame at most, in pixels
    """
    wrapper = WrapperConfig(name=FILM, kwargs={"every": every, "width": width})
    filmed = config.model_copy(update={"wrappers": (*config.wrappers, wrapper)})
    if not has_display():
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # else pygame complains at every start
    sampling_seed = SeedTree(run.seed).policy_sampling
    with closing(build_env(filmed, [seed], training=False, render_mode="rgb_array")) as env:
        play_episodes(
            run.agent, env, [seed], deterministic=deterministic, sampling_seed=sampling_seed
        )
        frames: list[Frame] = env.env_method("film")[0]
        return frames


def render_fps(config: EnvConfig) -> float:
    """Return how many frames a second the environment says it should be shown at.

    :raises EnvError: if it cannot draw pictures
    """
    env = make_single_env(config)
    modes = env.metadata.get("render_modes", [])
    fps = env.metadata.get("render_fps") or DEFAULT_FPS
    env.close()
    if "rgb_array" not in modes:
        listed = ", ".join(f"`{mode}`" for mode in modes) or "no way of showing itself at all"
        what = f"{config.id} draws no pictures; it offers {listed}, and a film needs `rgb_array`."
        raise EnvError(
            Problem(what, "env.id", "`rl eval … --out episodes.csv` tells what happened.")
        )
    return float(fps)


def film_strip(
    runs: Sequence[Run],
    titles: Sequence[str],
    *,
    n_frames: int = 5,
    deterministic: bool = True,
) -> Image.Image:
    """Draw moments of the first held-out episode, evenly spread: one row per agent.

    :raises EnvError: if the environment draws no pictures
    """
    config = runs[0].config.env
    render_fps(config)
    (seed,) = SeedTree(runs[0].seed).final_evaluation(1)
    width = panel_width(n_frames)
    rows = []
    for run, title in zip(runs, titles, strict=True):
        frames = film_episode(run, config, seed, 1, width, deterministic=deterministic)
        last = len(frames) - 1
        shown = [frames[round(k * last / (n_frames - 1))] for k in range(n_frames)]
        rows.append(compose(shown, [title] + [""] * (n_frames - 1), size=STRIP_LETTERS))
    strip = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)), "white")
    for k, row in enumerate(rows):
        strip.paste(row, (0, k * rows[0].height))
    return strip


def _side_by_side(
    films: Sequence[Sequence[Frame]], titles: Sequence[str], where: str, fps: float
) -> Iterator[Image.Image]:
    """Show episodes at once; who is done waits for the others on its last frame."""
    longest = max(map(len, films))
    held = round(HOLD_SECONDS * fps)
    for k in range(longest + held):
        shown = [film[min(k, len(film) - 1)] for film in films]
        yield compose(shown, titles, where)
