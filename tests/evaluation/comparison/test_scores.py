from pathlib import Path

import pytest
from synthetic_experiments import change_record, write_experiment

from rl_runner.evaluation.comparison.experiments import load_experiment
from rl_runner.evaluation.comparison.scores import paired_differences


def test_pairs_are_runs_of_the_same_seed_that_both_have_a_result(tmp_path: Path):
    one = write_experiment(tmp_path, "one", [10.0, 20.0, 30.0, 40.0])
    other = write_experiment(tmp_path, "other", [1.0, 2.0, 3.0], first_seed=1)
    change_record(other / "seed-2", status="failed")
    differences = paired_differences(load_experiment(one), load_experiment(other))
    assert differences == {1: 19.0, 3: 37.0}


def test_rounding_errors_are_not_differences(tmp_path: Path):
    one = write_experiment(tmp_path, "one", [0.3, 0.3, 0.7])
    other = write_experiment(tmp_path, "other", [0.1 + 0.2, 0.3, 0.6])
    differences = paired_differences(load_experiment(one), load_experiment(other))
    assert differences == {0: 0.0, 1: 0.0, 2: pytest.approx(0.1)}
