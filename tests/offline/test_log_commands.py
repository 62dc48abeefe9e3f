import json
from pathlib import Path

import polars as pl
import pytest

from rl_runner.cli.app import COMMANDS

CONFIG = """
    env: {id: Recommender-v0}
    algo: {name: q_learning}
    data: {path: log.parquet, window: 11d}
"""
ONLINE = """
    env: {id: Recommender-v0}
    algo: {name: q_learning}
    train: {total_timesteps: 100}
"""


@pytest.mark.slow
def test_simulate_learn_judge_convert(rl, write_yaml):
    """The whole way by hand, in an empty folder."""
    config = write_yaml(CONFIG)
    simulated = rl("simulate", config, "--interactions", 6000, "--out", "log.parquet", "--json")
    assert simulated.exit_code == 0, simulated.stderr
    assert simulated.document["interactions"] == 6000
    trained = rl("train", config, "--json")
    assert trained.exit_code == 0, trained.stderr
    assert "timesteps" not in trained.stderr
    (run,) = trained.document["runs"]
    assert run["status"] == "finished"
    assert run["coverage"]["total_states"] > 1000
    listed = rl("runs", "--json").document
    assert [(r["algo"], r["status"], r["env"]) for r in listed] == [
        ("q_learning", "finished", "Recommender-v0")
    ]
    assert rl("train", config).exit_code == 0  # it is there already
    judged = rl("eval", run["path"], "--data", "log.parquet", "--window", "3d", "--json")
    assert judged.exit_code == 0, judged.stderr
    assert judged.document["refusal"] is not None
    shown = rl("eval", run["path"], "--data", "log.parquet")
    assert "No estimate: " in shown.stdout
    assert "logged like these would be enough" in " ".join(shown.stdout.split())
    own = rl("simulate", config, "--policy", run["path"], "--interactions", 50, "--out", "a.jsonl")
    assert own.exit_code == 0, own.stderr
    assert json.loads(Path("a.jsonl").read_text().splitlines()[0])["policy_id"].startswith(
        "recommender-"
    )
    assert rl("convert", "a.jsonl", "--out", "a.vw").exit_code == 0


def test_a_uniform_log_is_judged_with_numbers(rl, write_yaml):
    config = write_yaml(CONFIG)
    rl("simulate", config, "--interactions", 6000, "--out", "log.parquet")
    rl(
        "simulate",
        config,
        "--interactions",
        15000,
        "--out",
        "new.parquet",
        "--seed",
        1,
        "--end",
        "2025-07-20",
    )
    path = rl("train", config, "--json").document["runs"][0]["path"]
    shown = rl("eval", path, "--data", "new.parquet")
    assert shown.exit_code == 0, shown.stderr
    for word in (
        "SWITCH-DR",
        "DM *",
        "* Not for claims",
        "vs rule-based",
        "like",
        "Effective sample",
    ):
        assert word in shown.stdout


def test_refused_rows_are_reported(rl, write_yaml):
    config = write_yaml(CONFIG)
    rl("simulate", config, "--interactions", 2000, "--out", "log.parquet")
    frame = pl.read_parquet("log.parquet")
    row = pl.int_range(pl.len())
    frame.with_columns(
        pl.when(row == 41).then(float("nan")).otherwise(pl.col("openness")).alias("openness")
    ).write_parquet("log.parquet")
    outcome = rl("train", config)
    assert outcome.exit_code == 0, outcome.stderr
    assert "1 of 2,000 rows refused" in outcome.message
    assert "log.parquet:42: openness NaN is not 0 … 100" in outcome.message


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("train", "experiment.yaml"), "There is no such log"),
        (("train", "experiment.yaml", "--extend"), "no budget to extend"),
        (("train", "experiment.yaml", "online.yaml"), "two commands"),
        (("check", "experiment.yaml"), "learns from a log"),
        (("eval", "nowhere", "--data", "log.parquet"), "no such folder"),
        (("eval", "--data", "log.parquet"), "Missing argument"),
        (("eval", "--env", "Recommender-v0", "--data", "log.parquet"), "--env"),
        (("eval", "some", "--data", "log.parquet", "--episodes", "3"), "plays no episodes"),
        (("eval", "some", "--data", "log.parquet", "--policy", "random"), "--policy"),
        (("eval", "some", "--window", "3d"), "give --data as well"),
        (
            ("simulate", "experiment.yaml", "--out", "a.jsonl", "--end", "2999-01-01"),
            "would end in the future",
        ),
        (("simulate", "experiment.yaml", "--out", "log.csv"), "End the name in .parquet"),
        (
            ("simulate", "experiment.yaml", "--out", "a.jsonl", "--policy", "rulebased"),
            "Did you mean `rule_based`",
        ),
        (("convert", "nothing.jsonl", "--out", "a.parquet"), "cannot be read"),
        (("convert", "nothing.parquet", "--out", "a.jsonl"), "cannot be read"),
    ],
)
def test_mistakes_are_refused_and_nothing_is_written(rl, write_yaml, tmp_path, arguments, expected):
    write_yaml(CONFIG)
    write_yaml(ONLINE, "online.yaml")
    before = sorted(tmp_path.iterdir())
    outcome = rl(*arguments)
    assert outcome.exit_code == 2
    assert expected in outcome.message
    assert "Traceback" not in outcome.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_the_commands_are_listed():
    assert {"simulate", "convert"} <= set(COMMANDS)
