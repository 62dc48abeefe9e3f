import re

import numpy as np
import polars as pl
import pytest
from offline_worlds import same

from rl_runner.errors import ConfigError, DataError
from rl_runner.offline.logs.exports import open_bandit_arrays, vowpal_wabbit_lines
from rl_runner.offline.logs.imports import read_mapping
from rl_runner.offline.logs.interactions import read_interactions
from rl_runner.offline.logs.log_conversion import convert_log
from rl_runner.offline.logs.log_files import LogReader, write_log

MAPPING = """
user_id: customer
ts: {column: when}
policy_id: {value: the old one}
mood: {column: feeling, words: {joyful: happy, blue: sad}}
"""


@pytest.fixture
def foreign(frame: pl.DataFrame) -> pl.DataFrame:
    """The first 60 interactions as somebody else's table."""
    words = {"happy": "joyful", "sad": "blue"}
    return (
        frame.head(60)
        .with_columns(
            pl.col("mood").cast(pl.String).replace(words).alias("feeling"),
            pl.col("ts").dt.strftime("%Y-%m-%d %H:%M:%S%.6f").alias("when"),
            pl.col("user_id").alias("customer"),
        )
        .drop("mood", "ts", "user_id", "policy_id", "schema_version")
    )


@pytest.fixture
def mapping(tmp_path):
    path = tmp_path / "columns.yaml"
    path.write_text(MAPPING)
    return path


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_foreign_table_becomes_a_log(foreign, mapping, log, tmp_path, suffix):
    source, out = tmp_path / f"foreign.{suffix}", tmp_path / "mine.parquet"
    foreign.write_csv(source) if suffix == "csv" else foreign.write_parquet(source)
    n_rows, refusals = convert_log(source, out, mapping, timezone="UTC")
    assert (n_rows, refusals.n_refused) == (60, 0)
    assert set(pl.read_parquet(out)["policy_id"]) == {"the old one"}
    assert same(read_interactions([out], LogReader()), log.take(np.arange(60)))


def test_bad_rows_of_a_foreign_table_are_refused_by_line(foreign, mapping, tmp_path):
    source, out = tmp_path / "foreign.csv", tmp_path / "mine.jsonl"
    foreign.with_columns(
        pl.when(pl.int_range(pl.len()) == 6)
        .then(pl.lit("hangry"))
        .otherwise("feeling")
        .alias("feeling")
    ).write_csv(source)
    n_rows, refusals = convert_log(source, out, mapping, timezone="UTC")
    assert n_rows == 59
    # Line 1 is the header.
    assert [(line, why) for _, line, why in refusals.examples] == [(8, "unknown mood hangry")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("usr_id: customer", "Did you mean `user_id`"),
        ("user_id: custmer", "Did you mean `customer`"),
        ("user_id: {}", "give either `column` or `value`"),
        ("user_id: {column: customer, value: x}", "give either `column` or `value`"),
        ("- user_id", "not a mapping of columns"),
        ("user_id: customer", "Columns are missing"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(foreign, tmp_path, text, message):
    source, mapping = tmp_path / "foreign.csv", tmp_path / "columns.yaml"
    foreign.write_csv(source)
    mapping.write_text(text)
    with pytest.raises((ConfigError, DataError), match=message):
        convert_log(source, tmp_path / "out.parquet", mapping)
    assert not (tmp_path / "out.parquet").exists()


def test_a_mapping_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_mapping(tmp_path / "none.yaml")


def test_a_log_changes_its_format_and_nothing_else(log_file, log, tmp_path):
    convert_log(log_file, tmp_path / "a.jsonl")
    convert_log(tmp_path / "a.jsonl", tmp_path / "b.parquet")
    assert read_interactions([tmp_path / "b.parquet"], LogReader()).fingerprint() == (
        log.fingerprint()
    )


def test_a_log_may_end_in_ndjson(log_file, log, tmp_path):
    convert_log(log_file, tmp_path / "a.jsonl")
    (tmp_path / "a.jsonl").rename(tmp_path / "a.ndjson")
    convert_log(tmp_path / "a.ndjson", tmp_path / "b.parquet")
    assert same(read_interactions([tmp_path / "b.parquet"], LogReader()), log)


def test_open_bandits_arrays(log, log_file, tmp_path):
    n_rows, _ = convert_log(log_file, tmp_path / "feedback.npz")
    with np.load(tmp_path / "feedback.npz") as arrays:
        feedback = dict(arrays)
    assert feedback.keys() == open_bandit_arrays(log).keys()
    assert feedback["n_rounds"] == n_rows == len(log)
    assert feedback["n_actions"] == 27
    assert feedback["context"].shape == (len(log), 39)
    assert feedback["action_context"].shape == (27, 3)
    assert np.array_equal(feedback["action"], log.action)
    assert np.allclose(feedback["pscore"], 1 / 27)
    # What obp's IPS would make of it for the logging policy is the mean reward.
    assert feedback["reward"].mean() == pytest.approx(log.reward.mean())


def test_vowpal_wabbits_lines(log, log_file, tmp_path):
    convert_log(log_file, tmp_path / "log.vw")
    lines = (tmp_path / "log.vw").read_text().splitlines()
    assert lines == list(vowpal_wabbit_lines(log))
    pattern = re.compile(
        r"(\d+):(-?[\d.e-]+):([\d.e-]+) \|person openness=\d conscientiousness=\d extraversion=\d "
        r"agreeableness=\d neuroticism=\d \|moment content=\w+ mood=\w+ time=\w+"
    )
    for i, line in enumerate(lines[:200]):
        action, cost, probability = pattern.fullmatch(line).groups()
        assert int(action) == log.action[i] + 1
        assert float(cost) == pytest.approx(-log.reward[i], abs=1e-4)
        assert float(probability) == pytest.approx(1 / 27, rel=1e-4)


@pytest.mark.parametrize("name", ["log.csv", "log", "log.txt"])
def test_an_unknown_format_is_refused(log_file, tmp_path, name):
    with pytest.raises(ConfigError, match="does not say which format"):
        convert_log(log_file, tmp_path / name)


def test_an_unknown_zone_is_refused(log_file, tmp_path):
    with pytest.raises(ConfigError, match="not a time zone"):
        convert_log(log_file, tmp_path / "a.parquet", timezone="Mars")


def test_foreign_tables_are_exported_by_two_steps(foreign, mapping, tmp_path):
    foreign.write_csv(tmp_path / "foreign.csv")
    with pytest.raises(ConfigError, match="two steps"):
        convert_log(tmp_path / "foreign.csv", tmp_path / "a.vw", mapping)


def test_a_log_needs_a_suffix_to_be_written(frame, tmp_path):
    with pytest.raises(ConfigError, match="does not say which format"):
        write_log(frame, tmp_path / "log.csv")
