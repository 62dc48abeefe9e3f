"""The policies of agents in a grid world, drawn on its map, as a file."""

import io
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from rl_runner.config import EnvConfig
from rl_runner.envs import make_single_env
from rl_runner.errors import EnvError, Problem
from rl_runner.evaluation.pictures.grid_policies import (
    Q_VALUES,
    GridMap,
    GridPolicy,
    draw_policies,
    greedy_policy,
    maps_of,
)
from rl_runner.evaluation.pictures.video_files import check_picture_path
from rl_runner.evaluation.play.exact_returns import TransitionTable, transition_table
from rl_runner.evaluation.play.loaded_run import Run
from rl_runner.local_code import keeping_working_directory
from rl_runner.runs.disk import write_aside

FORMATS = (".png", ".svg")
DOTS_PER_INCH = 110
LARGEST_GAMMA = 0.999  # without a time limit the values need a discount factor below 1


def check_map_path(path: Path) -> None:
    """Refuse a file name that cannot be written as a picture; see :func:`check_picture_path`."""
    check_picture_path(path, FORMATS)


@keeping_working_directory()
def write_policy_maps(path: Path, runs: Sequence[Run], titles: Sequence[str]) -> None:
    """Draw the policies of several agents side by side into a PNG or SVG file.

    :raises EnvError: if the environment is not a grid world with a map
    """
    path = path.absolute()  # the environment may change the working directory
    drawn = policy_maps(runs, titles, path.suffix.removeprefix("."))
    if drawn is None:
        what = f"{runs[0].config.env.id} has no map on which a policy could be drawn."
        cure = "FrozenLake, CliffWalking and Taxi have one. Leave out `--map` to record a video."
        raise EnvError(Problem(what, "--map", cure))
    write_aside(path, lambda aside: aside.write_bytes(drawn))


def policy_maps(runs: Sequence[Run], titles: Sequence[str], file_format: str) -> bytes | None:
    """Draw the policies of several agents in one environment, each in a column of its own.

    :param file_format: ``png`` or ``svg``
    :return: the contents of the file; None if the environment has no map
    """
    config = runs[0].config.env
    # The maps show states, so an agent must see the state as it is.
    table = transition_table(config) if config.frame_stack == 1 else None
    if table is None or config.normalize.active:
        return None
    maps = _maps(config)
    if not maps:
        return None
    gamma = min(runs[0].config.algo.discount, LARGEST_GAMMA)
    policies = [_policy(run, title, table, gamma) for run, title in zip(runs, titles, strict=True)]
    is_tabular = hasattr(runs[0].agent, "q_table")
    label = Q_VALUES if is_tabular else f"value of the policy, γ = {gamma}"
    file = io.BytesIO()
    figure = draw_policies(policies, maps, label)
    figure.savefig(file, format=file_format, dpi=DOTS_PER_INCH, metadata=None)
    return file.getvalue()


def _maps(config: EnvConfig) -> tuple[GridMap, ...]:
    with closing(make_single_env(config)) as env:
        return maps_of(env)


def _policy(run: Run, title: str, table: TransitionTable, gamma: float) -> GridPolicy:
    """Return the policy of a Q-table with its values, or any other policy with exact values."""
    q_table = getattr(run.agent, "q_table", None)
    if q_table is not None:
        return greedy_policy(np.asarray(q_table), title)
    n_states, n_actions = table.rewards.shape
    actions, _ = run.agent.predict(np.arange(n_states), deterministic=True)
    greedy = np.zeros((n_states, n_actions), dtype=bool)
    greedy[np.arange(n_states), actions] = True
    return GridPolicy(table.discounted_values(np.asarray(actions), gamma), greedy, title)
