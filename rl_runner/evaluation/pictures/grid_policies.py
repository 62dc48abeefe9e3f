"""Pictures of policies in a grid world: state values as colours, greedy actions as arrows.

A :class:`GridMap` says which state each cell is, and where the actions lead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


UP, DOWN, LEFT, RIGHT = (0, -1), (0, 1), (-1, 0), (1, 0)  # (dx, dy), y pointing down
Move = tuple[int, int] | str  # a direction, or the name of an action that does not move
FROZEN_LAKE: dict[int, Move] = {0: LEFT, 1: DOWN, 2: RIGHT, 3: UP}
CLIFF_WALKING: dict[int, Move] = {0: UP, 1: RIGHT, 2: DOWN, 3: LEFT}
TAXI: dict[int, Move] = {0: DOWN, 1: UP, 2: RIGHT, 3: LEFT, 4: "pick up", 5: "drop"}
LOSS, GOAL = "#3d5a80", "#2a9d8f"  # colours of the cells where episodes end
Q_VALUES = "max$_a$ Q(s, a)"


@dataclass(frozen=True)
class GridMap:
    """One map: which state each cell is, what the actions do, and the labels."""

    states: np.ndarray  # (n_rows, n_columns) int
    actions: Mapping[int, Move]
    blocked: Mapping[tuple[int, int], tuple[str, str]]  # cell → label and colour; has no policy
    marks: Mapping[tuple[int, int], str] = field(default_factory=dict)  # cell → a letter
    walls: tuple[tuple[int, int], ...] = ()  # cells with a wall on their right
    title: str = ""

    def is_blocked(self, cell: tuple[int, ...]) -> bool:
        """Whether no action is taken in a cell: a hole, the cliff or the goal."""
        return cell in self.blocked


def maps_of(env: Any) -> tuple[GridMap, ...]:
    """Return the maps on which an environment's states can be drawn; none for most."""
    name = type(env.unwrapped).__name__
    if name == "FrozenLakeEnv":
        return (frozen_lake_map(env.unwrapped.desc),)
    if name == "CliffWalkingEnv":
        return (_cliff_map(),)
    if name == "TaxiEnv":
        return _taxi_maps(env.unwrapped)
    return ()


def frozen_lake_map(tiles: np.ndarray) -> GridMap:
    """Return the map of a lake.

    :param tiles: (n_rows, n_columns) of one-byte strings: S start, F frozen, H hole, G goal
    """
    names = {b"H": ("hole", LOSS), b"G": ("goal", GOAL)}
    cells = np.ndenumerate(tiles)
    blocked = {cell: names[tile] for cell, tile in cells if tile in names}
    return GridMap(np.arange(tiles.size).reshape(tiles.shape), FROZEN_LAKE, blocked)


def _cliff_map() -> GridMap:
    states = np.arange(48).reshape(4, 12)
    blocked = {(3, column): ("cliff", LOSS) for column in range(1, 11)}
    return GridMap(states, CLIFF_WALKING, {**blocked, (3, 11): ("goal", GOAL)})


def _taxi_maps(env: Any) -> tuple[GridMap, ...]:
    """Return two of Taxi's twenty maps, to G: the passenger waits at R, or is in the taxi."""
    # The walls are drawn in the environment's own map, the names of the places are R, G, Y, B.
    desc = env.desc  # rows of `|R: | : :G|` between two edges
    walls = tuple(
        (row, column)
        for row in range(5)
        for column in range(4)
        if desc[row + 1, 2 * column + 2] == b"|"
    )
    marks = dict(zip(env.locs, "RGYB", strict=True))
    # A state is row, column, place of the passenger and destination; G is destination 1.
    titles = {0: "passenger at R, to G", 4: "passenger in the taxi, to G"}
    return tuple(
        GridMap(
            np.array([[env.encode(row, col, where, 1) for col in range(5)] for row in range(5)]),
            TAXI,
            {},
            marks,
            walls,
            title,
        )
        for where, title in titles.items()
    )


@dataclass(frozen=True)
class GridPolicy:
    """The values and greedy actions of one agent."""

    values: np.ndarray  # (n_states,)
    greedy: np.ndarray  # (n_states, n_actions) bool: the best actions; none if they are not known
    title: str = ""


def draw_grid_policy(q_table: np.ndarray, tiles: np.ndarray) -> "Figure":
    """Draw state values as colours and greedy actions as arrows over a FrozenLake map.

    :param q_table: (n_states, 4)
    :param tiles: (n_rows, n_columns) of one-byte strings: S start, F frozen, H hole, G goal
    """
    policy = greedy_policy(q_table, "Greedy policy and state values")
    return draw_policies([policy], [frozen_lake_map(tiles)])


def greedy_policy(q_table: np.ndarray, title: str = "") -> GridPolicy:
    """Return a Q-table's greedy policy; a state whose values are all equal has no greedy action.

    :param q_table: (n_states, n_actions)
    """
    best = q_table.max(axis=1, keepdims=True)
    known = q_table.min(axis=1, keepdims=True) < best
    return GridPolicy(best[:, 0], (q_table == best) & known, title)


def draw_policies(
    policies: Sequence[GridPolicy], maps: Sequence[GridMap], values: str = Q_VALUES
) -> "Figure":
    """Draw each policy in a column and each map in a row, with one scale of colours for all.

    :param values: the label of the colours
    """
    from matplotlib.figure import Figure

    # Lay out the axes: cells of .9 inches, smaller ones if the figure would be too wide.
    n_rows, n_columns = maps[0].states.shape
    cell = 0.9 if len(policies) * n_columns <= 14 else max(0.45, 12.6 / (len(policies) * n_columns))
    size = (
        cell * n_columns * len(policies) + 1.4,
        (cell * n_rows + 0.3) * len(maps) + 0.3,
    )
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(maps), len(policies), squeeze=False)
    # Find the range of the colours: all values that are shown, and zero.
    shown = np.concatenate([_visible_values(policy, each) for policy in policies for each in maps])
    low, high = min(0.0, float(shown.min())), float(shown.max())
    limits = (low, max(high, low + 1e-9))
    for row, each in enumerate(maps):
        for column, policy in enumerate(policies):
            image = _draw_map(grid[row, column], policy, each, limits, cell)
    figure.colorbar(image, ax=grid, label=values, shrink=0.85)
    return figure


def grid_tiles(env: Any) -> np.ndarray | None:
    """Return the map of a FrozenLake-like environment, (n_rows, n_columns); None for others."""
    tiles = getattr(env.unwrapped, "desc", None)
    n_actions = getattr(env.action_space, "n", 0)
    if isinstance(tiles, np.ndarray) and tiles.ndim == 2 and n_actions == len(FROZEN_LAKE):
        return tiles
    return None


def _visible_values(policy: GridPolicy, grid: GridMap) -> np.ndarray:
    """Return the values of the cells that are not blocked."""
    cells = np.ndenumerate(grid.states)
    return np.array([policy.values[state] for cell, state in cells if not grid.is_blocked(cell)])


def _draw_map(
    axes: "Axes",
    policy: GridPolicy,
    grid: GridMap,
    limits: tuple[float, float],
    cell: float,
) -> Any:
    """Draw one policy on one map; return the image, which the colour bar refers to."""
    from matplotlib.patches import Rectangle

    # State values as colours
    blocked = [grid.is_blocked(place) for place in np.ndindex(grid.states.shape)]
    mask = np.array(blocked).reshape(grid.states.shape)
    shown = np.ma.masked_where(mask, policy.values[grid.states])
    image = axes.imshow(shown, cmap="YlGn", vmin=limits[0], vmax=limits[1])
    # Labels of the blocked cells, greedy actions of the others
    fontsize = 10 if cell > 0.7 else 7
    for (row, column), state in np.ndenumerate(grid.states):
        if (row, column) in grid.blocked:
            label, color = grid.blocked[row, column]
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color=color))
            style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": fontsize}
            axes.text(column, row, label, color="white", **style)
        else:
            _draw_actions(axes, policy.greedy[state], grid, row, column, fontsize)
    # Places and walls
    for (row, column), letter in grid.marks.items():
        axes.text(column - 0.42, row - 0.3, letter, fontsize=fontsize, color="0.35")
    for row, column in grid.walls:
        axes.plot([column + 0.5] * 2, [row - 0.5, row + 0.5], color="0.25", linewidth=3)
    title = " · ".join(part for part in (policy.title, grid.title) if part)
    axes.set(xticks=[], yticks=[], title=title)
    return image


def _draw_actions(
    axes: "Axes", greedy: np.ndarray, grid: GridMap, row: int, column: int, fontsize: int
) -> None:
    """Draw an arrow per greedy action that moves, words for the others, a dot if none is known."""
    if not greedy.any():
        axes.plot(column, row, ".", color="0.5")
    for action in np.flatnonzero(greedy):
        move = grid.actions[int(action)]
        if isinstance(move, str):
            axes.text(column, row, move, ha="center", va="center", fontsize=fontsize - 1)
            continue
        dx, dy = move
        start, end = (column - 0.25 * dx, row - 0.25 * dy), (column + 0.3 * dx, row + 0.3 * dy)
        style = {"arrowstyle": "-|>", "color": "black", "mutation_scale": 1.4 * fontsize}
        axes.annotate("", xy=end, xytext=start, arrowprops=style)
