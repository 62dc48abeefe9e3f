import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_runner.arrays import load_arrays, save_arrays
from rl_runner.evaluation.reproduction import compare_runs, weights_hash
from rl_runner.runs.folder import RunFolder
from rl_runner.runs.record import RunRecord

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def twins(trained: Callable[[str], Any], tmp_path: Path) -> tuple[RunFolder, RunFolder]:
    """A finished run and a copy of it to change."""
    before = trained("q_learning").path
    shutil.copytree(before, tmp_path / "again")
    return RunFolder(before, "q_table.npz"), RunFolder(tmp_path / "again", "q_table.npz")


def edit(run: RunFolder, change: Change) -> None:
    record = json.loads((run.path / "run.json").read_text(encoding="utf-8"))
    change(record)
    run.write_record(RunRecord.from_json(record))


def nudge_weights(run: RunFolder, by: float = 1e-12) -> None:
    arrays = load_arrays(run.agents.weights)
    arrays["q_table"] = arrays["q_table"] + by
    save_arrays(run.agents.weights, arrays)


def test_a_run_is_bit_equal_to_itself(twins: tuple[RunFolder, RunFolder]):
    found = compare_runs(*twins)
    assert found.verdict == "bit-equal"
    assert found.differences == []
    assert found.surroundings == []
    assert found.weights[0] == found.weights[1]
    assert {metric.name for metric in found.metrics} >= {"last agent, mean reward"}
    assert all(metric.before == metric.after for metric in found.metrics)


def test_a_last_bit_makes_it_statistically_equal(twins: tuple[RunFolder, RunFolder]):
    nudge_weights(twins[1])
    found = compare_runs(*twins)
    assert found.verdict == "statistically equal"
    assert found.differences == ["weights: `q_table`"]
    assert found.weights[0] != found.weights[1]


@pytest.mark.parametrize(
    ("shift", "std", "verdict"),
    [(0.01, 0.4, "statistically equal"), (0.5, 0.4, "different"), (0.01, 0.0, "different")],
)
def test_the_held_out_episodes_decide(
    twins: tuple[RunFolder, RunFolder], shift: float, std: float, verdict: str
):
    def spread(record: dict[str, Any]) -> None:
        for agent in ("last", "best"):
            record["results"][agent] |= {"std_reward": std, "n_episodes": 100}

    def move(record: dict[str, Any]) -> None:
        record["results"]["last"]["mean_reward"] += shift

    edit(twins[1], spread)
    shutil.copytree(twins[1].path, twins[1].path.parent / "before")
    edit(twins[1], move)
    before = RunFolder(twins[1].path.parent / "before", "q_table.npz")
    assert compare_runs(before, twins[1]).verdict == verdict


def test_what_it_ran_on_is_compared(twins: tuple[RunFolder, RunFolder]):
    def change(record: dict[str, Any]) -> None:
        record["versions"]["torch"] = "1.0"
        record["machine"]["cores"] = 1000
        record["git"] = {"commit": "abc", "dirty": True}

    edit(twins[1], change)
    found = compare_runs(*twins)
    assert found.verdict == "bit-equal"
    lines = "\n".join(found.surroundings)
    assert "versions, torch: " in lines
    assert "1.0 now" in lines
    assert "machine, cores" in lines
    assert "1000 now" in lines
    assert "git, commit" in lines


def test_the_hash_is_of_names_shapes_and_values(tmp_path: Path):
    arrays = {"a": np.arange(6.0), "b": np.zeros(2)}
    variants = [
        arrays,
        {**arrays, "a": arrays["a"].reshape(2, 3)},
        {**arrays, "a": arrays["a"] + 1e-15},
        {**arrays, "a": arrays["a"].astype(np.float32)},
        {"a": arrays["b"], "b": arrays["a"]},
    ]
    hashes = []
    for i, variant in enumerate([*variants, arrays]):
        save_arrays(tmp_path / f"{i}.npz", variant)
        hashes.append(weights_hash(tmp_path / f"{i}.npz"))
    assert len(set(hashes)) == 5
    assert hashes[-1] == hashes[0]


@pytest.mark.parametrize("name", ["ppo", "reinforce", "q_learning"])
def test_every_kind_of_agent_has_a_hash(trained: Callable[[str], Any], name: str):
    files = {"ppo": "model.zip", "reinforce": "policy.pt", "q_learning": "q_table.npz"}
    assert len(weights_hash(trained(name).path / files[name])) == 64
