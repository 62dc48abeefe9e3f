"""Maps of grid worlds with the policies that agents have learned there, into a file."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rl_runner.envs import make_single_env
from rl_runner.errors import EnvError, Problem
from rl_runner.evaluation.pictures.grid_maps import GridView, views_of
from rl_runner.evaluation.pictures.grid_policies import (
    VALUES,
    DrawnPolicy,
    draw_policies,
    of_q_table,
)
from rl_runner.evaluation.pictures.video_files import check_film_path
from rl_runner.evaluation.play.exact_returns import transition_table
from rl_runner.evaluation.play.loaded_run import Run
from rl_runner.runs.disk import write_aside

KINDS = (".png", ".svg")
DOTS_PER_INCH = 110


def check_map_path(path: Path) -> None:
    """Refuse a file that is no picture; see :func:`check_film_path`."""
    check_film_path(path, KINDS)


def write_policy_maps(path: Path, runs: Sequence[Run], titles: Sequence[str]) -> None:
    """Draw the policies of several agents side by side into a PNG or SVG.

    :raises EnvError: if the environment is no grid world that can be drawn
    """
    drawn = policy_maps(runs, titles, path.suffix.removeprefix("."))
    if drawn is None:
        what = f"{runs[0].config.env.id} has no map on which a policy could be drawn."
        cure = "FrozenLake, CliffWalking and Taxi have one. Without `--map` a film is made."
        raise EnvError(Problem(what, "--map", cure))
    write_aside(path, lambda aside: aside.write_bytes(drawn))


def policy_maps(runs: Sequence[Run], titles: Sequence[str], kind: str) -> bytes | None:
    """Return the picture; None if the environment has no map.

    :param kind: ``png`` or ``svg``
    """
    views = _views(runs[0])
    if not views:
        return None
    policies = [_policy(run, title) for run, title in zip(runs, titles, strict=True)]
    gamma = _gamma(runs[0])
    tabular = hasattr(runs[0].agent, "q_table")
    label = VALUES if tabular else f"value of the policy, γ = {gamma}"
    file = io.BytesIO()
    figure = draw_policies(policies, views, label)
    figure.savefig(file, format=kind, dpi=DOTS_PER_INCH, metadata=None)
    return file.getvalue()


def _views(run: Run) -> tuple[GridView, ...]:
    """Return the maps; none if the agent does not see the state as it is."""
    env = run.config.env
    if env.frame_stack > 1 or env.normalize.active or transition_table(env) is None:
        return ()
    single = make_single_env(env)
    views = views_of(single)
    single.close()
    return views


def _policy(run: Run, title: str) -> DrawnPolicy:
    """Return a table's own values, or the exact values of any other agent's policy."""
    q_table = getattr(run.agent, "q_table", None)
    if q_table is not None:
        return of_q_table(np.asarray(q_table), title)
    table = transition_table(run.config.env)
    if table is None:
        raise EnvError(Problem(f"{run.config.env.id} tells no transition table.", "env.id"))
    n_states, n_actions = table.rewards.shape
    actions, _ = run.agent.predict(np.arange(n_states), deterministic=True)
    greedy = np.zeros((n_states, n_actions), dtype=bool)
    greedy[np.arange(n_states), actions] = True
    return DrawnPolicy(table.discounted_values(np.asarray(actions), _gamma(run)), greedy, title)


def _gamma(run: Run) -> float:
    return min(run.config.algo.discount, 0.999)  # the values of an endless problem need one
