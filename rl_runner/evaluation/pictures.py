"""Pictures of what a tabular agent has learned."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ARROWS = {0: (-1, 0), 1: (0, 1), 2: (1, 0), 3: (0, -1)}  # FrozenLake's actions, y pointing down
TILE_COLORS = {b"H": "#3d5a80", b"G": "#2a9d8f"}


def draw_grid_policy(q_table: np.ndarray, tiles: np.ndarray) -> "Figure":
    """Draw state values as colours and greedy actions as arrows over a FrozenLake map.

    :param q_table: (n_states, 4)
    :param tiles: (n_rows, n_columns) of one-byte strings: S start, F frozen, H hole, G goal
    """
    from matplotlib.figure import Figure

    n_rows, n_columns = tiles.shape
    values = q_table.max(axis=1).reshape(n_rows, n_columns)
    walkable = ~np.isin(tiles, list(TILE_COLORS))
    figure = Figure(figsize=(0.9 * n_columns + 1.4, 0.9 * n_rows + 0.6), layout="constrained")
    axes = figure.add_subplot()
    shown = np.ma.masked_where(~walkable, values)
    image = axes.imshow(shown, cmap="YlGn", vmin=0.0, vmax=max(float(shown.max()), 1e-9))
    figure.colorbar(image, ax=axes, label="max$_a$ Q(s, a)", shrink=0.85)
    for (row, column), tile in np.ndenumerate(tiles):
        if tile in TILE_COLORS:
            corner = (column - 0.5, row - 0.5)
            axes.add_patch(_square(corner, TILE_COLORS[tile]))
            label = "goal" if tile == b"G" else "hole"
            axes.text(column, row, label, ha="center", va="center", color="white")
        else:
            _draw_greedy_actions(axes, q_table[row * n_columns + column], row, column)
    axes.set(xticks=[], yticks=[], title="Greedy policy and state values")
    return figure


def grid_tiles(env: Any) -> np.ndarray | None:
    """Return the map of a FrozenLake-like environment, (n_rows, n_columns); None for others."""
    tiles = getattr(env.unwrapped, "desc", None)
    n_actions = getattr(env.action_space, "n", 0)
    if isinstance(tiles, np.ndarray) and tiles.ndim == 2 and n_actions == len(ARROWS):
        return tiles
    return None


def _draw_greedy_actions(axes: Any, q_values: np.ndarray, row: int, column: int) -> None:
    """One arrow per best action; a dot where nothing is known yet."""
    if q_values.max() == q_values.min():
        axes.plot(column, row, ".", color="0.5")
        return
    for action in np.flatnonzero(q_values == q_values.max()):
        dx, dy = ARROWS[int(action)]
        start, end = (column - 0.25 * dx, row - 0.25 * dy), (column + 0.3 * dx, row + 0.3 * dy)
        style = {"arrowstyle": "-|>", "color": "black", "mutation_scale": 14}
        axes.annotate("", xy=end, xytext=start, arrowprops=style)


def _square(corner: tuple[float, float], color: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(corner, 1, 1, color=color)
