"""Agents in a window, where there is a display."""

import importlib.util
import os
import sys

from rl_runner.envs import build_env, make_single_env
from rl_runner.errors import EnvError, Problem
from rl_runner.evaluation.play.episodes import Episodes, play_episodes
from rl_runner.evaluation.play.loaded_run import Run
from rl_runner.seeding import SeedTree

DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
SEEN_BY_NOBODY = {"offscreen", "dummy"}  # what SDL falls back on where it reaches no display
INSTEAD = "`rl record RUN --out agent.gif` makes a film instead."

WITHOUT_PICTURES = "`rl eval RUN --out episodes.csv` tells what happened."


def has_display() -> bool:
    """Whether a window can appear: on Linux only with X, Wayland or a driver named to SDL."""
    return not sys.platform.startswith("linux") or any(map(os.environ.get, DISPLAYS))


def check_display() -> None:
    """Raise EnvError where no window can appear."""
    if not has_display():
        what = "There is no display here for a window to appear on."
        raise EnvError(Problem(what, "rl watch", INSTEAD))
    if sys.platform.startswith("linux") and not _is_display_reached():
        named = ", ".join(f"{name}={os.environ[name]}" for name in DISPLAYS if os.environ.get(name))
        what = f"The display cannot be reached ({named}): nobody would see the window."
        raise EnvError(Problem(what, "rl watch", INSTEAD))


def _is_display_reached() -> bool:
    """Ask SDL, with which most environments draw; True where it is not there to be asked."""
    if os.environ.get("SDL_VIDEODRIVER") or importlib.util.find_spec("pygame") is None:
        return True
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # it would print
    import pygame

    try:
        pygame.display.init()
        return pygame.display.get_driver() not in SEEN_BY_NOBODY
    except pygame.error:
        return False
    finally:
        pygame.display.quit()


def play_in_window(run: Run, n_episodes: int, *, deterministic: bool = True) -> Episodes:
    """Play held-out episodes as fast as the environment draws them.

    :raises EnvError: if the environment has no window, or it cannot be opened
    """
    config = run.config.env
    single = make_single_env(config)
    modes = single.metadata.get("render_modes", [])
    single.close()
    if "human" not in modes:
        what = f"{config.id} has no window (`human` is not among its render modes: {modes})."
        cure = INSTEAD if "rgb_array" in modes else WITHOUT_PICTURES
        raise EnvError(Problem(what, "env.id", cure))
    seeds = SeedTree(run.seed)
    episode_seeds = seeds.final_evaluation(n_episodes)
    env = build_env(config, episode_seeds[:1], training=False, render_mode="human")
    try:
        return play_episodes(
            run.agent,
            env,
            episode_seeds,
            deterministic=deterministic,
            sampling_seed=seeds.policy_sampling,
        )
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in {"pygame", "glfw"}:
            raise
        raise EnvError(Problem(f"The window failed: {error}.", "rl watch", INSTEAD)) from error
    finally:
        env.close()
