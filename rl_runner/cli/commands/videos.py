"""Episodes to look at: ``rl record`` and ``rl watch``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rl_runner.cli import options
from rl_runner.cli.display.console import number, show, show_message
from rl_runner.errors import ConfigError, Problem

if TYPE_CHECKING:
    from rl_runner.evaluation.play.baseline_runs import BaselineRun


def record(
    run: options.AnyRun = None,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FILE", help="A .gif or .mp4 video, or a .png of single frames."
        ),
    ] = Path("agent.gif"),
    episodes: Annotated[int, typer.Option("--episodes", min=1, help="The number of episodes.")] = 3,
    checkpoint: options.Checkpoints = None,
    speed: Annotated[
        float,
        typer.Option(
            "--speed", min=0.05, max=100, help="Playback speed; 2 is twice the environment's own."
        ),
    ] = 1.0,
    stochastic: options.Stochastic = False,
    policy_map: Annotated[
        bool,
        typer.Option(
            "--map", help="Draw state values and greedy actions on a grid world's map instead."
        ),
    ] = False,
    policy: options.Baseline = None,
    env: options.BaselineEnv = None,
) -> None:
    """Record a video of a trained agent, or several of its checkpoints side by side.

    Example: rl record runs/cartpole-ppo-3f9a1c2e --checkpoint untrained,halfway,last --out ppo.gif

    rl record --env Tutor-v0 --policy oracle --out oracle.gif
    """
    from rl_runner.evaluation.pictures.policy_maps import check_map_path, write_policy_maps
    from rl_runner.evaluation.pictures.recording import frame_strip, record_video
    from rl_runner.evaluation.pictures.video_files import (
        check_picture_path,
        write_picture,
        write_video,
    )
    from rl_runner.evaluation.play.loaded_run import load_checkpoints

    # Load the agents, once the file name fits what is written.
    (check_map_path if policy_map else check_picture_path)(out)
    if policy is not None:
        if policy_map:
            raise ConfigError(Problem("A map is drawn of an agent, not of a baseline.", "--map"))
        baseline = _baseline(run, env, policy, checkpoint)
        if out.suffix == ".png":
            picture = frame_strip([baseline], [policy], deterministic=True)
            write_picture(out, picture)
        else:
            write_video(out, record_video([baseline], [policy], n_episodes=episodes, speed=speed))
        show_message(f"Wrote {out}: {policy} in {baseline.env.id}")
        return
    agents, titles = load_checkpoints(_needed(run, env), options.checkpoint_names(checkpoint))
    if agents[0].note:
        show_message(agents[0].note)
    # Draw a map, a strip of frames, or a video.
    if policy_map:
        write_policy_maps(out, agents, titles)
    elif out.suffix == ".png":
        write_picture(out, frame_strip(agents, titles, deterministic=not stochastic))
    else:
        video = record_video(
            agents, titles, n_episodes=episodes, speed=speed, deterministic=not stochastic
        )
        write_video(out, video)
    show_message(f"Wrote {out}: {agents[0].path}, {', '.join(titles)}")


def watch(
    run: options.AnyRun = None,
    episodes: Annotated[int, typer.Option("--episodes", min=1, help="The number of episodes.")] = 3,
    checkpoint: options.Checkpoint = None,
    stochastic: options.Stochastic = False,
    policy: options.Baseline = None,
    env: options.BaselineEnv = None,
) -> None:
    """Watch a trained agent in a window; or a baseline, also without a run.

    Example: rl watch runs/cartpole-ppo-3f9a1c2e --checkpoint best

    rl watch --env CartPole-v1 --policy random
    """
    from rl_runner.evaluation.pictures.window import check_display, play_in_window
    from rl_runner.evaluation.play.loaded_run import load_checkpoints

    check_display()
    if policy is not None:
        baseline = _baseline(run, env, policy, checkpoint)
        show_message(f"{baseline.env.id}: {policy}. Press Ctrl-C to stop.")
        played = play_in_window(baseline, episodes)
    else:
        (agent,), (title,) = load_checkpoints(_needed(run, env), [checkpoint])
        show_message(f"{agent.path}: {title}. Press Ctrl-C to stop.")
        if agent.note:
            show_message(agent.note)
        played = play_in_window(agent, episodes, deterministic=not stochastic)
    for episode_return, length in zip(played.returns, played.lengths, strict=True):
        show(f"Return {number(float(episode_return))} in {length} steps")


def _baseline(
    run: Path | None, env: str | None, policy: str, checkpoint: str | None
) -> "BaselineRun":
    """Return the baseline that is asked for.

    :raises ConfigError: if there is no environment for it, or there are two
    """
    from rl_runner.evaluation.play.baseline_runs import baseline_in

    if (run is None) == (env is None):
        cure = "Name a run or a config, or an environment with `--env ID`."
        raise ConfigError(Problem("A baseline needs one environment.", "--policy", cure))
    if checkpoint is not None:
        what = "A baseline has no checkpoints."
        raise ConfigError(Problem(what, "--checkpoint", "Leave out one of the two options."))
    return baseline_in(run, env, policy)


def _needed(run: Path | None, env: str | None) -> Path:
    """Return the run; raises ConfigError if there is none, or an option that needs a baseline."""
    if run is None or env is not None:
        cure = "Name a run, or a baseline: `--env ID --policy random`."
        raise ConfigError(Problem("No agent is named.", "RUN", cure))
    return run
