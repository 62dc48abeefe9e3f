"""``rl init``."""

from typing import Annotated

import typer

from rl_runner.cli.display.console import show_text


def init(
    algo: Annotated[str, typer.Argument(metavar="ALGO", help="A name from `rl algos`.")],
    env: Annotated[str, typer.Argument(metavar="ENV", help="A Gymnasium id, see `rl envs`.")],
) -> None:
    """Print a commented, valid config to start from.

    Example: rl init ppo CartPole-v1 > mine.yaml
    """
    from rl_runner.training.commands.starter import starter_config

    show_text(starter_config(algo, env))
