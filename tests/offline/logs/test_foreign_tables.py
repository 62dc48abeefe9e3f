"""Tables as other tools write them become the same log."""

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from rl_runner.errors import ConfigError, DataError
from rl_runner.offline.logs.interactions import read_interactions
from rl_runner.offline.logs.log_conversion import convert_log
from rl_runner.offline.logs.log_files import LogReader, write_log
from rl_runner.offline.logs.log_schema import TRAITS

FORMAT = "%Y-%m-%dT%H:%M:%S%.6fZ"


@pytest.fixture
def few(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.head(20).with_columns(policy_id=pl.lit("söft"))


def as_csv(frame: pl.DataFrame, separator: str = ",", comma: str = ".") -> str:
    """Return a log as CSV, its numbers with another decimal point."""
    names = [*TRAITS, "pscore", "completion_rate"]
    texts = frame.with_columns(
        pl.col("ts").dt.strftime(FORMAT),
        *(pl.col(name).cast(pl.String).str.replace(".", comma, literal=True) for name in names),
    )
    return texts.write_csv(separator=separator)


def converted(source: Path, **options) -> pl.DataFrame:
    out = source.with_name("converted.parquet")
    _, refusals = convert_log(source, out, **options)
    assert refusals.n_refused == 0
    return pl.read_parquet(out)


CSVS = {
    "commas": ("a.csv", as_csv, {}),
    "upper case": ("a.CSV", as_csv, {}),
    "semicolons": ("a.csv", lambda f: as_csv(f, ";"), {}),
    "decimal commas": ("a.csv", lambda f: as_csv(f, ";", ","), {}),
    "tabs": ("a.tsv", lambda f: as_csv(f, "\t"), {}),
    "bars": ("a.txt", lambda f: as_csv(f, "|"), {}),
    "Excel's first line": ("a.csv", lambda f: "sep=;\n" + as_csv(f, ";"), {}),
    "a mark of UTF-8": ("a.csv", lambda f: "\ufeff" + as_csv(f), {}),
    "line ends of Windows": ("a.csv", lambda f: as_csv(f).replace("\n", "\r\n"), {}),
    "line ends of an old Mac": ("a.csv", lambda f: as_csv(f).replace("\n", "\r"), {}),
    "an empty line after each": ("a.csv", lambda f: as_csv(f).replace("\n", "\r\r\n"), {}),
    "empty lines": ("a.csv", lambda f: as_csv(f).replace("\n", "\n\n"), {}),
    "spaces in the header": ("a.csv", lambda f: as_csv(f).replace("user_id,", "user_id ,", 1), {}),
}


@pytest.mark.parametrize(("name", "write", "options"), CSVS.values(), ids=list(CSVS))
@pytest.mark.parametrize("compressed", [False, True])
def test_csv_as_people_have_it(few, tmp_path, name, write, options, compressed):
    path = tmp_path / (name + ".gz" if compressed else name)
    data = write(few).encode()
    path.write_bytes(gzip.compress(data) if compressed else data)
    assert converted(path, **options).equals(few)


def test_a_whole_identity_is_the_same_with_a_decimal_comma(few, tmp_path):
    written = few.with_columns(user_id=pl.Series(["5,0", "5", "5,5", "a,0"] * 5))
    (tmp_path / "a.csv").write_text(as_csv(written, ";", ","))
    assert converted(tmp_path / "a.csv")["user_id"].to_list() == ["5", "5", "5,5", "a,0"] * 5


def test_a_thousand_with_a_comma_is_not_another_identity(few, tmp_path):
    ids = ["1", "1,000", "2,000", "2,001", "10,000"] * 4
    written = few.with_columns(user_id=pl.Series(ids))
    (tmp_path / "a.csv").write_text(as_csv(written, ";", ","))
    assert converted(tmp_path / "a.csv")["user_id"].to_list() == ids


def test_a_header_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("x" * 200_000 + ",b\n1,2\n")
    with pytest.raises(DataError, match="Columns are missing"):
        converted(tmp_path / "a.csv")


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_another_encoding_is_named(few, tmp_path, encoding):
    path = tmp_path / "a.csv"
    path.write_bytes(as_csv(few).encode(encoding))
    if encoding != "utf-16":  # which begins with a mark
        with pytest.raises(DataError) as caught:
            converted(path)
        (problem,) = caught.value.problems
        assert problem.what == "Line 2 is not UTF-8 (byte 0xf6)."
        assert "--encoding latin-1" in problem.cure
    assert converted(path, encoding=encoding).equals(few)


def test_an_unknown_encoding_is_refused(few, tmp_path):
    (tmp_path / "a.csv").write_text(as_csv(few))
    with pytest.raises(ConfigError, match="not a known encoding"):
        converted(tmp_path / "a.csv", encoding="utf-88")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", b"", "no rows"),
        ("a.csv", b"a,b\n", "no rows"),
        ("a.csv", b"a,b\n1,2,3\n", "more fields than the header"),
        ("a.csv.gz", b"a,b\n1,2\n", "gzip file is incomplete or damaged"),
        (
            "a.csv.gz",
            gzip.compress(b"a,b\n" * 999, mtime=0)[:40],
            "gzip file is incomplete or damaged",
        ),
        ("a.jsonl.zst", b"", "zstd -d"),
        ("a.xlsx", b"", "which format"),
        ("b.csv", None, "there is no such file"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, name, data, message):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError) as caught:
        converted(tmp_path / name)
    assert message in str(caught.value)


@pytest.mark.parametrize("flags", [("0.0", "1.0"), ("0", "1"), ("False", "True")])
def test_flags_as_others_write_them(few, tmp_path, flags):
    no, yes = flags
    texts = few.with_columns(
        like=pl.when("like").then(pl.lit(yes)).otherwise(pl.lit(no)),
        ts=pl.col("ts").dt.strftime(FORMAT),
    )
    texts.write_csv(tmp_path / "a.csv")
    assert converted(tmp_path / "a.csv").equals(few)


def test_words_may_mean_truth_values(few, tmp_path):
    texts = few.with_columns(
        like=pl.when("like").then(pl.lit("thumb")).otherwise(pl.lit("7")),
        ts=pl.col("ts").dt.strftime(FORMAT),
    )
    texts.write_csv(tmp_path / "a.csv")
    columns = tmp_path / "columns.yaml"
    columns.write_text("like: {column: like, words: {thumb: true, 7: false}}")
    assert converted(tmp_path / "a.csv", columns=columns).equals(few)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_since_1970_have_a_unit(few, tmp_path, suffix, unit):
    micro = few["ts"].cast(pl.Int64)
    number = {
        "s": micro / 1e6,
        "ms": micro / 1e3,
        "us": micro,
        "ns": micro * 1000,
    }[unit]
    source = tmp_path / f"a.{suffix}"
    changed = few.with_columns(number.alias("when")).drop("ts")
    getattr(changed, {"csv": "write_csv", "jsonl": "write_ndjson"}.get(suffix, "write_parquet"))(
        source
    )
    columns = tmp_path / "columns.yaml"
    columns.write_text(f"ts: {{column: when, unit: {unit}}}")
    assert converted(source, columns=columns).equals(few)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ("ts: {column: ts, unit: h}", "unit"),
        ("step: {column: step, unit: ms}", "Only `ts`"),
        ("ts: {value: 1750038669, unit: s}", "needs a `column`"),
    ],
)
def test_a_unit_that_makes_no_sense_is_refused(few, tmp_path, mapping, message):
    write_log(few, tmp_path / "a.parquet")
    columns = tmp_path / "columns.yaml"
    columns.write_text(mapping)
    with pytest.raises(ConfigError, match=message):
        converted(tmp_path / "a.parquet", columns=columns)


@pytest.mark.parametrize(
    ("text", "unit", "cure"),
    [("1750038669604", None, "unit: ms"), ("1750038669", "ms", "unit: ms")],
)
def test_a_time_without_its_unit_is_refused_with_the_cure(few, tmp_path, text, unit, cure):
    changed = few.with_columns(ts=pl.lit(text))
    changed.write_csv(tmp_path / "a.csv")
    columns = tmp_path / "columns.yaml"
    columns.write_text("{}" if unit is None else f"ts: {{column: ts, unit: {unit}}}")
    with pytest.raises(DataError) as caught:
        converted(tmp_path / "a.csv", columns=columns)
    assert cure in caught.value.problems[0].cure


@pytest.mark.parametrize("text", ["1.75004E+12", "1.750042e+12", "2E12"])
def test_a_time_since_1970_that_lost_digits_is_refused(few, tmp_path, text):
    few.with_columns(ts=pl.lit(text)).write_csv(tmp_path / "a.csv")
    (tmp_path / "columns.yaml").write_text("ts: {column: ts, unit: ms}")
    with pytest.raises(DataError, match="ts is not a time"):
        converted(tmp_path / "a.csv", columns=tmp_path / "columns.yaml")


@pytest.mark.parametrize("name", ["a.jsonl", "a.dsjson", "a.json", "a.jsonl.gz"])
def test_nested_json_is_named_with_dots(few, tmp_path, name):
    write_log(few, tmp_path / "plain.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "plain.jsonl").read_text().splitlines()]
    for row in rows:
        row["c"] = {"User": {"id": row.pop("user_id")}, "p": [0, row.pop("pscore")]}
    text = json.dumps(rows) if name == "a.json" else "\n".join(map(json.dumps, rows))
    data = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    columns = tmp_path / "columns.yaml"
    columns.write_text("user_id: c.User.id\npscore: c.p.1")
    assert converted(tmp_path / name, columns=columns).equals(few)


def test_lines_of_another_tool_that_are_no_json_are_refused_by_line(few, tmp_path):
    write_log(few, tmp_path / "a.jsonl")
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    (tmp_path / "a.jsonl").write_text("\n".join([lines[0], "{cut", *lines[1:]]))
    (tmp_path / "columns.yaml").write_text("policy_id: {value: x}")
    _, refusals = convert_log(
        tmp_path / "a.jsonl", tmp_path / "out.parquet", tmp_path / "columns.yaml"
    )
    assert [(line, why) for _, line, why in refusals.examples] == [(2, "not a JSON object")]
    assert refusals.n_rows == 21


def test_a_compressed_log_is_a_log(few, tmp_path):
    write_log(few, tmp_path / "a.jsonl")
    data = gzip.compress((tmp_path / "a.jsonl").read_bytes())
    (tmp_path / "b.jsonl.gz").write_bytes(data)
    assert len(read_interactions([tmp_path / "b.jsonl.gz"], LogReader())) == 20


def test_empty_parts_of_a_log_are_no_fault(few, tmp_path):
    """Spark writes a file for each partition, also for those without rows."""
    write_log(few, tmp_path / "a.parquet")
    write_log(few.head(0), tmp_path / "b.parquet")
    (tmp_path / "c.jsonl").touch()
    (tmp_path / "d.jsonl").write_text("\n\n")
    files = [tmp_path / name for name in ("a.parquet", "b.parquet", "c.jsonl", "d.jsonl")]
    assert len(read_interactions(files, LogReader())) == 20
    with pytest.raises(DataError, match="no rows"):
        read_interactions(files[1:], LogReader())


CASES = Path(__file__).parents[2] / "cases"


@pytest.mark.parametrize("name", ["pandas_offset", "etc_localtime"])
def test_parquet_with_a_zone_that_polars_does_not_know(name, tmp_path, monkeypatch):
    monkeypatch.delenv("POLARS_IGNORE_TIMEZONE_PARSE_ERROR", raising=False)
    file = CASES / "logs-21-parquet-with-an-offset" / f"{name}.parquet"
    first = {"pandas_offset": "20:21:09", "etc_localtime": "01:51:09"}[name]
    read = pl.DataFrame(converted_copy(file, tmp_path))
    assert str(read["ts"][0].time()).startswith(first)


def converted_copy(file: Path, folder: Path) -> pl.DataFrame:
    (folder / file.name).write_bytes(file.read_bytes())
    return converted(folder / file.name)
