"""The maps of grid worlds: which state each cell is, and where the actions lead."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

UP, DOWN, LEFT, RIGHT = (0, -1), (0, 1), (-1, 0), (1, 0)  # (dx, dy), y pointing down
Move = tuple[int, int] | str  # a direction, or the name of an action that does not move
FROZEN_LAKE: dict[int, Move] = {0: LEFT, 1: DOWN, 2: RIGHT, 3: UP}
CLIFF_WALKING: dict[int, Move] = {0: UP, 1: RIGHT, 2: DOWN, 3: LEFT}
TAXI: dict[int, Move] = {0: DOWN, 1: UP, 2: RIGHT, 3: LEFT, 4: "pick up", 5: "drop"}
LOSS, GOAL = "#3d5a80", "#2a9d8f"  # colours of the cells where episodes end


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
