"""How the states of a grid world lie on its map, and where its actions lead."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

UP, DOWN, LEFT, RIGHT = (0, -1), (0, 1), (-1, 0), (1, 0)  # (dx, dy), y pointing down
Move = tuple[int, int] | str  # a direction, or what it does on the spot
FROZEN_LAKE: dict[int, Move] = {0: LEFT, 1: DOWN, 2: RIGHT, 3: UP}
CLIFF_WALKING: dict[int, Move] = {0: UP, 1: RIGHT, 2: DOWN, 3: LEFT}
TAXI: dict[int, Move] = {0: DOWN, 1: UP, 2: RIGHT, 3: LEFT, 4: "pick up", 5: "drop"}
BAD, GOOD = "#3d5a80", "#2a9d8f"


@dataclass(frozen=True)
class GridView:
    """One map: which state each cell is, what the actions do, what is written where."""

    states: np.ndarray  # (n_rows, n_columns) int
    actions: Mapping[int, Move]
    blocked: Mapping[tuple[int, int], tuple[str, str]]  # cell → text and colour; has no policy
    marks: Mapping[tuple[int, int], str] = field(default_factory=dict)  # cell → a letter
    walls: tuple[tuple[int, int], ...] = ()  # cells with a wall on their right
    title: str = ""


def views_of(env: Any) -> tuple[GridView, ...]:
    """Return the maps on which an environment's states can be drawn; none for most."""
    name = type(env.unwrapped).__name__
    if name == "FrozenLakeEnv":
        return (frozen_lake_view(env.unwrapped.desc),)
    if name == "CliffWalkingEnv":
        return (_cliff_view(),)
    if name == "TaxiEnv":
        return _taxi_views(env.unwrapped)
    return ()


def frozen_lake_view(tiles: np.ndarray) -> GridView:
    """Return the map of a lake.

    :param tiles: (n_rows, n_columns) of one-byte strings: S start, F frozen, H hole, G goal
    """
    names = {b"H": ("hole", BAD), b"G": ("goal", GOOD)}
    cells = np.ndenumerate(tiles)
    blocked = {cell: names[tile] for cell, tile in cells if tile in names}
    return GridView(np.arange(tiles.size).reshape(tiles.shape), FROZEN_LAKE, blocked)


def _cliff_view() -> GridView:
    states = np.arange(48).reshape(4, 12)
    blocked = {(3, column): ("cliff", BAD) for column in range(1, 11)}
    return GridView(states, CLIFF_WALKING, {**blocked, (3, 11): ("goal", GOOD)})


def _taxi_views(env: Any) -> tuple[GridView, ...]:
    """Two of Taxi's twenty maps: the passenger waits at R, and sits in the taxi; both to G."""
    desc = env.desc  # rows of `|R: | : :G|` between two edges
    walls = tuple(
        (row, column)
        for row in range(5)
        for column in range(4)
        if desc[row + 1, 2 * column + 2] == b"|"
    )
    marks = dict(zip(env.locs, "RGYB", strict=True))
    titles = {0: "passenger at R, to G", 4: "passenger in the taxi, to G"}
    return tuple(
        GridView(
            np.array([[env.encode(row, col, where, 1) for col in range(5)] for row in range(5)]),
            TAXI,
            {},
            marks,
            walls,
            title,
        )
        for where, title in titles.items()
    )
