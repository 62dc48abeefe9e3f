"""What a service does at each decision takes as long in a large store as in a small one."""

import re

import pytest
from sqlalchemy import event


def test_no_statement_of_a_decision_reads_a_whole_table(served):
    engine = served.service.store.writing
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by the number of rows, and scans small tables")
    statements = {}
    event.listen(
        engine,
        "before_cursor_execute",
        lambda _c, _cursor, text, parameters, _x, _many: statements.update({text: parameters}),
    )
    for i in range(3):
        served.decide(session_id=f"s{i}", event_id=f"e{i}")
        served.post(f"/v1/decisions/e{i}/outcomes", {"outcomes": [{"kind": "like", "value": True}]})
        served.post(f"/v1/decisions/e{i}/shown")
    seen = [text for text in statements if re.search(r"decisions|outcomes", text)]
    assert len(seen) >= 5
    with engine.connect() as connection:
        for text in seen:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", statements[text]).all()
            steps = [row[3] for row in plan]
            assert not [step for step in steps if re.search(r"SCAN (decisions|outcomes)", step)]
