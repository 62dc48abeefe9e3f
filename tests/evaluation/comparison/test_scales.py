import json
from pathlib import Path

import numpy as np
import pytest

from rl_runner.config import EnvConfig
from rl_runner.errors import EnvError
from rl_runner.evaluation.comparison import scales
from rl_runner.evaluation.comparison.scales import (
    FORMAT,
    Scale,
    load_scale,
    load_scale_or_reason,
    measure_scale,
)
from rl_runner.layout import SCALES

LAKE = EnvConfig(id="FrozenLake-v1")
CARTPOLE = EnvConfig(id="CartPole-v1")


def test_with_a_transition_table_both_ends_are_exact():
    scale = measure_scale(LAKE)
    assert scale.random == pytest.approx(0.0139, abs=1e-4)
    assert scale.best == pytest.approx(0.7442, abs=1e-4)
    assert (scale.random_error, scale.random_episodes, scale.best_is) == (0.0, 0, "optimum")
    assert scale.reward_threshold == 0.7


def test_without_one_the_random_policy_plays_and_the_threshold_is_the_upper_end():
    scale = measure_scale(CARTPOLE)
    assert 18 < scale.random < 27
    assert 0 < scale.random_error < 2
    assert scale.random_episodes == 200
    assert (scale.best, scale.best_is) == (475.0, "reward_threshold")
    assert measure_scale(CARTPOLE) == scale


def test_an_environments_own_best_policy_is_the_upper_end(monkeypatch: pytest.MonkeyPatch):
    class Balancing:
        """Pushes the cart to where the pole leans."""

        def __init__(self, *_: object) -> None:
            pass

        def predict(self, observation: np.ndarray, *_: object) -> tuple[np.ndarray, None]:
            return (observation[:, 2] + observation[:, 3] > 0).astype(int), None

    monkeypatch.setattr(scales, "load_baseline", lambda *_: Balancing)
    for name, meaning in (("optimal", "optimum"), ("oracle", "oracle")):
        monkeypatch.setattr(scales, "baselines_of", lambda _, name=name: ("bandit", name))
        scale = measure_scale(CARTPOLE)
        assert scale.best is not None
        assert scale.best > 475  # what the threshold would have been
        assert scale.best_is == meaning


def test_baselines_that_are_worth_beating_are_measured_too():
    options = {"modules_per_topic": 1, "horizon": 15}
    scale = measure_scale(EnvConfig(id="Tutor-v0", kwargs=options, time_limit=15))
    assert set(scale.references) == {"mastery", "bandit", "fixed_curriculum"}
    assert scale.best is not None
    assert all(scale.random < value < scale.best for value in scale.references.values())
    assert measure_scale(CARTPOLE).references == {}


def test_a_threshold_of_zero_is_one():
    assert scales._upper_end(CARTPOLE, 0.0) == (0.0, "reward_threshold")
    assert scales._upper_end(CARTPOLE, None) == (None, None)


def test_what_an_agent_sees_does_not_change_the_scale(tmp_path: Path):
    scale = load_scale(LAKE, tmp_path)
    assert load_scale(LAKE.model_copy(update={"n_envs": 4, "frame_stack": 2}), tmp_path) == scale
    kept = json.loads((tmp_path / SCALES).read_text(encoding="utf-8"))["scales"]
    assert len(kept) == 1
    short = load_scale(EnvConfig(id="FrozenLake-v1", time_limit=20), tmp_path)
    assert short.best is not None
    assert scale.best is not None
    assert short.best < scale.best


def test_a_scale_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = load_scale(LAKE, tmp_path)
    monkeypatch.setattr(scales, "measure_scale", lambda _: pytest.fail("measured again"))
    assert load_scale(LAKE, tmp_path) == first


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 0}', json.dumps({"format": FORMAT, "scales": 3})]
)
def test_a_damaged_cache_is_rebuilt(tmp_path: Path, text: str):
    expected = load_scale(LAKE, tmp_path)
    (tmp_path / SCALES).write_text(text, encoding="utf-8")
    assert load_scale(LAKE, tmp_path) == expected
    assert json.loads((tmp_path / SCALES).read_text(encoding="utf-8"))["format"] == FORMAT


def test_a_cache_of_another_shape_is_rebuilt(tmp_path: Path):
    expected = load_scale(LAKE, tmp_path)
    document = json.loads((tmp_path / SCALES).read_text(encoding="utf-8"))
    document["scales"] = {key: {"random": 1.0} for key in document["scales"]}
    (tmp_path / SCALES).write_text(json.dumps(document), encoding="utf-8")
    assert load_scale(LAKE, tmp_path) == expected


def test_a_folder_that_cannot_be_written_does_not_matter(tmp_path: Path):
    assert load_scale(LAKE, tmp_path / "gone") == measure_scale(LAKE)


def test_an_environment_that_is_not_installed_has_no_scale(tmp_path: Path):
    unknown = EnvConfig(id="Unknown-v0")
    scale, reason = load_scale_or_reason(unknown, tmp_path)
    assert scale is None
    assert "Unknown-v0" in reason
    with pytest.raises(EnvError):
        load_scale(unknown, tmp_path)


def test_normalising_needs_two_ends():
    scale = Scale(10.0, 0.0, 0, 20.0, "optimum", None)
    assert [scale.normalized(value) for value in (10.0, 20.0, 5.0)] == [0.0, 1.0, -0.5]
    assert Scale(10.0, 0.0, 0, None, None, None).normalized(20.0) is None
    assert Scale(10.0, 0.0, 0, 10.0, "optimum", None).normalized(20.0) is None
