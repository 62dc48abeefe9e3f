import math
from pathlib import Path

import numpy as np
import pytest
from synthetic_experiments import change_record, write_experiment, write_run

from rl_runner.arrays import load_arrays, save_arrays
from rl_runner.errors import RunFolderError
from rl_runner.evaluation.comparison.experiments import load_experiment, load_experiments


def test_a_finished_seed_comes_with_all_that_was_measured(tmp_path: Path):
    experiment = load_experiment(write_experiment(tmp_path, "a", [100.0, 200.0], exact=True))
    assert experiment.config.name == "a"
    assert [run.seed for run in experiment.finished] == [0, 1]
    run = experiment.runs[1]
    assert run.last is not None
    assert run.best is not None
    assert (run.last.mean_reward, run.last.exact_mean_reward) == (200.0, 200.0)
    assert (run.selection_optimism, run.timesteps, run.seconds) == (0.5, 1000, 20.0)
    assert run.curve is not None
    np.testing.assert_array_equal(run.curve.timesteps, np.arange(100, 1001, 100))
    np.testing.assert_allclose(run.curve.returns, run.curve.timesteps / 5)
    np.testing.assert_allclose(run.curve.seconds, run.curve.timesteps / 100)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"status": "failed", "error": "the motor burned out"}, "failed: the motor burned out"),
        ({"status": "interrupted"}, "interrupted"),
        ({"status": "running"}, "crashed"),
        ({"status": "pending"}, "not started"),
        ({"results": {}}, "has no results"),
        ({"results": {"last": {"mean_reward": math.nan}}}, "not finite numbers"),
        ({"results": {"last": {"mean_reward": math.inf}}}, "not finite numbers"),
    ],
)
def test_a_seed_without_a_result_says_why(tmp_path: Path, changes: dict, problem: str):
    path = write_experiment(tmp_path, "a", [100.0, 200.0, 300.0])
    change_record(path / "seed-1", **changes)
    experiment = load_experiment(path)
    assert [run.seed for run in experiment.finished] == [0, 2]
    (missing,) = experiment.missing
    assert problem in missing.problem
    assert (missing.seed, missing.last, missing.curve) == (1, None, None)


def test_seeds_that_only_the_config_or_only_the_folder_knows_count_too(tmp_path: Path):
    path = write_experiment(tmp_path, "a", [100.0, 200.0])
    write_run(path / "seed-7", 7, 300.0)
    (path / "seed-1" / "run.json").unlink()
    experiment = load_experiment(path)
    assert [(run.seed, run.problem) for run in experiment.runs] == [
        (0, ""),
        (1, "not started"),
        (7, ""),
    ]


def test_a_damaged_record_is_a_seed_without_a_result(tmp_path: Path):
    path = write_experiment(tmp_path, "a", [100.0, 200.0])
    (path / "seed-0" / "run.json").write_text('{"status": "fin', encoding="utf-8")
    (missing,) = load_experiment(path).missing
    assert missing.status == "unreadable"
    assert "run.json" in missing.problem


@pytest.mark.parametrize("damage", ["gone", "cut short", "nan", "empty"])
def test_a_curve_that_cannot_be_read_is_left_out(tmp_path: Path, damage: str):
    path = write_experiment(tmp_path, "a", [100.0])
    file = path / "seed-0" / "evaluations.npz"
    if damage == "gone":
        file.unlink()
    elif damage == "cut short":
        file.write_bytes(file.read_bytes()[:50])
    else:
        n = 0 if damage == "empty" else 1
        save_arrays(file, {"timesteps": np.arange(n), "returns": np.full((n, 2), np.nan)})
    (run,) = load_experiment(path).finished
    assert run.curve is None


def test_without_a_record_of_episodes_times_are_unknown(tmp_path: Path):
    path = write_experiment(tmp_path, "a", [100.0])
    (path / "seed-0" / "episodes.csv").unlink()
    (run,) = load_experiment(path).finished
    assert run.curve is not None
    assert np.isnan(run.curve.seconds).all()


def test_a_folder_that_is_not_an_experiment_is_refused(tmp_path: Path):
    path = write_experiment(tmp_path, "a", [100.0])
    (tmp_path / "empty").mkdir()
    for place, message in (
        (path / "seed-0", "single run"),
        (tmp_path / "empty", "Neither a run nor an experiment"),
        (tmp_path / "gone", "no such folder"),
    ):
        with pytest.raises(RunFolderError, match=message):
            load_experiment(place)
    with pytest.raises(RunFolderError, match="named twice"):
        load_experiments([path, tmp_path / "empty" / ".." / path.name])


def test_an_experiment_without_runs_is_refused(tmp_path: Path):
    path = write_experiment(tmp_path, "a", [1.0])
    (path / "seed-0" / "run.json").unlink()
    with pytest.raises(RunFolderError, match="no runs yet"):
        load_experiment(path)


def test_a_curve_has_the_exact_returns_where_they_were_recorded(tmp_path: Path):
    path = write_experiment(tmp_path, "a", [0.7, 0.6])
    file = path / "seed-0" / "evaluations.npz"
    arrays = load_arrays(file)
    exact = np.linspace(0.1, 0.744, len(arrays["timesteps"]))
    save_arrays(file, {**arrays, "exact": exact})
    first, second = (run.curve for run in load_experiment(path).runs)
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.returns, exact)
    np.testing.assert_allclose(second.returns[-1], 0.6)
