"""What a service does at each decision takes as long in a large store as in a small one."""

import asyncio
import re

import pytest
from sqlalchemy import event

from rl_runner.offline.domains.recommender import RecommenderContext
from rl_runner.offline.store.tables import decisions, outcomes
from rl_runner.serving.messages import DecisionRequest, OutcomeReports
from rl_runner.serving.store.jobs import DecisionRow, OutcomeRow


def test_no_statement_of_a_decision_reads_a_whole_table(served):
    engine = served.service.store.writing
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by the number of rows, and scans small tables")
    seen = []
    event.listen(engine, "connect", lambda raw, _: raw.set_trace_callback(seen.append))
    engine.dispose()  # the writer's next connection is traced
    for i in range(3):
        served.decide(session_id=f"s{i}", event_id=f"e{i}", deferred=True)
        served.post(f"/v1/decisions/e{i}/outcomes", {"outcomes": [{"kind": "like", "value": True}]})
        served.post(f"/v1/decisions/e{i}/shown")
    texts = {text for text in seen if re.search(r"decisions|outcomes", text)}
    kinds = {text.split()[0] for text in texts}
    assert kinds == {"INSERT", "SELECT", "UPDATE", "WITH"}
    with engine.connect() as connection:
        for text in texts:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}").all()
            steps = [row[3] for row in plan]
            assert not [step for step in steps if re.search(r"SCAN (decisions|outcomes)", step)]


def test_the_statements_insert_all_columns_of_the_tables():
    for table, row in ((decisions, DecisionRow), (outcomes, OutcomeRow)):
        assert row._fields == tuple(column.name for column in table.c if column.name != "id")


@pytest.mark.parametrize("n", [1, 2])
def test_many_requests_at_once_do_not_exceed_what_a_statement_can_hold(served, n):
    """In one turn of the event loop: 2,500 decisions, then a report of each of them."""
    service = served.service
    request = {"user_id": "u", "context": RecommenderContext(**service.example())}
    reports = OutcomeReports.model_validate(
        {"outcomes": [{"kind": kind, "value": True} for kind in ("like", "share")]}
    )

    async def all_at_once():
        ids = [f"e{i}" for i in range(2500)]
        named = [
            DecisionRequest(**request, session_id=f"s{i}", event_id=each)
            for i, each in enumerate(ids)
        ]
        stored = await asyncio.gather(*map(service.decide, named * n))
        return stored, await asyncio.gather(*(service.report(each, reports) for each in ids * n))

    stored, counts = served.http.runner.run(all_at_once())
    assert all(each.step == 0 for each in stored)
    assert counts == [(2, 0)] * 2500 + [(0, 2)] * 2500 * (n - 1)
