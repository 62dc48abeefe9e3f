import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from offline_worlds import same

from rl_runner.envs.recommender.domain import TRAITS, state_parts
from rl_runner.errors import ConfigError, DataError
from rl_runner.offline.logs.encoding import DEFAULT_WEIGHTS, encode
from rl_runner.offline.logs.interactions import read_interactions
from rl_runner.offline.logs.log_files import LogReader, write_log
from rl_runner.offline.logs.log_schema import COLUMNS
from rl_runner.offline.logs.row_checks import split_good_and_bad
from rl_runner.offline.logs.sources import find_files

BAD_ROWS = {
    "a trait that is NaN": ("openness", float("nan"), "openness NaN is not 0 … 100"),
    "a trait above its range": ("neuroticism", 100.5, "neuroticism 100.5 is not 0 … 100"),
    "a trait below its range": ("agreeableness", -1.0, "agreeableness -1.0 is not 0 … 100"),
    "no trait": ("extraversion", None, "extraversion is missing"),
    "an unknown mood": ("mood", "hungry", "unknown mood hungry"),
    "an unknown mood afterwards": ("mood_after", "blue", "unknown mood_after blue"),
    "an unknown content type": ("content_type", "book", "unknown content_type book"),
    "an unknown time of day": ("time_of_day", "noon", "unknown time_of_day noon"),
    "an unknown action": ("action", 27, "action 27 is not 0 … 26"),
    "a negative action": ("action", -1, "action -1 is not 0 … 26"),
    "no propensity": ("pscore", None, "pscore is missing"),
    "a propensity of 0": ("pscore", 0.0, "pscore 0.0 is not in (0, 1]"),
    "a propensity above 1": ("pscore", 1.5, "pscore 1.5 is not in (0, 1]"),
    "a propensity that is NaN": ("pscore", float("nan"), "pscore NaN is not in (0, 1]"),
    "a completion rate above 1": ("completion_rate", 1.5, "completion_rate 1.5 is not 0 … 1"),
    "a negative step": ("step", -3, "step -3 is below 0"),
    "another schema": ("schema_version", 2, "schema version 2; this reader knows 1"),
    "no user": ("user_id", None, "user_id is missing"),
    "no event id": ("event_id", None, "event_id is missing"),
    "no time": ("ts", None, "ts is missing"),
    "no terminal": ("terminal", None, "terminal is missing"),
    "a user without a name": ("user_id", "", "user_id is empty"),
    "an event without a name": ("event_id", "", "event_id is empty"),
}


def with_cell(frame: pl.DataFrame, row: int, column: str, value: object) -> pl.DataFrame:
    """Put a value into one cell; words become text, so that unknown ones can be written."""
    kind = frame.schema[column]
    values = frame[column].cast(pl.String) if isinstance(kind, pl.Enum) else frame[column]
    listed = values.to_list()
    listed[row] = value
    kind = pl.String if isinstance(kind, pl.Enum) else kind
    return frame.with_columns(pl.Series(column, listed, kind))


def refused(reader: LogReader) -> list[tuple[int, str]]:
    return [(line, reason) for _, line, reason in reader.refusals.examples]


@pytest.mark.parametrize("name", ["log.parquet", "log.jsonl"])
def test_what_is_written_is_read_back(frame, log, read_frame, name):
    again, reader = read_frame(frame, name)
    assert reader.refusals.n_rows == len(frame) == 4000
    assert reader.refusals.n_refused == 0
    assert same(again, log)
    assert again.fingerprint() == log.fingerprint()


def test_rows_become_states_and_rewards(frame, log):
    row = frame.row(17, named=True)
    state = state_parts(log.state[17])
    assert state[:5].tolist() == [int(row[name] // 20) for name in TRAITS]
    assert log.action[17] == row["action"]
    valence = dict(
        zip(
            ("neutral", "happy", "sad", "anxious", "calm", "relaxed", "energetic"),
            (0.0, 1.0, -1.0, -0.8, 0.5, 0.6, 0.7),
            strict=True,
        )
    )
    reward = (
        row["like"]
        - row["dislike"]
        + 0.5 * row["complete"]
        - 0.3 * row["skip"]
        + 0.8 * row["share"]
        + 0.5 * row["completion_rate"]
        + 0.25 * (valence[row["mood_after"]] - valence[row["mood_before"]])
    )
    assert log.reward[17] == pytest.approx(reward, abs=1e-6)


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
@pytest.mark.parametrize(("column", "value", "reason"), BAD_ROWS.values(), ids=list(BAD_ROWS))
def test_a_bad_row_is_refused_with_line_and_reason_and_the_rest_kept(
    frame, read_frame, suffix, column, value, reason
):
    if suffix == "jsonl" and isinstance(value, float) and np.isnan(value):
        pytest.skip("JSON has no NaN: see the test of lines that are no JSON")
    changed = with_cell(frame.head(40), 11, column, value)
    kept, reader = read_frame(changed, f"bad.{suffix}")
    assert refused(reader) == [(12, reason)]
    assert reader.refusals.report().refused == 1
    assert len(kept) == 39


def test_a_row_that_contradicts_itself_is_refused(frame, read_frame):
    changed = with_cell(with_cell(frame.head(20), 3, "like", value=True), 3, "dislike", value=True)
    changed = with_cell(with_cell(changed, 5, "complete", value=True), 5, "skip", value=True)
    _, reader = read_frame(changed)
    assert refused(reader) == [
        (4, "liked and disliked at once"),
        (6, "completed and skipped at once"),
    ]


def test_a_doubled_event_counts_once(frame, log, read_frame):
    changed = pl.concat([frame.head(30), frame[7:9]])
    kept, reader = read_frame(changed)
    assert refused(reader) == [
        (31, "event_id occurred before"),
        (32, "event_id occurred before"),
    ]
    assert same(kept, log.take(np.arange(30)))


def test_an_event_doubled_in_another_file_counts_once(frame, tmp_path):
    write_log(frame.head(50), tmp_path / "a.parquet")
    write_log(frame[40:100], tmp_path / "b.jsonl")
    reader = LogReader()
    log = read_interactions(find_files([str(tmp_path / "*")]), reader)
    assert len(log) == 100
    assert reader.refusals.report().reasons == {"event_id occurred before": 10}


def test_files_are_put_in_the_order_of_time_whatever_they_are_called(frame, log, tmp_path):
    write_log(frame[2000:], tmp_path / "a.parquet")
    write_log(frame[:2000], tmp_path / "b.parquet")
    reader = LogReader()
    again = read_interactions(find_files([str(tmp_path / "*.parquet")]), reader)
    assert reader.refusals.n_refused == 0
    assert same(again, log)
    assert again.fingerprint() == log.fingerprint()


def test_a_session_that_runs_backwards_is_refused_where_it_does(frame, read_frame):
    session = frame.filter(pl.len().over("user_id", "session_id") >= 4)
    session = session.filter(pl.col("session_id") == session["session_id"][0]).sort("step")
    others = frame.filter(pl.col("session_id") != session["session_id"][0]).head(20)
    swapped = pl.concat([session[0:1], session[2:3], session[1:2], session[3:], others])
    kept, reader = read_frame(swapped)
    assert refused(reader) == [(3, "time or step runs backwards within the session")]
    assert len(kept) == len(swapped) - 1


def test_rows_of_other_sessions_may_come_late(frame, log, read_frame):
    """Files are often sorted by user: that is no fault, and changes nothing."""
    by_user = frame.sort("user_id", "session_id", "step")
    again, reader = read_frame(by_user)
    assert reader.refusals.n_refused == 0
    assert (np.diff(again.ts) >= 0).all()
    assert again.fingerprint() == log.fingerprint()


def test_the_future_is_refused(frame, read_frame):
    now = frame["ts"][25]
    kept, reader = read_frame(frame.head(40), now=now)
    assert len(kept) == 26
    assert reader.refusals.report().reasons == {"timestamp is in the future": 14}


def test_a_mostly_bad_file_is_refused_whole(frame, read_frame):
    changed = frame.head(30).with_columns(
        pl.when(pl.int_range(pl.len()) < 16).then(2.0).otherwise(pl.col("pscore")).alias("pscore")
    )
    with pytest.raises(DataError) as caught:
        read_frame(changed)
    (problem,) = caught.value.problems
    assert problem.what.startswith("16 of 30 rows are bad. 16 × pscore is not in (0, 1]")
    assert "changed.parquet:1: pscore 2.0" in problem.what
    assert problem.where.endswith("changed.parquet")


def test_a_file_of_mostly_doubled_events_is_refused_whole(frame, read_frame):
    with pytest.raises(DataError, match="20 of 30 rows are bad"):
        read_frame(pl.concat([frame.head(10)] * 3))


def test_some_rows_of_another_version_are_refused_and_many_refuse_the_file(frame, read_frame):
    few, many = (
        frame.head(20).with_columns(
            pl.when(pl.int_range(pl.len()) < n).then(7).otherwise(1).alias("schema_version")
        )
        for n in (5, 15)
    )
    kept, reader = read_frame(few)
    assert len(kept) == 15
    assert reader.refusals.report().reasons == {"schema version 7; this reader knows 1": 5}
    with pytest.raises(DataError, match="schema version 7; this reader knows 1"):
        read_frame(many)


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_a_renamed_column_is_missed_and_guessed(frame, tmp_path, suffix):
    path = tmp_path / f"log.{suffix}"
    write_log(frame.head(5), path)
    if suffix == "parquet":
        pl.read_parquet(path).rename({"pscore": "p_score"}).write_parquet(path)
    else:
        path.write_text(path.read_text().replace('"pscore"', '"p_score"'))
    with pytest.raises(DataError) as caught:
        read_interactions([path], LogReader())
    (problem,) = caught.value.problems
    assert problem.what == "Columns are missing: `pscore`."
    assert "For `pscore`: Did you mean `p_score`?" in problem.cure


def test_a_truncated_parquet_is_refused(log_file, tmp_path):
    whole = log_file.read_bytes()
    for n_bytes in (len(whole) // 2, len(whole) - 10, 3, 0):
        path = tmp_path / "cut.parquet"
        path.write_bytes(whole[:n_bytes])
        with pytest.raises(DataError, match="Parquet file is incomplete or damaged"):
            read_interactions([path], LogReader())


def test_a_parquet_damaged_in_the_middle_is_refused(log_file, tmp_path):
    damaged = bytearray(log_file.read_bytes())
    for at in range(200, 4000):
        damaged[at] ^= 0xFF
    path = tmp_path / "damaged.parquet"
    path.write_bytes(bytes(damaged))
    with pytest.raises(DataError):
        read_interactions([path], LogReader())


def test_lines_that_are_no_json_are_refused_by_line(frame, tmp_path):
    path = tmp_path / "log.jsonl"
    write_log(frame.head(12), path)
    lines = path.read_text().splitlines()
    lines[2] = lines[2][:50]  # cut off
    lines[4] = "[1, 2]"
    lines[6] = ""
    lines[7] = lines[7].replace(
        f'"openness":{frame["openness"][7]:.2f}'.rstrip("0"), '"openness":"high"'
    )
    lines[8] = json.dumps({**json.loads(lines[8]), "like": 3})
    lines[9] = json.dumps({**json.loads(lines[9]), "neuroticism": float("nan")})
    path.write_text("\n".join(lines))
    reader = LogReader()
    kept = read_interactions([path], reader)
    reasons = dict(refused(reader))
    assert reasons[3] == reasons[5] == "not a JSON object"
    assert reasons[9] == "like is not true or false: 3"
    assert reasons[10] == "neuroticism NaN is not 0 … 100"
    assert len(kept) == 12 - 1 - len(reasons)


def test_a_key_that_the_first_line_lacks_is_missing_in_that_row_only(frame, tmp_path):
    path = tmp_path / "log.jsonl"
    write_log(frame.head(5), path)
    first, *others = path.read_text().splitlines()
    without = {key: value for key, value in json.loads(first).items() if key != "mood"}
    path.write_text("\n".join([json.dumps(without), *others]))
    reader = LogReader()
    assert len(read_interactions([path], reader)) == 4
    assert refused(reader) == [(1, "mood is missing")]


@pytest.mark.parametrize("bad", [range(10, 20), range(10)])
def test_a_table_in_several_pieces_is_checked_like_any_other(frame, bad):
    rows = frame.head(20)
    is_bad = pl.int_range(pl.len()).is_in(list(bad))
    hungry = pl.when(is_bad).then(pl.lit("hungry")).otherwise(pl.col("mood").cast(pl.String))
    rows = rows.with_columns(mood=hungry)
    # As Polars reads a large CSV: the numbers of the lines are in one piece, all others in several.
    pieces = pl.concat([rows.head(10), rows.tail(10)], rechunk=False).with_row_index("line", 1)
    assert pieces["mood"].n_chunks() == 2
    good, refusals = split_good_and_bad(pieces, datetime.now(UTC), None)
    assert refusals.rows() == [(n + 1, "unknown mood hungry") for n in bad]
    assert len(encode(good, DEFAULT_WEIGHTS).line) == 10


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("openness", '"high"', "openness is not a number: 'high'"),
        ("openness", "true", "openness is not a number: True (a boolean)"),
        ("action", "3.5", "action is not a whole number: 3.5"),
        ("like", '"yes"', "like is not true or false: 'yes'"),
        ("mood", "3", "unknown mood 3"),
        ("ts", "1750000000", "ts is not a time with a zone: 1750000000"),
        ("ts", '"yesterday"', "ts is not a time with a zone: yesterday"),
        ("ts", '"2025-06-20T10:00:00"', "timestamp 2025-06-20T10:00:00 has no time zone"),
    ],
)
def test_a_value_of_another_type_is_refused(frame, tmp_path, column, value, reason):
    path = tmp_path / "log.jsonl"
    write_log(frame.head(6), path)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[3][column] = json.loads(value)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    reader = LogReader()
    kept = read_interactions([path], reader)
    assert refused(reader) == [(4, reason)]
    assert len(kept) == 5


@pytest.mark.parametrize("broken", ["", "{cut off\n"])
@pytest.mark.parametrize(
    ("column", "value", "is_good"),
    [("action", 3.0, True), ("like", 1, True), ("user_id", 7, True), ("step", "0", False)],
)
def test_a_line_is_read_the_same_beside_a_broken_one(
    frame, tmp_path, column, value, is_good, broken
):
    path = tmp_path / "log.jsonl"
    write_log(frame.head(6), path)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[3][column] = value
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + broken)
    kept = read_interactions([path], LogReader())
    assert len(kept) == 5 + is_good


@pytest.mark.parametrize(
    ("column", "changed", "message"),
    [
        ("openness", pl.concat_list("openness"), r"`openness` holds List\(Float32\)"),
        ("user_id", pl.struct("user_id", "step"), r"`user_id` holds Struct"),
        ("step", pl.col("ts") - pl.col("ts").min(), r"`step` holds Duration"),
        ("pscore", pl.col("ts").dt.time(), r"`pscore` holds Time"),
        ("action", pl.col("action") > 13, r"`action` holds Boolean"),
    ],
)
def test_a_column_that_cannot_hold_such_values_is_refused(
    frame, read_frame, column, changed, message
):
    with pytest.raises(DataError, match=message):
        read_frame(frame.head(20).with_columns(changed.alias(column)))


@pytest.mark.parametrize(
    ("column", "changed"),
    [
        ("pscore", pl.col("pscore") * 0.5),
        ("terminal", pl.lit(value=False)),
        ("like", pl.lit(value=False)),
        ("completion_rate", pl.col("completion_rate") * 0.5),
        ("step", pl.col("step") + 1),
        ("ts", pl.col("ts") + pl.duration(seconds=1)),
        ("action", 26 - pl.col("action")),
        ("user_id", pl.concat_str("user_id", "session_id")),
        ("session_id", pl.col("event_id")),
    ],
)
def test_whatever_matters_changes_the_fingerprint(frame, log, read_frame, column, changed):
    other, reader = read_frame(frame.with_columns(changed.alias(column)))
    assert reader.refusals.n_refused == 0
    assert other.fingerprint() != log.fingerprint()


def test_names_do_not_change_the_fingerprint(frame, log, read_frame):
    names = ("user_id", "session_id", "event_id")
    renamed = frame.with_columns(pl.format("x{}", name).alias(name) for name in names)
    assert read_frame(renamed)[0].fingerprint() == log.fingerprint()


def test_times_with_zones_are_the_same_moments(frame, log, read_frame):
    berlin = frame.with_columns(pl.col("ts").dt.convert_time_zone("Europe/Berlin"))
    assert np.array_equal(read_frame(berlin)[0].ts, log.ts)
    written = berlin.with_columns(pl.col("ts").dt.strftime("%Y-%m-%dT%H:%M:%S%.6f%:z"))
    assert "+02:00" in written["ts"][0]
    assert np.array_equal(read_frame(written, "zoned.jsonl")[0].ts, log.ts)


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_times_without_zones_are_refused_unless_a_zone_is_named(frame, log, read_frame, suffix):
    naive = frame.with_columns(pl.col("ts").dt.replace_time_zone(None))
    if suffix == "jsonl":
        naive = naive.with_columns(pl.col("ts").dt.strftime("%Y-%m-%d %H:%M:%S%.6f"))
    with pytest.raises(DataError, match="timestamp has no time zone"):
        read_frame(naive, f"naive.{suffix}")
    again, _ = read_frame(naive, f"naive.{suffix}", timezone="UTC")
    assert np.array_equal(again.ts, log.ts)
    earlier, _ = read_frame(naive, f"naive.{suffix}", timezone="Europe/Berlin")
    assert ((log.ts - earlier.ts) == timedelta(hours=2).total_seconds() * 1e6).all()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("log.csv", "a,b\n1,2\n", "file name is not that of a log"),
        ("log.jsonl", "", "no rows"),
        ("log.jsonl", "hello\nworld\n", "No line of the file is a JSON object"),
    ],
)
def test_what_is_no_log_is_refused(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_interactions([path], LogReader())


def test_a_log_without_rows_is_refused(frame, tmp_path):
    path = tmp_path / "empty.parquet"
    write_log(frame.head(0), path)
    with pytest.raises(DataError, match="no rows"):
        read_interactions([path], LogReader())


def test_a_log_that_is_not_there_is_guessed(tmp_path):
    (tmp_path / "events.parquet").touch()
    with pytest.raises(DataError, match=r"Did you mean `events\.parquet`"):
        find_files([str(tmp_path / "event.parquet")])


def test_globs_name_each_file_once(tmp_path):
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).touch()
    pattern = str(tmp_path / "*.jsonl")
    assert [p.name for p in find_files([pattern, str(tmp_path / "b.jsonl")])] == [
        "a.jsonl",
        "b.jsonl",
    ]


def test_the_clock_decides_what_the_future_is():
    assert abs(LogReader().now - datetime.now(UTC)) < timedelta(minutes=1)


def test_every_column_of_the_schema_is_in_its_docstring_and_the_log(frame):
    assert list(frame.schema) == list(COLUMNS)


def test_a_line_nested_too_deep_is_refused_like_any_other(frame, tmp_path):
    path = tmp_path / "log.jsonl"
    write_log(frame.head(6), path)
    path.write_text("[" * 200_000 + "\n" + path.read_text())
    reader = LogReader()
    assert len(read_interactions([path], reader)) == 6
    assert refused(reader) == [(1, "not a JSON object")]


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_a_file_is_found_by_its_own_name_whatever_a_glob_would_make_of_it(frame, tmp_path, suffix):
    path = tmp_path / f"log [1-3].{suffix}"
    write_log(frame.head(30), path)
    write_log(frame.head(50), tmp_path / f"log 2.{suffix}")
    assert find_files([str(path)]) == [path]
    assert len(read_interactions([path], LogReader())) == 30


def test_of_a_folder_its_files_are_asked_for(frame, tmp_path):
    write_log(frame.head(30), tmp_path / "logs" / "a.parquet")
    with pytest.raises(DataError) as caught:
        read_interactions(find_files([str(tmp_path / "logs")]), LogReader())
    assert f"{tmp_path / 'logs'}/*.parquet" in caught.value.problems[0].cure


@pytest.mark.parametrize(
    ("written", "timezone", "read"),
    [
        ("2025-06-20 10:00:00+02", None, "2025-06-20T08:00:00"),  # as PostgreSQL writes it
        ("2025-06-20T10:00:00.25-07", None, "2025-06-20T17:00:00.25"),
        ("2025-06-20 10:00", "Europe/Berlin", "2025-06-20T08:00:00"),
        ("2025-06-20T10:00:00+02:00", "America/Lima", "2025-06-20T08:00:00"),
    ],
)
def test_times_are_read_as_others_write_them(frame, read_frame, written, timezone, read):
    changed = frame.head(1).with_columns(ts=pl.lit(written))
    for name in ("times.jsonl", "times.parquet"):
        log, _ = read_frame(changed, name, timezone=timezone)
        assert log.first_time == datetime.fromisoformat(read).replace(tzinfo=UTC)


@pytest.mark.parametrize("as_text", [True, False])
def test_a_time_that_the_clock_skipped_is_refused_as_such(frame, read_frame, as_text):
    skipped = datetime(2025, 3, 30, 2, 30)  # noqa: DTZ001 - without a zone on purpose
    naive = frame.head(20).with_columns(pl.col("ts").dt.replace_time_zone(None))
    row = pl.int_range(pl.len())
    changed = naive.with_columns(ts=pl.when(row == 7).then(pl.lit(skipped)).otherwise("ts"))
    if as_text:
        changed = changed.with_columns(pl.col("ts").dt.strftime("%Y-%m-%dT%H:%M:%S"))
    _, reader = read_frame(changed, timezone="Europe/Berlin")
    (reason,) = reader.refusals.reasons
    assert reason == "timestamp does not exist in Europe/Berlin"
    assert refused(reader)[0][0] == 8


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
@pytest.mark.parametrize(
    ("which", "read"), [("earliest", "00:30"), ("latest", "01:30"), (None, None)]
)
def test_a_time_that_occurs_twice_is_refused_or_chosen(frame, read_frame, suffix, which, read):
    twice = datetime(2025, 10, 26, 2, 30)  # noqa: DTZ001 - without a zone on purpose
    naive = frame.head(3).with_columns(pl.col("ts").dt.replace_time_zone(None))
    row = pl.int_range(pl.len())
    changed = naive.with_columns(ts=pl.when(row == 2).then(pl.lit(twice)).otherwise("ts"))
    if suffix == "jsonl":
        changed = changed.with_columns(pl.col("ts").dt.strftime("%Y-%m-%d %H:%M:%S%.f"))
    log, reader = read_frame(
        changed, f"x.{suffix}", timezone="Europe/Berlin", ambiguous_times=which
    )
    if which is None:
        (reason,) = reader.refusals.reasons
        assert "timestamp occurs twice in Europe/Berlin" in reason
        assert "`ambiguous_times`" in reason
    else:
        assert reader.refusals.n_refused == 0
        assert log.last_time == datetime.fromisoformat(f"2025-10-26T{read}:00+00:00")


@pytest.mark.parametrize("zone", ["localtime", "posix/Europe/Berlin", "+05:30"])
def test_a_zone_that_only_this_machine_knows_is_refused(zone):
    with pytest.raises(ConfigError, match="IANA"):
        LogReader(zone)


def test_a_folder_name_with_brackets_is_no_pattern(tmp_path):
    for folder in ("logs[1]", "logs1"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.jsonl").touch()
    found = find_files([str(tmp_path / "logs[1]" / "*.jsonl")])
    assert found == [tmp_path / "logs[1]" / "a.jsonl"]


@pytest.mark.parametrize("order", ["newest first", "shuffled"])
def test_rows_in_another_order_than_time_are_the_same_log(frame, log, read_frame, order):
    changed = (
        frame.reverse()
        if order == "newest first"
        else frame.sample(fraction=1.0, seed=1, shuffle=True)
    )
    again, reader = read_frame(changed)
    assert reader.refusals.n_refused == 0
    assert same(again, log)
    assert again.fingerprint() == log.fingerprint()


def test_a_shuffled_log_with_a_doubled_event_and_a_wrong_step_refuses_these(frame, read_frame):
    last = frame.sort("ts").filter(pl.len().over("session_id") >= 3).group_by("session_id").last()
    doubled = pl.concat([frame, frame[5:6]]).with_columns(
        step=pl.when(pl.col("event_id") == last["event_id"][0]).then(0).otherwise("step")
    )
    kept, reader = read_frame(doubled.sample(fraction=1.0, seed=2, shuffle=True))
    assert reader.refusals.report().reasons == {
        "event_id occurred before": 1,
        "time or step runs backwards within the session": 1,
    }
    assert len(kept) == len(frame) - 1
