"""SQL text for what a service does all the time, on a cursor of the database's driver.

SQLAlchemy would compile these statements again for every number of rows, and takes longer around
each of them than SQLite takes for a row.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from rl_runner.serving.store.jobs import DecisionRow, OutcomeRow, StoredDecision
from rl_runner.serving.store.reports import ReportedDecision

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPICursor

T = TypeVar("T")

AT_ONCE = 500  # rows or keys in one statement: databases limit the number of its values

_ANSWER = ", ".join(StoredDecision._fields)
_OUTCOME = ", ".join(OutcomeRow._fields)


class Statements:
    """The statements of one database's dialect."""

    def __init__(self, dialect: sa.Dialect) -> None:
        self._mark = "?" if dialect.paramstyle == "qmark" else "%s"
        is_sqlite = dialect.name == "sqlite"
        # With a deferred transaction SQLite answers "database is locked" without waiting.
        self._begin = "BEGIN IMMEDIATE" if is_sqlite else None
        # On a database server others wait for a decision's row, all in the same order.
        self._locking = "" if is_sqlite else " ORDER BY event_id FOR UPDATE"
        self._insert_text = cache(self._compose_insert)
        self._steps_text = cache(self._compose_steps)

    def begin(self, cursor: "DBAPICursor") -> None:
        """Begin a transaction that writes, where the driver does not do it by itself."""
        if self._begin is not None:
            cursor.execute(self._begin)

    def change_nothing(self, cursor: "DBAPICursor") -> None:
        """Write a row as it is, which fails where others would."""
        cursor.execute("UPDATE service SET value = value")

    def insert_decisions(self, cursor: "DBAPICursor", rows: Sequence[DecisionRow]) -> None:
        """Insert decisions, many in a statement."""
        self._insert(cursor, "decisions", DecisionRow._fields, rows)

    def insert_outcomes(self, cursor: "DBAPICursor", rows: Sequence[OutcomeRow]) -> None:
        """Insert outcomes, many in a statement."""
        self._insert(cursor, "outcomes", OutcomeRow._fields, rows)

    def next_steps(
        self, cursor: "DBAPICursor", sessions: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], int]:
        """Return the next step of each session that is in the store."""
        found = {}
        for part in _parts(sessions):
            cursor.execute(self._steps_text(len(part)), tuple(chain.from_iterable(part)))
            for user, session, last in cursor.fetchall():
                if last is not None:
                    found[user, session] = last + 1
        return found

    def find(self, cursor: "DBAPICursor", ids: Sequence[str]) -> dict[str, StoredDecision]:
        """Return the decisions that are stored, by event id."""
        rows = self._select(cursor, f"SELECT {_ANSWER} FROM decisions", ids)  # noqa: S608 - no values
        return {row[0]: StoredDecision(*row) for row in rows}

    def find_reported(
        self, cursor: "DBAPICursor", ids: Sequence[str]
    ) -> dict[str, ReportedDecision]:
        """Return what was reported of decisions, by event id; until the commit only we change it.

        :param ids: without duplicates
        """
        first = "SELECT event_id, ts, is_shown, shown_at FROM decisions"
        found = {
            event_id: ReportedDecision(ts, None if shown is None else bool(shown), shown_at)
            for event_id, ts, shown, shown_at in self._select(cursor, first, ids, self._locking)
        }
        second = f"SELECT {_OUTCOME} FROM outcomes"  # noqa: S608 - no values
        for row in self._select(cursor, second, tuple(found)):
            outcome = OutcomeRow(*row)
            found[outcome.event_id].outcomes[outcome.outcome_id] = outcome
        return found

    def set_shown(
        self, cursor: "DBAPICursor", ids: Sequence[str], shown_at: int | None, *, is_shown: bool
    ) -> None:
        """Store whether decisions were shown."""
        change = f"UPDATE decisions SET is_shown = {self._mark}, shown_at = {self._mark}"  # noqa: S608 - no values
        for part in _parts(ids):
            cursor.execute(f"{change} WHERE {self._is_one_of(part)}", (is_shown, shown_at, *part))

    # --- the texts: names of columns and marks, never values --------------------------------------

    def _insert(
        self, cursor: "DBAPICursor", table: str, columns: tuple[str, ...], rows: Sequence[Any]
    ) -> None:
        for part in _parts(rows):
            text = self._insert_text(table, columns, len(part))
            cursor.execute(text, tuple(chain.from_iterable(part)))

    def _compose_insert(self, table: str, columns: tuple[str, ...], n: int) -> str:
        row = f"({', '.join([self._mark] * len(columns))})"
        return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * n)}"  # noqa: S608 - no values

    def _compose_steps(self, n: int) -> str:
        pairs = ", ".join([f"({self._mark}, {self._mark})"] * n)
        # One search in the index for each session. With `IN`, SQLite would read the whole index.
        last = "SELECT max(step) FROM decisions WHERE user_id = u AND session_id = s"
        return f"WITH wanted(u, s) AS (VALUES {pairs}) SELECT u, s, ({last}) FROM wanted"  # noqa: S608 - no values

    def _select(
        self, cursor: "DBAPICursor", text: str, ids: Sequence[str], end: str = ""
    ) -> Iterator[Any]:
        for part in _parts(ids):
            cursor.execute(f"{text} WHERE {self._is_one_of(part)}{end}", tuple(part))
            yield from cursor.fetchall()

    def _is_one_of(self, ids: Sequence[str]) -> str:
        return f"event_id IN ({', '.join([self._mark] * len(ids))})"


def _parts(rows: Sequence[T]) -> Iterable[Sequence[T]]:
    """Return rows in parts of at most :data:`AT_ONCE`."""
    if len(rows) <= AT_ONCE:
        return (rows,) if rows else ()
    return [rows[first : first + AT_ONCE] for first in range(0, len(rows), AT_ONCE)]
