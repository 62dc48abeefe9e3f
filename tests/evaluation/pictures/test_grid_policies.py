from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rl_runner.config import EnvConfig
from rl_runner.envs import make_single_env
from rl_runner.evaluation.pictures.grid_policies import draw_grid_policy, grid_tiles

TILES = np.array([list("SFF"), list("FHF"), list("FFG")], dtype="S1")
ON_SCREEN = {"up": (0, 1), "down": (0, -1), "left": (-1, 0), "right": (1, 0)}


def _draw(q_table: np.ndarray) -> tuple[Figure, Axes]:
    figure = draw_grid_policy(q_table, TILES)
    figure.canvas.draw()
    return figure, figure.axes[0]


def _arrows(axes: Axes) -> dict[int, list[tuple[float, float]]]:
    """Return, by state, where its arrows point on the screen: right and up are positive."""
    arrows: dict[int, list[tuple[float, float]]] = {}
    for text in axes.texts:
        annotation: Any = text
        if getattr(annotation, "arrow_patch", None) is None:
            continue
        tail, head = np.array(annotation.xyann), np.array(annotation.xy)
        column, row = np.round((tail + head) / 2).astype(int)
        screen = axes.transData.transform(head) - axes.transData.transform(tail)
        direction = tuple(np.sign(np.round(screen, 6)))
        arrows.setdefault(int(row * 3 + column), []).append(direction)
    return arrows


def _moves() -> dict[int, str]:
    """Learn from FrozenLake itself where each action leads."""
    config = EnvConfig(id="FrozenLake-v1", kwargs={"is_slippery": False})
    moves = {}
    for action in range(4):
        env: Any = make_single_env(config)
        env.reset(seed=0)
        env.unwrapped.s = 9  # row 2, column 1
        state, *_ = env.step(action)
        moves[action] = {5: "up", 13: "down", 8: "left", 10: "right"}[int(state)]
        env.close()
    return moves


@pytest.mark.parametrize("action", range(4))
def test_an_arrow_points_where_its_action_leads(action: int):
    q_table = np.zeros((9, 4))
    q_table[3, action] = 0.5
    _, axes = _draw(q_table)
    assert _arrows(axes) == {3: [ON_SCREEN[_moves()[action]]]}


def test_each_walkable_state_shows_its_own_greedy_action():
    q_table = np.zeros((9, 4))
    greedy = {0: 2, 1: 2, 2: 1, 3: 3, 5: 1, 6: 0, 7: 2}
    for state, action in greedy.items():
        q_table[state, action] = 0.1 + state / 10
    _, axes = _draw(q_table)
    moves = _moves()
    assert _arrows(axes) == {s: [ON_SCREEN[moves[action]]] for s, action in greedy.items()}


def test_ties_get_an_arrow_each():
    q_table = np.zeros((9, 4))
    q_table[0, [1, 2]] = 0.5
    _, axes = _draw(q_table)
    assert sorted(_arrows(axes)[0]) == sorted([ON_SCREEN["down"], ON_SCREEN["right"]])


def test_a_state_of_which_nothing_is_known_gets_a_dot():
    q_table = np.zeros((9, 4))
    q_table[0, 2] = 0.5
    _, axes = _draw(q_table)
    dots = {(int(line.get_xdata()[0]), int(line.get_ydata()[0])) for line in axes.lines}
    assert dots == {(1, 0), (2, 0), (0, 1), (2, 1), (0, 2), (1, 2)}  # neither hole nor goal


def test_holes_and_the_goal_are_labelled_and_have_no_value_or_arrow():
    q_table = np.random.default_rng(0).random((9, 4))
    _, axes = _draw(q_table)
    labels = {text.get_text(): text.get_position() for text in axes.texts if text.get_text()}
    assert labels == {"hole": (1, 1), "goal": (2, 2)}
    assert {4, 8}.isdisjoint(_arrows(axes))
    shown = axes.images[0].get_array()
    assert np.argwhere(np.ma.getmaskarray(shown)).tolist() == [[1, 1], [2, 2]]


def test_colours_show_the_best_value_of_each_state():
    q_table = np.random.default_rng(1).random((9, 4))
    _, axes = _draw(q_table)
    shown = np.ma.asarray(axes.images[0].get_array())
    np.testing.assert_allclose(
        shown.compressed(), np.delete(q_table.max(axis=1), [4, 8]), rtol=1e-12
    )
    assert axes.images[0].get_clim() == pytest.approx((0.0, shown.max()))


def test_an_empty_table_can_be_drawn_too():
    _, axes = _draw(np.zeros((9, 4)))
    assert _arrows(axes) == {}
    assert len(axes.lines) == 7


def test_the_tiles_of_frozen_lake_are_its_map():
    env = make_single_env(EnvConfig(id="FrozenLake-v1", kwargs={"desc": ["SFH", "FFG"]}))
    tiles = grid_tiles(env)
    env.close()
    assert tiles is not None
    assert tiles.tolist() == [[b"S", b"F", b"H"], [b"F", b"F", b"G"]]


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Taxi-v4", "CliffWalking-v1"])
def test_other_environments_have_no_tiles(env_id: str):
    env = make_single_env(EnvConfig(id=env_id))
    tiles = grid_tiles(env)
    env.close()
    assert tiles is None
