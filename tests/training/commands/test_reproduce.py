import json
from pathlib import Path
from typing import Any

import pytest

from rl_runner import config_from_dict, train
from rl_runner.errors import RunFolderError
from rl_runner.training.commands.reproduce import find_finished, reproduce
from rl_runner.training.reporting import Reporter

LAKE: dict[str, Any] = {
    "name": "lake",
    "env": {"id": "FrozenLake-v1"},
    "algo": {"name": "q_learning", "initial_q": 0.5},
    "train": {"total_timesteps": 400, "seeds": [4, 5]},
    "eval": {"every": 200, "n_episodes": 3, "final_episodes": 5},
}


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    return train(config_from_dict(LAKE), runs_dir=tmp_path / "runs").path


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(f): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_a_run_is_reproduced_bit_by_bit_and_left_alone(experiment: Path):
    before = files_of(experiment.parent)
    found = reproduce(find_finished(experiment / "seed-5"), Reporter())
    assert found.verdict == "bit-equal"
    assert files_of(experiment.parent) == before


def test_a_run_whose_config_was_changed_afterwards_is_noticed(experiment: Path):
    config = experiment / "config.yaml"
    text = config.read_text(encoding="utf-8")
    assert "gamma: 0.99\n" in text
    config.write_text(text.replace("gamma: 0.99\n", "gamma: 0.5\n"), encoding="utf-8")
    found = reproduce(find_finished(experiment), Reporter())
    assert found.verdict != "bit-equal"
    assert "weights: `q_table`" in found.differences
    assert any("config.yaml" in line for line in found.surroundings)


def test_of_an_experiment_the_first_finished_run_is_taken(experiment: Path):
    record = experiment / "seed-4" / "run.json"
    assert find_finished(experiment).task.seed == 4
    contents = json.loads(record.read_text(encoding="utf-8"))
    record.write_text(json.dumps({**contents, "status": "failed"}), encoding="utf-8")
    assert find_finished(experiment).task.seed == 5
    with pytest.raises(RunFolderError, match="Only a finished run"):
        find_finished(experiment / "seed-4")


def test_a_repetition_that_fails_says_why(experiment: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: Any, **__: Any) -> None:
        message = "the motor burned out"
        raise ValueError(message)

    finished = find_finished(experiment)
    monkeypatch.setattr("rl_runner.training.run.train_run", fail)
    with pytest.raises(RunFolderError, match="the motor burned out"):
        reproduce(finished, Reporter())
