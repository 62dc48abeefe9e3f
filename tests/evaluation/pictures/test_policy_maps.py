from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rl_runner.config import EnvConfig
from rl_runner.envs import make_single_env
from rl_runner.errors import EnvError
from rl_runner.evaluation.pictures.grid_policies import GridMap, GridPolicy, draw_policies, maps_of
from rl_runner.evaluation.pictures.policy_maps import policy_maps, write_policy_maps
from rl_runner.evaluation.play.exact_returns import transition_table
from rl_runner.evaluation.play.loaded_run import load_checkpoints

Trained = Callable[[str], Any]
DETERMINISTIC: dict[str, dict[str, Any]] = {
    "FrozenLake-v1": {"is_slippery": False},
    "CliffWalking-v1": {},
    "Taxi-v4": {},
}


def views(env_id: str) -> tuple[Any, tuple[GridMap, ...]]:
    env: Any = make_single_env(EnvConfig(id=env_id, kwargs=DETERMINISTIC.get(env_id, {})))
    return env, maps_of(env)


@pytest.mark.parametrize(("env_id", "n"), [*zip(DETERMINISTIC, (1, 1, 2)), ("CartPole-v1", 0)])  # noqa: B905
def test_some_environments_have_maps(env_id: str, n: int):
    env, found = views(env_id)
    env.close()
    assert len(found) == n


@pytest.mark.parametrize("env_id", DETERMINISTIC)
def test_each_action_leads_where_its_arrow_points(env_id: str):
    env, found = views(env_id)
    table = env.unwrapped.P
    env.close()
    for view in found:
        n_rows, n_columns = view.states.shape
        moved = 0
        for (row, column), state in np.ndenumerate(view.states):
            if (row, column) in view.blocked:
                continue
            for action, does in view.actions.items():
                if isinstance(does, str):
                    continue
                there = row + does[1], column + does[0]
                inside = 0 <= there[0] < n_rows and 0 <= there[1] < n_columns
                walled = (row, min(column, there[1])) in view.walls and does[0]
                ((_, reached, _, _),) = table[int(state)][action]
                if view.blocked.get(there, ("",))[0] == "cliff":
                    expected = view.states[3, 0]
                else:
                    expected = view.states[there] if inside and not walled else state
                assert reached == expected, (row, column, action)
                moved += reached != state
        assert moved > n_rows * n_columns


def test_taxi_marks_its_places_and_walls():
    env, (waiting, riding) = views("Taxi-v4")
    places = {letter: cell for cell, letter in waiting.marks.items()}
    assert places == {"R": (0, 0), "G": (0, 4), "Y": (4, 0), "B": (4, 3)}
    assert len(waiting.walls) == 6
    for view, passenger in ((waiting, 0), (riding, 4)):
        decoded = [list(env.unwrapped.decode(int(state))) for state in view.states.flat]
        assert {(p, d) for _, _, p, d in decoded} == {(passenger, 1)}
        cells = [(row, column) for row, column, _, _ in decoded]
        assert cells == [cell for cell, _ in np.ndenumerate(view.states)]
    env.close()


def test_policies_share_one_scale_of_colours():
    _, maps = views("CliffWalking-v1")
    greedy = np.zeros((48, 4), dtype=bool)
    greedy[:, 1] = True
    policies = [GridPolicy(np.full(48, value), greedy, "") for value in (-20.0, -1.0)]
    figure = draw_policies(policies, maps)
    limits = [axes.images[0].get_clim() for axes in figure.axes if axes.images]
    assert limits[:2] == [(-20.0, -1.0), (-20.0, -1.0)]


def test_words_stand_for_actions_that_do_not_move():
    env, (waiting, _) = views("Taxi-v4")
    env.close()
    greedy = np.zeros((500, 6), dtype=bool)
    greedy[waiting.states[0, 0], 4] = True
    figure = draw_policies([GridPolicy(np.zeros(500), greedy)], [waiting])
    assert "pick up" in [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_maps_of_a_run_become_a_file(trained: Trained, tmp_path: Path, kind: str):
    runs, titles = load_checkpoints(trained("q_learning").path, ["untrained", "last"])
    write_policy_maps(tmp_path / f"map.{kind}", runs, titles)
    content = (tmp_path / f"map.{kind}").read_bytes()
    if kind == "png":
        with Image.open(tmp_path / "map.png") as picture:
            assert picture.width > picture.height
    else:
        assert b"<svg" in content


def test_an_agent_without_a_table_is_drawn_by_the_exact_values_of_its_policy(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
):
    (run,), titles = load_checkpoints(trained("q_learning").path, ["last"])

    class AlwaysRight:
        def predict(self, observation: Any, **_: Any) -> tuple[np.ndarray, None]:
            return np.full(len(observation), 2), None

    drawn: list[GridPolicy] = []

    def draw(policies: list[GridPolicy], *arguments: Any) -> Any:
        drawn.extend(policies)
        return draw_policies(policies, *arguments)

    monkeypatch.setattr("rl_runner.evaluation.pictures.policy_maps.draw_policies", draw)
    always_right: Any = AlwaysRight()
    policy_maps([replace(run, agent=always_right)], titles, "svg")
    table = transition_table(run.config.env)
    assert table is not None
    (policy,) = drawn
    expected = table.discounted_values(np.full(16, 2), run.config.algo.discount)
    np.testing.assert_array_equal(policy.values, expected)
    assert [np.flatnonzero(row).tolist() for row in policy.greedy] == [[2]] * 16


def test_an_environment_without_a_grid_has_no_map(trained: Trained, tmp_path: Path):
    runs, titles = load_checkpoints(trained("ppo").path, ["last"])
    with pytest.raises(EnvError, match="no map"):
        write_policy_maps(tmp_path / "map.png", runs, titles)
    assert not list(tmp_path.iterdir())
