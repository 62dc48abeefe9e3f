"""A store that is locked or full, or whose server is away: nothing is lost, and it recovers."""

import sqlite3
import time

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from test_serving_outcomes import report

from rl_runner.offline.store import database
from rl_runner.offline.store.tables import decisions


@pytest.fixture
def path(served, monkeypatch):
    """The file of a SQLite store, which is not waited for when it is locked."""
    found = served.config.store.path
    if found is None:
        pytest.skip("PostgreSQL has no file")
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)
    served.service.store.writing.dispose()  # new connections have the new limit
    return found


def wait_until_ready(served):
    """Do what a server does once a second, until the store works again."""
    until = time.monotonic() + 60
    while served.http.get("/readyz").status_code != 200:
        assert time.monotonic() < until
        served.service.writer.retry()
        time.sleep(0.01)


def test_a_locked_store_is_said_and_nothing_is_stored_twice(served, path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    problem = served.decide(event_id="e1", status=503)
    assert problem["type"].endswith("unavailable")
    assert "database is locked" in served.get("/readyz", 503)["reason"]
    served.service.writer.retry()
    other.execute("ROLLBACK")
    other.close()
    wait_until_ready(served)
    assert served.decide(event_id="e1")["step"] == 0
    assert served.decide(event_id="e1")["step"] == 0


@pytest.mark.usefixtures("path")
def test_a_full_disk_loses_nothing_that_was_acknowledged(served):
    engine, limits = served.service.store.writing, [1]
    event.listen(
        engine, "connect", lambda raw, _: raw.execute(f"PRAGMA max_page_count={limits[0]}")
    )
    engine.dispose()
    stored = []
    for i in range(5000):
        response = served.http.post(
            "/v1/decisions/batch",
            json={
                "decisions": [
                    {"user_id": "u", "session_id": f"s{i}", "context": served.service.example()}
                ]
                * 50
            },
        )
        if response.status_code != 200:
            break
        stored += [each["event_id"] for each in response.json()["decisions"]]
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert "full" in served.get("/readyz", 503)["reason"]
    # There is space again.
    limits[0] = 1_000_000
    wait_until_ready(served)
    served.decide(event_id="later")
    assert report(served, "later", ("like", True))["stored"] == 1
    with engine.connect() as connection:
        found = set(connection.execute(sa.select(decisions.c.event_id)).scalars())
    assert found == {*stored, "later"}


@pytest.fixture
def without_reading(served, monkeypatch):
    """A service that cannot read its store; the writer has a connection of its own."""

    def away(*_, **__):
        raise sa.exc.OperationalError(None, {}, ConnectionRefusedError())

    monkeypatch.setattr(served.service.store.reading, "connect", away)
    monkeypatch.setattr(served.service.summaries, "_compute", away)
    return served


@pytest.mark.parametrize("path", ["/v1/models", "/"])
def test_what_needs_the_store_says_that_it_is_away(without_reading, path):
    assert without_reading.get(path, 503)["type"].endswith("unavailable")
    assert without_reading.decide()["step"] == 0


def test_metrics_are_there_without_the_store(without_reading):
    without_reading.decide()
    text = without_reading.http.get("/metrics").text
    assert 'rl_serve_requests_total{route="/v1/decisions",status="200"} 1.0' in text
    assert "rl_serve_ready 1.0" in text
    assert "rl_serve_rows" not in text
