import json
import os
from pathlib import Path

import pytest

from rl_runner.layout import INDEX
from rl_runner.runs.folder import RunFolder
from rl_runner.runs.index import runs_below


def experiment(path: Path, *seeds: int) -> Path:
    for seed in seeds:
        run = path / f"seed-{seed}"
        run.mkdir(parents=True)
        results = {"last": {"mean_reward": 0.5 + seed, "n_episodes": 9}}
        record = {"seed": seed, "status": "finished", "results": results, "versions": {"a": "1"}}
        (run / "run.json").write_text(json.dumps(record), encoding="utf-8")
    return path


def test_runs_come_by_experiment_and_then_by_seed_number(tmp_path: Path):
    experiment(tmp_path / "b-exp", 10, 2)
    experiment(tmp_path / "a-exp", 1, 0, 11)
    found = [(run.experiment, run.folder) for run in runs_below(tmp_path)]
    assert found == [
        ("a-exp", "seed-0"),
        ("a-exp", "seed-1"),
        ("a-exp", "seed-11"),
        ("b-exp", "seed-2"),
        ("b-exp", "seed-10"),
    ]


def test_the_index_answers_for_what_has_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    experiment(tmp_path / "exp", 0, 1)
    before = runs_below(tmp_path)
    assert before[1].record.last.mean_reward == 1.5
    assert (tmp_path / INDEX).exists()
    read: list[Path] = []
    monkeypatch.setattr("rl_runner.runs.index.read_record", read.append)
    assert runs_below(tmp_path) == before
    assert read == []
    os.utime(tmp_path / "exp/seed-1/run.json", ns=(1, 1))
    runs_below(tmp_path)
    assert read == [tmp_path / "exp/seed-1"]


@pytest.mark.parametrize(
    "damage",
    [
        *("", "{", "[]", "5", "\xff", '{"format": 99, "runs": {}}', '{"format": 3}'),
        *('{"format": 3, "runs": []}', '{"format": 3, "runs": 5}', '{"format": 3, "runs": null}'),
    ],
)
def test_a_damaged_index_changes_nothing(tmp_path: Path, damage: str):
    experiment(tmp_path / "exp", 0)
    before = runs_below(tmp_path)
    (tmp_path / INDEX).write_text(damage, encoding="latin-1")
    assert runs_below(tmp_path) == before


@pytest.mark.parametrize(
    "gist",
    [
        *(5, None, [], {}, {"status": "unreadable"}, {"status": "unreadable", "error": 5}),
        *({"status": "odd"}, {"status": "finished"}, {"status": "finished", "results": 5}),
        {"status": "finished", "results": {"last": 5, "best": {}}},
        {"status": "finished", "results": {"last": {"mean_reward": "much"}, "best": {}}},
        {"status": "finished", "seconds": "long", "results": {"last": {}, "best": {}}},
    ],
    ids=str,
)
def test_an_entry_of_another_shape_changes_nothing(tmp_path: Path, gist: object):
    experiment(tmp_path / "exp", 0, 1)
    before = runs_below(tmp_path)
    index = json.loads((tmp_path / INDEX).read_text(encoding="utf-8"))
    index["runs"]["exp/seed-0"][2] = gist  # for the very run.json that is there
    (tmp_path / INDEX).write_text(json.dumps(index), encoding="utf-8")
    assert runs_below(tmp_path) == before


@pytest.mark.parametrize("entry", [5, None, [], [1, 2], ["a", "b", {}], {"a": 1}], ids=str)
def test_an_invalid_entry_changes_nothing(tmp_path: Path, entry: object):
    experiment(tmp_path / "exp", 0, 1)
    before = runs_below(tmp_path)
    index = json.loads((tmp_path / INDEX).read_text(encoding="utf-8"))
    index["runs"]["exp/seed-0"] = entry
    (tmp_path / INDEX).write_text(json.dumps(index), encoding="utf-8")
    assert runs_below(tmp_path) == before


def test_the_index_remembers_what_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = experiment(tmp_path / "exp", 0)
    (path / "seed-0" / "run.json").write_text("[]", encoding="utf-8")
    before = runs_below(tmp_path)
    monkeypatch.delattr("rl_runner.runs.index.read_record")  # not read again
    assert runs_below(tmp_path) == before
    assert before[0].status == "unreadable"


def test_a_damaged_record_does_not_hide_the_others(tmp_path: Path):
    path = experiment(tmp_path / "exp", 0, 1, 2)
    (path / "seed-1" / "run.json").write_text("{", encoding="utf-8")
    runs = runs_below(tmp_path)
    assert [run.status for run in runs] == ["finished", "unreadable", "finished"]
    assert str(path / "seed-1" / "run.json") in runs[1].problem


def test_a_run_that_nobody_trains_has_crashed(tmp_path: Path):
    path = experiment(tmp_path / "exp", 0) / "seed-0"
    (path / "run.json").write_text('{"status": "running", "seed": 0}', encoding="utf-8")
    assert runs_below(tmp_path)[0].status == "crashed"
    folder = RunFolder(path, "q_table.npz")
    assert folder.claim()
    assert runs_below(tmp_path)[0].status == "running"
    folder.release()
    assert runs_below(tmp_path)[0].status == "crashed"


@pytest.mark.parametrize("path", [".", "nowhere"])
def test_there_are_no_runs_where_there_are_none(tmp_path: Path, path: str):
    assert runs_below(tmp_path / path) == []
