"""Episodes to look at: ``rl record`` and ``rl watch``."""

from pathlib import Path
from typing import Annotated

import typer

from rl_runner.cli import options
from rl_runner.cli.display.console import number, show, show_message


def record(
    run: options.OneRun,
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
) -> None:
    """Record a video of a trained agent, or several of its checkpoints side by side.

    Example: rl record runs/cartpole-ppo-3f9a1c2e --checkpoint untrained,halfway,last --out ppo.gif
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
    agents, titles = load_checkpoints(run, options.checkpoint_names(checkpoint))
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
    run: options.OneRun,
    episodes: Annotated[int, typer.Option("--episodes", min=1, help="The number of episodes.")] = 3,
    checkpoint: options.Checkpoint = None,
    stochastic: options.Stochastic = False,
) -> None:
    """Watch a trained agent in a window.

    Example: rl watch runs/cartpole-ppo-3f9a1c2e --checkpoint best
    """
    from rl_runner.evaluation.pictures.window import check_display, play_in_window
    from rl_runner.evaluation.play.loaded_run import load_checkpoints

    check_display()
    (agent,), (title,) = load_checkpoints(run, [checkpoint])
    show_message(f"{agent.path}: {title}. Press Ctrl-C to stop.")
    if agent.note:
        show_message(agent.note)
    played = play_in_window(agent, episodes, deterministic=not stochastic)
    for episode_return, length in zip(played.returns, played.lengths, strict=True):
        show(f"Return {number(float(episode_return))} in {length} steps")
