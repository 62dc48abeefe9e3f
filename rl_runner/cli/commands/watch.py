"""``rl watch``."""

from typing import Annotated

import typer

from rl_runner.cli import options
from rl_runner.cli.display.console import number, show, show_message


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
