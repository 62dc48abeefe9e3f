"""Logs as people have them: each case once went wrong, and now does what its user expects."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

HERE = Path(__file__).parent
SIMULATED = HERE.parents[1] / "configs" / "recommender" / "q_learning.yaml"


@pytest.fixture
def case(tmp_path: Path) -> Iterator:
    """Copy the files of a case into the folder in which `rl` runs."""

    def copy(name: str) -> None:
        shutil.copytree(HERE / name, tmp_path, dirs_exist_ok=True)

    return copy


def written(path: str = "out.parquet") -> pl.DataFrame:
    return pl.read_parquet(path)


def test_logs_04_brackets_in_name(rl, case):
    case("logs-04-brackets-in-name")
    assert rl("convert", "log[1].csv", "--out", "out.parquet").exit_code == 0
    assert written()["event_id"][0] == pl.read_csv("log[1].csv", glob=False)["event_id"][0]
    assert (
        rl("convert", "p[1].parquet", "--columns", "c.yaml", "--out", "o2.parquet").exit_code == 0
    )
    own = pl.read_parquet("p[1].parquet", glob=False)
    assert written("o2.parquet")["event_id"].to_list() == own["event_id"].to_list()
    assert rl("convert", "only[1].csv", "--out", "o3.parquet").exit_code == 0


def test_logs_05_ids_as_floats(rl, case):
    case("logs-05-ids-as-floats")
    users = {}
    for second in ("day2i", "day2f"):
        Path("c.yaml").write_text(
            f"name: {second}\nenv: {{id: Recommender-v0}}\nalgo: {{name: q_learning, gamma: 0.0}}\n"
            f"data: {{path: [day1.parquet, {second}.parquet], window: 20d, holdout: null, "
            "min_interactions_per_user: 1}\n"
        )
        (run,) = rl("train", "c.yaml", "--json").document["runs"]
        users[second] = run["log"]["users"]
    assert users["day2f"] == users["day2i"]


@pytest.mark.parametrize("name", ["nan.parquet", "nan.jsonl", "null.csv", "n.csv", "true.jsonl"])
def test_logs_06_no_id_becomes_a_person(rl, case, name):
    case("logs-06-no-id-becomes-a-person")
    outcome = rl("convert", name, "--out", "out.parquet")
    if name == "true.jsonl":  # in all rows
        assert outcome.exit_code == 2
        assert "user_id is not a name: true" in outcome.message
        assert not Path("out.parquet").exists()
    else:
        assert outcome.exit_code == 0
        assert "user_id is missing" in outcome.message
        users = {user.lower() for user in written()["user_id"]}
        assert not users & {"nan", "null", r"\n"}


@pytest.mark.slow
def test_logs_07_sessions_that_never_end(rl):
    Path("c.yaml").write_text(
        "name: ope\nenv: {id: Recommender-v0}\nalgo: {name: q_learning, gamma: 0}\n"
        "data: {path: rand.parquet, window: 9d, holdout: 5d, min_interactions_per_user: 1}\n"
    )
    for name, policy in (("rand", "random"), ("ends", "myopic")):
        options = ["--interactions", 40_000, "--policy", policy, "--epsilon", 0.5]
        rl("simulate", SIMULATED, *options, "--out", f"{name}.parquet", "--seed", 3)
    written("ends.parquet").with_columns(terminal=pl.lit(value=False)).write_parquet(
        "endless.parquet"
    )
    rl("train", "c.yaml")
    (run,) = Path("runs").glob("ope-*")
    ends, endless = (
        rl("eval", run, "--data", f"{name}.parquet", "--window", "4d", "--json").document
        for name in ("ends", "endless")
    )
    assert 0 < ends["sessions"]["value"] < 30
    assert endless["sessions"] is None
    assert "sessions end in the log" in endless["no_sessions"]


@pytest.mark.parametrize("column", ["action", "openness", "pscore", "like", "ts"])
def test_logs_08_categorical_columns(rl, case, column):
    case("logs-08-categorical-columns")
    assert rl("convert", f"{column}.parquet", "--out", "out.parquet").exit_code == 0
    texts = pl.read_parquet(f"{column}.parquet")[column].cast(pl.String)
    if column == "action":
        assert written()["action"].cast(pl.String).to_list() == texts.to_list()
    assert len(written()) == len(texts)


@pytest.mark.parametrize("name", ["ms.csv", "s.csv", "ms.jsonl", "ms.parquet"])
def test_logs_15_epoch_times(rl, case, name):
    case("logs-15-epoch-times")
    outcome = rl("convert", name, "--out", "out.parquet")
    assert outcome.exit_code == 2
    assert "ts: {column: ts, unit: ms}" in outcome.message
    unit = name.partition(".")[0]
    Path("c.yaml").write_text(f"ts: {{column: ts, unit: {unit}}}")
    assert rl("convert", name, "--columns", "c.yaml", "--out", "out.parquet").exit_code == 0
    assert str(written()["ts"][0]).startswith("2025-06-16 01:51:09")


def test_logs_16_json_lines_of_others(rl, case):
    case("logs-16-json-lines-of-others")
    shutil.copy("log.jsonl", "log.dsjson")
    for name in ("log.jsonl", "log.dsjson"):
        outcome = rl("convert", name, "--columns", "c.yaml", "--out", "out.parquet")
        assert outcome.exit_code == 2
        # The two that are mapped, one of them nested, are found.
        assert "Columns are missing: `event_id`, `ts`, `session_id`" in outcome.message
        assert "`pscore`" not in outcome.message


@pytest.mark.parametrize(
    "name",
    ["semi.csv", "semi_decimalcomma.csv", "tab.csv", "tab.tsv", "plain.csv.gz", "floatbool.csv"],
)
def test_logs_17_csv_as_people_have_it(rl, case, name):
    case("logs-17-csv-as-people-have-it")
    assert rl("convert", "plain.csv", "--out", "plain.parquet").exit_code == 0
    assert rl("convert", name, "--out", "out.parquet").exit_code == 0
    assert written()["like"].to_list() == written("plain.parquet")["like"].to_list()
    assert written()["openness"].to_list() == written("plain.parquet")["openness"].to_list()


def test_logs_17_encodings_words_and_files_that_do_not_exist(rl, case):
    case("logs-17-csv-as-people-have-it")
    outcome = rl("convert", "latin1.csv", "--out", "out.parquet")
    assert outcome.exit_code == 2
    assert "--encoding latin-1" in outcome.message
    options = ["--encoding", "latin-1", "--out", "out.parquet"]
    assert rl("convert", "latin1.csv", *options).exit_code == 0
    assert rl("convert", "plain.csv", "--columns", "w.yaml", "--out", "w.parquet").exit_code == 0
    outcome = rl("convert", "nosuch.parquet", "--out", "out.parquet")
    assert outcome.exit_code == 2
    assert "there is no such file" in outcome.message


@pytest.mark.parametrize("name", ["pandas_offset", "etc_localtime"])
def test_logs_21_parquet_with_an_offset(rl, case, name):
    case("logs-21-parquet-with-an-offset")
    assert rl("convert", f"{name}.parquet", "--out", "out.parquet").exit_code == 0


@pytest.mark.parametrize("zone", ["localtime", "Factory", "posix/Europe/Berlin"])
def test_logs_21_a_zone_that_is_a_file_of_this_machine(rl, case, zone):
    case("logs-21-parquet-with-an-offset")
    outcome = rl("convert", "pandas_offset.parquet", "--timezone", zone, "--out", "out.parquet")
    assert outcome.exit_code == 2
    assert f"`{zone}` is not a time zone" in outcome.message


def test_attack_21_log_run_without_table(rl):
    rl("simulate", SIMULATED, "--interactions", 1500, "--policy", "random", "--out", "log.parquet")
    Path("c.yaml").write_text(
        "name: table\nenv: {id: Recommender-v0}\nalgo: {name: q_learning}\n"
        "data: {path: log.parquet, window: 30d, holdout: null}\n"
    )
    assert rl("train", "c.yaml").exit_code == 0
    (table,) = Path("runs").glob("table-*/seed-0/log_table.npz")
    before = table.read_bytes()
    table.unlink()
    assert rl("train", "c.yaml").exit_code == 0
    assert table.read_bytes() == before
