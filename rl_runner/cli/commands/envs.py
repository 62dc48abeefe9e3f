"""``rl envs``."""

from dataclasses import asdict
from typing import Annotated

import typer

from rl_runner.cli import options
from rl_runner.cli.display.console import show, show_json
from rl_runner.cli.display.tables import table


def envs(
    pattern: Annotated[
        str, typer.Argument(metavar="TEXT", help="List only ids that contain this text.")
    ] = "",
    as_json: options.AsJson = False,
) -> None:
    """List the installed environments, their spaces, time limits and reward thresholds.

    Example: rl envs frozen
    """
    import rl_runner.envs  # noqa: F401 - registers our own
    from rl_runner.envs.catalog import installed_environments

    entries = list(installed_environments(pattern))
    if as_json:
        show_json([asdict(entry) for entry in entries])
        return
    columns = ("environment", "observations", "actions", ">time limit", ">reward threshold")
    rows = [
        (e.id, e.observation_space, e.action_space, e.time_limit or "none", e.reward_threshold)
        for e in entries
    ]
    show(table(columns, rows) if rows else f"No installed environment contains {pattern!r}.")
