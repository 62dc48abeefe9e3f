"""README and docs show the results that docs/results.json records, figure by figure."""

import importlib.util
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from synthetic_experiments import change_record, write_experiment

from rl_runner.evaluation.statistics.bounds import Bounds
from rl_runner.evaluation.statistics.summary import summarize
from rl_runner.training.environment_task import experiment_folder

ROOT = Path(__file__).parents[1]


def load_results() -> ModuleType:
    spec = importlib.util.spec_from_file_location("results", ROOT / "benchmarks" / "results.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["results"] = module  # where its dataclasses look themselves up
    sys.path.append(str(ROOT / "benchmarks"))  # where it finds the modules beside it
    spec.loader.exec_module(module)
    return module


results = load_results()
RECORDED: dict[str, Any] = json.loads(results.RECORDED.read_text(encoding="utf-8"))
BLOCKS = [
    (path.name, found[2], found[3])
    for path in results.DOCUMENTS
    for found in results.MARKED.finditer(path.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(("document", "name", "text"), BLOCKS, ids=lambda each: str(each)[:20])
def test_a_document_shows_what_is_recorded(document: str, name: str, text: str):
    assert text == results.render(name, RECORDED) + "\n", f"{document}: run `make results`"


def test_every_part_has_its_place():
    shown = {(document, name) for document, name, _ in BLOCKS}
    assert ("README.md", "summary cartpole") in shown
    assert {("results.md", f"seeds {part}") for part in results.PARTS} <= shown
    for path in results.DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        n_blocks = sum(document == path.name for document, _, _ in BLOCKS)
        assert text.count("<!-- results:") == text.count("<!-- end of results -->") == n_blocks


@pytest.mark.parametrize("name", RECORDED["experiments"])
def test_what_is_recorded_is_consistent(name: str):
    found = RECORDED["experiments"][name]
    assert found["part"] in results.PARTS
    assert found["mean"] == pytest.approx(math.fsum(found["last"]) / len(found["last"]))
    assert found["best_mean"] == pytest.approx(math.fsum(found["best"]) / len(found["best"]))
    if found["part"] == "cartpole":
        bounds = Bounds(1.0, 500.0, "environment")
        low, high = summarize(found["last"], bounds).ci95 or (0.0, 0.0)
        assert found["ci95"] == pytest.approx([low, high], abs=0.05)


@pytest.mark.parametrize("place", RECORDED["pictures"])
def test_a_picture_is_the_recorded_one(place: str):
    assert results.digest(ROOT / place) == RECORDED["pictures"][place]


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let there be one part of two seeds, trained."""
    monkeypatch.setattr(results, "PARTS", {"cartpole": results.Part(("cartpole/ppo",), 2)})
    monkeypatch.setattr(results, "code_of", lambda commit: commit[:1])
    (tmp_path / "cartpole").mkdir()
    config = tmp_path / "cartpole" / "ppo.yaml"
    config.write_text(
        "name: cartpole-ppo\nenv: {id: CartPole-v1}\nalgo: {name: ppo}\n"
        "train: {total_timesteps: 1000, seeds: 2}\n"
    )
    monkeypatch.setattr(results, "CONFIGS", tmp_path)
    results._config.cache_clear()
    written = write_experiment(tmp_path, "cartpole-ppo", [300.0, 500.0])
    path = experiment_folder(results._config("cartpole/ppo"), tmp_path).path
    written.rename(path)
    for run in path.glob("seed-*"):
        change_record(
            run,
            git={"commit": "c" * 40, "dirty": False},
            versions={"python": "3.11", "torch": "9"},
            finished="2030-01-02T03:04:05+00:00",
        )
    yield path
    results._config.cache_clear()


def test_results_are_recorded_and_rendered(part: Path):
    document = results.record(part.parent)
    document = json.loads(json.dumps(document))
    assert document["commit"] == "c" * 40
    assert document["experiments"]["cartpole-ppo"]["last"] == [300.0, 500.0]
    rows = results.render("summary cartpole", document).splitlines()
    assert rows[2].startswith("| cartpole-ppo | 1,000 | 2 | 400.0 | ")
    assert "| 1 of 2 |" in rows[2]
    assert "300.0, 500.0" in results.render("seeds cartpole", document)
    said = results.render("measured on", document)
    of_commit = "Measured with the package of commit `cccccccccccc` (2030-01-02)"
    assert said == f"{of_commit}, with python 3.11, torch 9."
    assert "not trained the part lake" in results.render("summary lake", document)
    with pytest.raises(KeyError):
        results.render("average cartpole", document)


@pytest.mark.parametrize("git", [{"commit": "d" * 40}, {"commit": "c" * 40, "dirty": True}, None])
def test_runs_of_different_code_or_of_none_are_refused(part: Path, git: Any):
    change_record(part / "seed-1", git=git)
    with pytest.raises(SystemExit, match="different code, or of code that has no commit"):
        results.record(part.parent)


def test_a_commit_that_changes_no_code_is_no_other_one(part: Path):
    later = {"git": {"commit": "cc" + "d" * 38}, "finished": "2030-01-03T00:00:00+00:00"}
    change_record(part / "seed-1", **later)
    assert results.record(part.parent)["commit"] == "cc" + "d" * 38


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ({"a": [500.0] * 20, "b": [100.0, 150.0] * 10}, "20 seeds support: 1 of 1 (a over b)."),
        ({"a": [100.0, 150.0] * 10, "b": [500.0] * 20}, "20 seeds support: 1 of 1 (b over a)."),
        ({"a": [400.0, 500.0] * 3, "b": [500.0, 400.0] * 3}, "6 seeds support: none of 1."),
    ],
)
def test_what_the_seeds_show_is_said(last: dict[str, list[float]], said: str):
    experiments = {
        name: {"part": "cartpole", "timesteps": 1, "is_exact": False, "last": values,
               "best": values, "mean": 1.0, "ci95": None, "best_mean": 1.0}
        for name, values in last.items()
    }  # fmt: skip
    text = results.render("claims cartpole", {"experiments": experiments})
    assert text == f"Pairwise differences that {said}"


def test_the_code_of_this_commit_is_known():
    assert len(results.code_of("HEAD")) == 12


def test_runs_of_a_config_that_was_changed_are_not_its_runs(part: Path):
    (part.parent / "cartpole" / "ppo.yaml").write_text(
        "name: cartpole-ppo\nenv: {id: CartPole-v1}\nalgo: {name: ppo, gamma: 0.9}\n"
        "train: {total_timesteps: 1000, seeds: 2}\n"
    )
    results._config.cache_clear()
    with pytest.raises(SystemExit, match="No part is complete"):
        results.record(part.parent)


def test_a_part_that_is_not_complete_is_left_out(part: Path):
    change_record(part / "seed-1", status="interrupted", results=None)
    with pytest.raises(SystemExit, match="No part is complete"):
        results.record(part.parent)


def test_the_budget_is_listed(part: Path, capsys: pytest.CaptureFixture[str]):
    change_record(part / "seed-1", status="interrupted", results=None)
    results.list_parts(["cartpole"], part.parent)
    shown = capsys.readouterr().out
    assert "1 of 2" in shown
    assert "Hours of one core left: 0.0, and 0 configs not measured yet." in shown


def test_only_what_is_between_markers_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "page.md"
    file.write_text("a\n<!-- results: measured on -->\nold\n<!-- end of results -->\nb\n")
    monkeypatch.setattr(results, "DOCUMENTS", (file,))
    monkeypatch.setattr(results, "ROOT", tmp_path)
    document = {"commit": "e" * 40, "date": "2030-01-02", "versions": {}, "experiments": {}}
    results.update_documents(document)
    lines = file.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("a", "b")
    assert lines[2].startswith("Measured with the package of commit `eeeeeeeeeeee`")
