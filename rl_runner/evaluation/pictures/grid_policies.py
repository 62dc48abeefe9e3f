"""Pictures of what an agent has learned in a grid world: state values and greedy actions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rl_runner.evaluation.pictures.grid_maps import FROZEN_LAKE, GridView, frozen_lake_view

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VALUES = "max$_a$ Q(s, a)"


@dataclass(frozen=True)
class DrawnPolicy:
    """What is drawn of one agent."""

    values: np.ndarray  # (n_states,)
    greedy: np.ndarray  # (n_states, n_actions) bool: which actions are best; none: nothing is known
    title: str = ""


def draw_grid_policy(q_table: np.ndarray, tiles: np.ndarray) -> "Figure":
    """Draw state values as colours and greedy actions as arrows over a FrozenLake map.

    :param q_table: (n_states, 4)
    :param tiles: (n_rows, n_columns) of one-byte strings: S start, F frozen, H hole, G goal
    """
    policy = of_q_table(q_table, "Greedy policy and state values")
    return draw_policies([policy], [frozen_lake_view(tiles)])


def of_q_table(q_table: np.ndarray, title: str = "") -> DrawnPolicy:
    """Return a table's greedy policy; a state all of whose values are equal has none.

    :param q_table: (n_states, n_actions)
    """
    best = q_table.max(axis=1, keepdims=True)
    known = q_table.min(axis=1, keepdims=True) < best
    return DrawnPolicy(best[:, 0], (q_table == best) & known, title)


def draw_policies(
    policies: Sequence[DrawnPolicy], views: Sequence[GridView], values: str = VALUES
) -> "Figure":
    """Draw each policy in a column of its own, on each of the maps below one another.

    Colours mean the same values everywhere.

    :param values: what the colours are, in words
    """
    from matplotlib.figure import Figure

    n_rows, n_columns = views[0].states.shape
    cell = 0.9 if len(policies) * n_columns <= 14 else max(0.45, 12.6 / (len(policies) * n_columns))
    size = (
        cell * n_columns * len(policies) + 1.4,
        (cell * n_rows + 0.3) * len(views) + 0.3,
    )
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(views), len(policies), squeeze=False)
    shown = np.concatenate([_visible(policy, view) for policy in policies for view in views])
    low, high = min(0.0, float(shown.min())), float(shown.max())
    limits = (low, max(high, low + 1e-9))
    for row, view in enumerate(views):
        for column, policy in enumerate(policies):
            image = _draw_map(grid[row, column], policy, view, limits, cell)
    figure.colorbar(image, ax=grid, label=values, shrink=0.85)
    return figure


def grid_tiles(env: Any) -> np.ndarray | None:
    """Return the map of a FrozenLake-like environment, (n_rows, n_columns); None for others."""
    tiles = getattr(env.unwrapped, "desc", None)
    n_actions = getattr(env.action_space, "n", 0)
    if isinstance(tiles, np.ndarray) and tiles.ndim == 2 and n_actions == len(FROZEN_LAKE):
        return tiles
    return None


def _visible(policy: DrawnPolicy, view: GridView) -> np.ndarray:
    """Return the values of the cells that are not blocked."""
    return np.array([policy.values[s] for c, s in np.ndenumerate(view.states) if not _is(view, c)])


def _is(view: GridView, cell: tuple[int, ...]) -> bool:
    return cell in view.blocked


def _draw_map(
    axes: "Axes",
    policy: DrawnPolicy,
    view: GridView,
    limits: tuple[float, float],
    cell: float,
) -> Any:
    from matplotlib.patches import Rectangle

    mask = np.array(
        [
            [_is(view, (r, c)) for c in range(view.states.shape[1])]
            for r in range(view.states.shape[0])
        ]
    )
    shown = np.ma.masked_where(mask, policy.values[view.states])
    image = axes.imshow(shown, cmap="YlGn", vmin=limits[0], vmax=limits[1])
    small = 10 if cell > 0.7 else 7
    for (row, column), state in np.ndenumerate(view.states):
        if (row, column) in view.blocked:
            label, color = view.blocked[row, column]
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color=color))
            axes.text(column, row, label, ha="center", va="center", color="white", fontsize=small)
        else:
            _draw_actions(axes, policy.greedy[state], view, row, column, small)
    for (row, column), letter in view.marks.items():
        axes.text(column - 0.42, row - 0.3, letter, fontsize=small, color="0.35")
    for row, column in view.walls:
        axes.plot([column + 0.5] * 2, [row - 0.5, row + 0.5], color="0.25", linewidth=3)
    title = " · ".join(part for part in (policy.title, view.title) if part)
    axes.set(xticks=[], yticks=[], title=title)
    return image


def _draw_actions(
    axes: "Axes", greedy: np.ndarray, view: GridView, row: int, column: int, small: int
) -> None:
    """One arrow per best action that moves, words for the others; a dot where nothing is known."""
    if not greedy.any():
        axes.plot(column, row, ".", color="0.5")
    for action in np.flatnonzero(greedy):
        does = view.actions[int(action)]
        if isinstance(does, str):
            axes.text(column, row, does, ha="center", va="center", fontsize=small - 1)
            continue
        dx, dy = does
        start, end = (column - 0.25 * dx, row - 0.25 * dy), (column + 0.3 * dx, row + 0.3 * dy)
        style = {"arrowstyle": "-|>", "color": "black", "mutation_scale": 1.4 * small}
        axes.annotate("", xy=end, xytext=start, arrowprops=style)
