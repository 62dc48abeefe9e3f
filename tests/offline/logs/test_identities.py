"""Identities have one spelling in all files, and an absent identity is not a person."""

import json
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_runner.offline.logs.column_types import ABSENT, typed, with_plain_types
from rl_runner.offline.logs.interactions import read_interactions
from rl_runner.offline.logs.log_conversion import convert_log
from rl_runner.offline.logs.log_files import LogReader, write_log

WHOLE = st.integers(-(2**53) + 1, 2**53 - 1)


def identities(values: pl.Series) -> list[str | None]:
    """Return how the reader spells a column of users."""
    raw = pl.DataFrame([values.alias("user_id")])
    return raw.select(typed(raw, "user_id", None, None)).to_series().to_list()


@settings(max_examples=20)
@given(WHOLE)
def test_a_whole_number_has_one_spelling_however_it_is_stored(number):
    wanted = [str(number)]
    assert identities(pl.Series([number], dtype=pl.Int64)) == wanted
    assert identities(pl.Series([float(number)])) == wanted
    assert identities(pl.Series([f" {number} "])) == wanted
    if abs(number) < 10**15:  # more digits of a float that was written out are not all right
        assert identities(pl.Series([f"{number}.0"])) == wanted


@settings(max_examples=20)
@given(st.floats(min_value=2**53))
def test_a_float_without_all_its_digits_is_no_identity(number):
    assert identities(pl.Series([number])) == [None]


@pytest.mark.parametrize("text", ["1.23457E+12", "1e+16", "-1.5e16", "9007199254740994.0"])
def test_a_rounded_number_is_no_identity(text):
    assert identities(pl.Series([text])) == [None]


@pytest.mark.parametrize("text", ["8e10", "007", "a.0", "5.5", "anna@example.org", "1.0.0", "+49"])
def test_other_texts_stay_as_they_are(text):
    assert identities(pl.Series([text])) == [text]


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
@pytest.mark.parametrize("column", ["event_id", "user_id", "session_id"])
@pytest.mark.parametrize("word", ["NaN", "NULL", r"\N", "None", "<NA>", "undefined", " ", "true"])
def test_the_text_of_an_absent_value_is_refused(frame, read_frame, suffix, column, word):
    row = pl.int_range(pl.len())
    changed = frame.head(5).with_columns(
        pl.when(row == 2).then(pl.lit(word)).otherwise(column).alias(column)
    )
    kept, reader = read_frame(changed, f"log.{suffix}")
    assert len(kept) == 4
    ((_, line, reason),) = reader.refusals.examples
    assert line == 3
    assert reason.startswith(f"{column} is ")


def test_every_word_for_an_absent_value_is_known_in_several_spellings():
    assert {"nan", "NaN", "NULL", "null", "None", r"\N", "NA", "N/A"} <= set(ABSENT)
    assert {"n.a.", "?", "#NULL!", "#NA", "1.#QNAN", "-1.#IND"} <= set(ABSENT)


def test_nan_among_numbers_is_a_missing_user(frame, read_frame):
    changed = frame.head(4).with_columns(user_id=pl.Series([1.0, 2.0, float("nan"), 3.5]))
    kept, reader = read_frame(changed)
    assert len(kept) == 2
    assert [reason for _, _, reason in reader.refusals.examples] == [
        "user_id is missing",
        "user_id is not a text or whole number with all its digits: 3.5",
    ]


@pytest.mark.parametrize("value", [{"a": 1}, [1], True])
@pytest.mark.parametrize("broken", ["", "{cut off\n"])
def test_json_of_another_type_is_not_a_person(frame, tmp_path, value, broken):
    path = tmp_path / "log.jsonl"
    write_log(frame.head(6), path)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[3]["user_id"] = value
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + broken)
    reader = LogReader()
    assert len(read_interactions([path], reader)) == 5
    assert reader.refusals.reasons["user_id is not a name"] == 1


def plain(values: pl.Series, name: str) -> pl.Series:
    """Return a column of an otherwise correct frame in the type that the checks see."""
    from rl_runner.offline.logs.log_schema import COLUMNS

    columns = {other: pl.Series([None], dtype=kind) for other, kind in COLUMNS.items()}
    return with_plain_types(pl.DataFrame({**columns, name: values}))[name]


@pytest.mark.parametrize(
    ("name", "values", "wanted"),
    [
        ("action", pl.Series(["7"], dtype=pl.Categorical), "7"),
        ("action", pl.Series(["7"], dtype=pl.Enum(["3", "7"])), "7"),
        ("mood", pl.Series(["happy"], dtype=pl.Enum(["sad", "happy"])), "happy"),
        ("user_id", pl.Series([b"anna"]), "anna"),
        ("user_id", pl.Series([b"\xff\x00"]), "ff00"),
        ("pscore", pl.Series([Decimal("0.25")], dtype=pl.Decimal(5, 2)), 0.25),
        ("user_id", pl.Series([Decimal("5.00")], dtype=pl.Decimal(5, 2)), "5.00"),
    ],
)
def test_a_value_is_the_same_whatever_type_stores_it(name, values, wanted):
    assert plain(values, name).to_list() == [wanted]


CATEGORIES = ("action", "openness", "pscore", "like", "terminal", "mood", "step", "user_id")


@pytest.mark.parametrize("kind", ["categories", "enumeration", "bytes"])
def test_a_log_of_dictionary_columns_is_the_same_log(frame, read_frame, kind):
    few = frame.head(50)
    changed = few
    for name in (*CATEGORIES, "ts"):
        texts = (
            few["ts"].dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
            if name == "ts"
            else few[name].cast(pl.String)
        )
        types = {
            "categories": pl.Categorical(),
            "enumeration": pl.Enum(texts.unique()),
            "bytes": pl.Binary(),
        }
        changed = changed.with_columns(texts.cast(types[kind]).alias(name))
    again, reader = read_frame(changed)
    assert reader.refusals.n_refused == 0
    assert again.fingerprint() == read_frame(few)[0].fingerprint()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_name_with_brackets_is_that_file(frame, tmp_path, suffix):
    for name, part in (("log1", frame[10:15]), ("log[1]", frame[:10])):
        path = tmp_path / f"{name}.{suffix}"
        texts = part.with_columns(pl.col("ts").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))
        texts.write_csv(path) if suffix == "csv" else part.write_parquet(path)
    (tmp_path / "columns.yaml").write_text("policy_id: {value: p}")
    out = tmp_path / "out.parquet"
    convert_log(tmp_path / f"log[1].{suffix}", out, tmp_path / "columns.yaml")
    assert pl.read_parquet(out)["event_id"].to_list() == frame["event_id"][:10].to_list()
