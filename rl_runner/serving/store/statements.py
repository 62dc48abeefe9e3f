"""SQL text for what a service does all the time.

SQLAlchemy would compile these statements again and again for every number of rows, and send one row
after the other to SQLite, whose driver gives up Python's lock and takes it again for each of them.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa

from rl_runner.offline.store.tables import decisions
from rl_runner.serving.store.jobs import StoredDecision

COLUMNS = tuple(column.name for column in decisions.c if column.name != "id")
_ANSWER = ", ".join(StoredDecision._fields)


class Statements:
    """The statements of one database's dialect."""

    def __init__(self, dialect: sa.Dialect) -> None:
        self._mark = "?" if dialect.paramstyle == "qmark" else "%s"
        self._insert = cache(self._insert_text)
        self._steps = cache(self._steps_text)
        self._find = cache(self._find_text)

    def insert(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert decisions, in one statement."""
        values = tuple(row[name] for row in rows for name in COLUMNS)
        connection.exec_driver_sql(self._insert(len(rows)), values)

    def next_steps(
        self, connection: sa.Connection, sessions: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], int]:
        """Return the next step of each session that is in the store."""
        values = tuple(part for session in sessions for part in session)
        rows = connection.exec_driver_sql(self._steps(len(sessions)), values)
        return {(user, session): last + 1 for user, session, last in rows if last is not None}

    def find(self, connection: sa.Connection, ids: Sequence[str]) -> dict[str, StoredDecision]:
        """Return the decisions that are stored, by event id."""
        rows = connection.exec_driver_sql(self._find(len(ids)), tuple(ids))
        return {row[0]: StoredDecision(*row) for row in rows}

    # --- the texts: names of columns and marks, never values --------------------------------------

    def _insert_text(self, n: int) -> str:
        row = f"({', '.join([self._mark] * len(COLUMNS))})"
        return f"INSERT INTO decisions ({', '.join(COLUMNS)}) VALUES {', '.join([row] * n)}"  # noqa: S608

    def _steps_text(self, n: int) -> str:
        pairs = ", ".join([f"({self._mark}, {self._mark})"] * n)
        # One search in the index for each session. With `IN`, SQLite would read the whole index.
        last = "SELECT max(step) FROM decisions WHERE user_id = u AND session_id = s"
        return f"WITH wanted(u, s) AS (VALUES {pairs}) SELECT u, s, ({last}) FROM wanted"  # noqa: S608

    def _find_text(self, n: int) -> str:
        marks = ", ".join([self._mark] * n)
        return f"SELECT {_ANSWER} FROM decisions WHERE event_id IN ({marks})"  # noqa: S608
