import json
import time
from datetime import timedelta

import polars as pl
import pytest

from rl_runner.errors import DataError
from rl_runner.offline.domains.recommender import RecommenderDomain
from rl_runner.offline.logs.interactions import moment, read_interactions
from rl_runner.offline.logs.log_files import LogReader
from rl_runner.offline.logs.log_schema import COLUMNS
from rl_runner.offline.logs.sources import find_files
from rl_runner.offline.store.export import Export
from rl_runner.offline.store.tables import decisions, outcomes

HOUR = 3_600_000_000
LATER = time.time_ns() // 1000 + 2 * HOUR  # after the default wait time of an hour


def exported(served, **options):
    export = Export(served.config.store, **{"now": LATER, **options})
    return pl.concat(export.frames(RecommenderDomain())), export.counts


def report(served, event_id, **outcomes):
    listed = [{"kind": kind, "value": value} for kind, value in outcomes.items()]
    served.post(f"/v1/decisions/{event_id}/outcomes", {"outcomes": listed})


def test_the_log_has_what_was_decided_and_reported(served):
    answer = served.decide(event_id="e1")
    report(served, "e1", like=True, completion_rate=0.75, mood_after="happy", terminal=True)
    frame, counts = exported(served)
    assert frame.schema == pl.Schema(COLUMNS)
    row = frame.row(0, named=True)
    same = ("event_id", "action", "policy_id", "model_version", "step")
    assert [row[name] for name in same] == [answer[name] for name in same]
    assert row["pscore"] == answer["probability"]
    assert (row["like"], row["dislike"], row["completion_rate"]) == (True, False, 0.75)
    assert (row["mood_before"], row["mood_after"], row["terminal"]) == ("calm", "happy", True)
    assert (counts.exported, counts.without_outcome) == (1, 0)


def test_the_last_decision_of_a_session_is_terminal_unless_somebody_knows_better(served):
    for event_id in ("e0", "e1", "e2"):
        served.decide(event_id=event_id)
    served.decide(event_id="f0", session_id="other")
    report(served, "f0", terminal=False)
    frame, counts = exported(served)
    assert frame["terminal"].to_list() == [False, False, True, False]
    assert counts.without_outcome == 3


def test_only_what_was_shown_and_is_old_enough_is_exported(served):
    served.decide(event_id="e0", deferred=True)
    served.decide(event_id="e1")
    served.post("/v1/decisions/e1/not-shown")
    served.decide(event_id="e2")
    frame, counts = exported(served)
    assert frame["event_id"].to_list() == ["e2"]
    assert counts.not_shown == 2
    young = Export(served.config.store)
    assert list(young.frames(RecommenderDomain())) == []
    assert young.counts.waiting == 3


def test_late_outcomes_are_kept_and_not_learned(serve, log_runs):
    served = serve(log_runs[0], wait="1s")
    served.decide(event_id="e1")
    time.sleep(1.1)
    report(served, "e1", like=True)
    frame, counts = exported(served)
    assert not frame["like"].any()
    assert (counts.late_outcomes, counts.without_outcome) == (1, 1)


def test_a_window_leaves_out_older_decisions(served):
    served.decide()
    assert len(exported(served, window=timedelta(hours=3))[0]) == 1
    export = Export(served.config.store, window=timedelta(hours=1), now=LATER)
    assert list(export.frames(RecommenderDomain())) == []


def test_a_log_is_read_from_the_store_as_from_a_file(served, tmp_path, rl, monkeypatch):
    for i in range(20):
        served.decide(event_id=f"e{i}", user_id=f"u{i % 3}")
        report(served, f"e{i}", skip=i % 2 == 0, completion_rate=i / 20)
    monkeypatch.setattr("rl_runner.offline.store.export.time.time_ns", lambda: LATER * 1000)
    done = rl("export", served.config.store.url, "--out", "log.parquet", "--window", "7d", "--json")
    assert done.document["exported"] == 20
    logs = []
    for path in (served.config.store.url, "log.parquet"):
        reader = LogReader(now=moment(LATER))
        logs.append(read_interactions(find_files([path]), reader))
        assert reader.refusals.n_refused == 0
    assert logs[0].fingerprint() == logs[1].fingerprint()
    done = rl("export", served.config.store.url, "--out", "log.jsonl")
    lines = (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["event_id"] for line in lines] == [f"e{i}" for i in range(20)]


def test_a_policy_is_trained_from_the_store_and_promoted(served, rl, tmp_path):
    for i in range(60):
        served.decide(event_id=f"e{i}", session_id=f"s{i % 10}")
        report(served, f"e{i}", like=i % 2 == 0)
    with served.service.store.writing.begin() as connection:
        connection.execute(decisions.update().values(ts=decisions.c.ts - 2 * HOUR))
        connection.execute(outcomes.update().values(received=outcomes.c.received - 2 * HOUR))
    config = tmp_path / "again.yaml"
    text = f"{{path: '{served.config.store.url}', holdout: null, min_interactions_per_user: 1}}"
    config.write_text(
        f"name: again\nenv: {{id: Recommender-v0}}\nalgo: {{name: q_learning}}\ndata: {text}\n",
        encoding="utf-8",
    )
    done = rl("train", config, "-q")
    assert done.exit_code == 0, done.stderr
    (run,) = (tmp_path / "runs").glob("*/seed-0")
    assert json.loads((run / "run.json").read_text())["results"]["log"]["interactions"] == 60
    version = served.post("/v1/models", {"run": str(run)}, 201)["version"]
    served.post(f"/v1/models/{version}/promote")
    assert served.decide()["model_version"] == version


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:///nowhere.db", "There is no such store"),
        ("sqlite:///here.txt", "not available"),
        ("sqlite://", "not the URL"),
        ("postgresql+psycopg://nobody:secret@127.0.0.1:1/x", "not available"),
    ],
)
def test_stores_that_are_not_there_are_named(tmp_path, monkeypatch, url, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.txt").write_text("no database, only a text that is long enough" * 100)
    with pytest.raises(DataError) as refused:
        list(LogReader().batches(find_files([url])))
    assert words in str(refused.value)
    assert "secret" not in str(refused.value)
    assert not (tmp_path / "nowhere.db").exists()


def test_a_store_whose_decisions_are_all_young_says_so(served):
    served.decide()
    with pytest.raises(DataError, match="no decision that can be learned from yet"):
        list(LogReader().batches(find_files([served.config.store.url])))
