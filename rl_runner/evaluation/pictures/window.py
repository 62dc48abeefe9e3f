"""Episodes in a window, where there is a display."""

import importlib.util
import os
import sys
from typing import Any

from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from rl_runner.envs import build_env, make_single_env
from rl_runner.errors import EnvError, Problem
from rl_runner.evaluation.play.baseline_runs import BaselineRun
from rl_runner.evaluation.play.episodes import Episodes, play_episodes
from rl_runner.evaluation.play.loaded_run import Run
from rl_runner.local_code import keeping_working_directory
from rl_runner.seeding import SeedTree

DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
INVISIBLE_DRIVERS = {"offscreen", "dummy"}  # SDL falls back on these if it reaches no display
RECORD_INSTEAD = "Use `rl record RUN --out agent.gif` to make a video instead."
EVALUATE_INSTEAD = "Use `rl eval RUN --out episodes.csv` to get the episodes as a table."


def has_display() -> bool:
    """Whether a window can appear; on Linux this needs X, Wayland or a driver named to SDL."""
    return not sys.platform.startswith("linux") or any(map(os.environ.get, DISPLAYS))


def check_display() -> None:
    """Raise EnvError if no window can appear."""
    if not has_display():
        what = "There is no display on which a window could appear."
        raise EnvError(Problem(what, "rl watch", RECORD_INSTEAD))
    if sys.platform.startswith("linux") and not _try_display():
        named = ", ".join(f"{name}={os.environ[name]}" for name in DISPLAYS if os.environ.get(name))
        what = f"The display cannot be reached ({named}), so the window would not be visible."
        raise EnvError(Problem(what, "rl watch", RECORD_INSTEAD))


def _try_display() -> bool:
    """Open a display with SDL, with which most environments draw, and close it if it was closed.

    :return: whether it is one that can be seen; True without pygame
    """
    if os.environ.get("SDL_VIDEODRIVER") or importlib.util.find_spec("pygame") is None:
        return True
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # or pygame prints a greeting
    import pygame

    was_open = pygame.display.get_init()
    try:
        pygame.display.init()  # does nothing if it is open
        return pygame.display.get_driver() not in INVISIBLE_DRIVERS
    except pygame.error:
        return False
    finally:
        if not was_open:
            pygame.display.quit()


class TitledWindow(VecEnvWrapper):
    """Titles the window with the environment's name, the return and the step.

    Of windows that pygame draws; others keep their own titles.

    :param venv: a single copy
    """

    def __init__(self, venv: VecEnv, name: str) -> None:
        super().__init__(venv)
        self._name = name
        self._return = 0.0
        self._step = 0

    def reset(self) -> VecEnvObs:
        """Begin an episode."""
        self._return, self._step = 0.0, 0
        observations = self.venv.reset()
        self._show()
        return observations

    def step_wait(self) -> VecEnvStepReturn:
        """Step, and update the title."""
        observations, rewards, dones, infos = self.venv.step_wait()
        self._return += float(rewards[0])
        self._step += 1
        self._show()
        if dones[0]:
            self._return, self._step = 0.0, 0
        return observations, rewards, dones, infos

    def _show(self) -> None:
        pygame: Any = sys.modules.get("pygame")  # loaded if the environment draws with it
        if pygame is not None and pygame.display.get_init() and pygame.display.get_surface():
            title = f"{self._name}  return {self._return:.4g}  step {self._step:,}"
            pygame.display.set_caption(title)


@keeping_working_directory()
def play_in_window(
    run: Run | BaselineRun, n_episodes: int, *, deterministic: bool = True
) -> Episodes:
    """Play held-out episodes in a window, at the environment's own speed.

    :raises EnvError: if the environment has no window, or the window cannot be opened
    """
    # Check that the environment can open a window at all.
    config = run.env
    single = make_single_env(config)
    modes = single.metadata.get("render_modes") or []
    single.close()
    if "human" not in modes:
        what = f"{config.id} has no window (`human` is not among its render modes: {modes})."
        cure = RECORD_INSTEAD if "rgb_array" in modes else EVALUATE_INSTEAD
        raise EnvError(Problem(what, "env.id", cure))
    # Play in a single copy of it, since each copy would open a window of its own.
    seeds = SeedTree(run.seed)
    episode_seeds = seeds.final_evaluation(n_episodes)
    built = build_env(config, episode_seeds[:1], training=False, render_mode="human")
    env = TitledWindow(built, config.id)
    try:
        return play_episodes(
            run.player(env),
            env,
            episode_seeds,
            deterministic=deterministic,
            sampling_seed=seeds.policy_sampling,
        )
    except Exception as error:
        # Only errors of the drawing libraries are explained; others are bugs and keep their trace.
        # An environment's exception is the cause of the error that names the environment.
        cause = error.__cause__ or error
        if type(cause).__module__.partition(".")[0] not in {"pygame", "glfw"}:
            raise
        what = f"The window failed: {cause}."
        raise EnvError(Problem(what, "rl watch", RECORD_INSTEAD)) from error
    finally:
        env.close()
