"""The one writer of a store: a thread that commits what waits for it as a group.

A request is answered after its group's commit, so nothing that was acknowledged can be lost. While
one group is being committed, the next one gathers; nobody waits for a group to fill.
"""

import contextlib
import logging
import queue
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from rl_runner.errors import describe_exception
from rl_runner.offline.domains.protocol import Domain
from rl_runner.offline.store.tables import decisions
from rl_runner.serving.problems import ApiError
from rl_runner.serving.store.jobs import (
    DecisionJob,
    Job,
    OutcomeCounts,
    OutcomeJob,
    OutcomeRow,
    Report,
    StoredDecision,
    no_decision,
)
from rl_runner.serving.store.reports import ReportedDecision
from rl_runner.serving.store.statements import Statements

if TYPE_CHECKING:
    import asyncio

    from sqlalchemy.engine.interfaces import DBAPICursor

MOST_AT_ONCE = 500  # jobs in one commit
MOST_WAITING = 10_000  # jobs; more are refused
MOST_SESSIONS = 100_000  # whose next step is remembered
ATTEMPTS = 3  # if another server has stored the same event meanwhile

logger = logging.getLogger("rl_runner.serving")
Result = Any  # StoredDecision, OutcomeCounts or bool, as the job's future says


@dataclass
class Tally:
    """What was stored for the first time; a repeated request does not count again."""

    decisions: Counter[tuple[str, str]] = field(default_factory=Counter)  # by arm and version
    outcomes: Counter[str] = field(default_factory=Counter)  # by kind

    def add(self, other: "Tally") -> None:
        """Add what another transaction stored."""
        self.decisions.update(other.decisions)
        self.outcomes.update(other.outcomes)


class Writer:
    """Stores jobs in groups.

    :param engine: of the store, for writing
    :param keeps_steps: whether no other process adds decisions, so that steps can be remembered
    """

    def __init__(self, engine: sa.Engine, domain: Domain, *, keeps_steps: bool) -> None:
        self._engine = engine
        self._domain = domain
        self._keeps_steps = keeps_steps
        self._queue: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self._gathered: list[Job] = []  # since the event loop's last turn
        self.n_waiting = 0  # jobs without a result
        self._steps: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._last_ts = 0
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self.last_error = ""  # why the last group could not be stored; empty if it was
        self.tally = Tally()  # since the start; only this thread changes it
        self._uncommitted = Tally()
        self._statements = Statements(engine.dialect)
        self._driver = engine.dialect.loaded_dbapi
        # Kept, since getting one takes as long as a row.
        self._connection: sa.PoolProxiedConnection | None = None

    def start(self) -> None:
        """Read where the clock stands in the store, and begin to write."""
        with self._engine.connect() as connection:
            self._last_ts = connection.execute(sa.select(sa.func.max(decisions.c.ts))).scalar() or 0
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread is running."""
        return self._thread.is_alive()

    def submit(self, job: Job) -> None:
        """Hand over a job; its future gets the result, or an :class:`ApiError`.

        :raises ApiError: if too many jobs wait
        """
        if self.n_waiting >= MOST_WAITING:
            raise ApiError("unavailable", "Too many requests are waiting.", headers=_RETRY)
        self.n_waiting += 1
        # Waking the thread costs more than anything else here: once for all jobs of a turn.
        self._gathered.append(job)
        if len(self._gathered) == 1:
            job.future.get_loop().call_soon(self._hand_over)

    def _hand_over(self) -> None:
        jobs, self._gathered = self._gathered, []
        self._queue.put(jobs)

    def retry(self) -> None:
        """Try a store that failed again, in the background.

        Requests do not: where a server is not ready, none are sent to it.
        """
        if self.last_error and not self.n_waiting:
            self._queue.put([])

    def close(self) -> None:
        """Store what waits, and stop."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    # --- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        is_open = True
        while is_open:
            jobs, is_open = self._next_group()
            if jobs:
                self._resolve(jobs, self._store(jobs))
            elif self.last_error:
                self._store(())  # to find out whether the store works again
        self._disconnect()

    def _connected(self) -> sa.PoolProxiedConnection:
        """Return the connection; a new one after an error, which may have been its end."""
        if self._connection is None:
            self._connection = self._engine.raw_connection()
        return self._connection

    def _disconnect(self) -> None:
        """Close the connection; what it has not committed is rolled back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(SQLAlchemyError, self._driver.Error):
                connection.invalidate()

    def _next_group(self) -> tuple[list[Job], bool]:
        """Wait for jobs, and return them with all others that wait; False after the last ones."""
        jobs: list[Job] = []
        more = self._queue.get()
        while more is not None:
            jobs += more
            if len(jobs) >= MOST_AT_ONCE or self._queue.empty():
                return jobs, True
            more = self._queue.get()
        return jobs, False

    def _store(self, jobs: Sequence[Job]) -> list[Result]:
        """Store a group in one transaction; return the result or the error of each job."""
        for attempt in range(ATTEMPTS):
            self._uncommitted = Tally()
            try:
                connection = self._connected()
                cursor = connection.cursor()
                self._statements.begin(cursor)
                results = self._write(cursor, jobs)
                connection.commit()
            except self._driver.IntegrityError as error:
                # Another server stored one of these events first: look again.
                failed = self._failed(jobs, error)
                if attempt == ATTEMPTS - 1:
                    return failed
            except (SQLAlchemyError, self._driver.Error, OSError) as error:
                # The server has closed a connection that was kept: a new one may work at once. If
                # the commit had succeeded all the same, the ids tell.
                may_repeat = attempt == 0 and self._is_disconnected(error)
                failed = self._failed(jobs, error)
                if not may_repeat:
                    return failed
            except Exception as error:
                logger.exception('{"event": "fault", "where": "store"}')
                self._failed(jobs, error)
                return [ApiError("internal", "The decision could not be stored.") for _ in jobs]
            else:
                self.last_error = ""
                self.tally.add(self._uncommitted)
                return results
        raise AssertionError

    def _is_disconnected(self, error: Exception) -> bool:
        """Return whether an error means that the connection has ended."""
        if self._connection is None or not isinstance(error, self._driver.Error):
            return False
        lost = self._connection.dbapi_connection
        return self._engine.dialect.is_disconnect(error, lost, None)

    def _failed(self, jobs: Sequence[Job], error: Exception) -> list[Result]:
        """Note why nothing was stored; what was planned for sessions is forgotten."""
        self._disconnect()
        self._steps.clear()
        self.last_error = describe_exception(getattr(error, "orig", None) or error)
        what = "The store is not available, and nothing was stored. Repeat the request later."
        return [ApiError("unavailable", what, headers=_RETRY) for _ in jobs]

    def _write(self, cursor: "DBAPICursor", jobs: Sequence[Job]) -> list[Result]:
        """Write decisions first, so that reports of them can be in the same group."""
        if not jobs:
            self._statements.change_nothing(cursor)
            return []
        now = time.time_ns() // 1000
        deciding = [job for job in jobs if isinstance(job, DecisionJob)]
        decided = self._write_decisions(cursor, deciding, now)
        if len(deciding) == len(jobs):
            return decided
        reports = [job for job in jobs if not isinstance(job, DecisionJob)]
        # The results in the order of the jobs.
        of_decisions, of_reports = iter(decided), iter(self._write_reports(cursor, reports, now))
        return [next(of_decisions if isinstance(j, DecisionJob) else of_reports) for j in jobs]

    # --- decisions --------------------------------------------------------------------------------

    def _write_decisions(
        self, cursor: "DBAPICursor", jobs: Sequence[DecisionJob], now: int
    ) -> list[Result]:
        ids = [job.event_id for job in jobs if job.is_clients_id]
        known = self._statements.find(cursor, ids) if ids else {}
        new: dict[str, DecisionJob] = {}
        for job in jobs:
            if job.event_id not in known:
                new.setdefault(job.event_id, job)
        # Steps count up within each session; times never run backwards.
        steps = self._next_steps(cursor, new.values())
        rows = []
        for job in new.values():
            self._last_ts = max(now, self._last_ts + 1)
            session = (job.user_id, job.session_id)
            rows.append(job.row(steps[session], self._last_ts))
            known[job.event_id] = job.stored(steps[session])
            steps[session] += 1
        self._statements.insert_decisions(cursor, rows)
        self._uncommitted.decisions.update((row.arm, row.model_version) for row in rows)
        self._remember(steps)
        return [_answer(job, known[job.event_id]) for job in jobs]

    def _next_steps(
        self, cursor: "DBAPICursor", jobs: Iterable[DecisionJob]
    ) -> dict[tuple[str, str], int]:
        """Return the next step of each session."""
        sessions = {(job.user_id, job.session_id) for job in jobs}
        steps = {key: self._steps[key] for key in sessions if key in self._steps}
        unknown = [key for key in sessions if key not in steps]
        if unknown:
            steps |= dict.fromkeys(unknown, 0)
            steps |= self._statements.next_steps(cursor, unknown)
        return steps

    def _remember(self, steps: dict[tuple[str, str], int]) -> None:
        if not self._keeps_steps:
            return
        for session, step in steps.items():
            self._steps[session] = step
            self._steps.move_to_end(session)
        while len(self._steps) > MOST_SESSIONS:
            self._steps.popitem(last=False)

    # --- reports ----------------------------------------------------------------------------------

    def _write_reports(
        self, cursor: "DBAPICursor", jobs: Sequence[Report], now: int
    ) -> list[Result]:
        """Apply reports in their order; one that is refused changes nothing."""
        known = self._statements.find_reported(cursor, list({job.event_id: None for job in jobs}))
        rows: list[OutcomeRow] = []
        results: list[Result] = []
        for job in jobs:
            decision = known.get(job.event_id)
            try:
                results.append(self._apply(job, decision, rows, now))
            except ApiError as refused:
                results.append(refused)
        self._statements.insert_outcomes(cursor, rows)
        self._uncommitted.outcomes.update(row.kind for row in rows)
        # Most decisions were stored as shown already.
        changed = [(name, each.is_shown) for name, each in known.items() if each.is_changed]
        for is_shown in (True, False):
            ids = [name for name, value in changed if value is is_shown]
            at = now if is_shown else None
            self._statements.set_shown(cursor, ids, at, is_shown=is_shown)
        return results

    def _apply(
        self, job: Report, decision: ReportedDecision | None, rows: list[OutcomeRow], now: int
    ) -> Result:
        """Apply one report, and add its new outcomes to ``rows``."""
        if decision is None:
            raise no_decision(job.event_id)
        if not isinstance(job, OutcomeJob):
            return decision.note_shown(job, now)
        new = decision.add_outcomes(job, self._domain, now)
        rows += new
        return OutcomeCounts(len(new), len(job.outcomes) - len(new))

    # --- results ----------------------------------------------------------------------------------

    def _resolve(self, jobs: Sequence[Job], results: Sequence[Result]) -> None:
        """Hand the results to the event loop that waits for them, in one call."""
        loop = jobs[0].future.get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._set_results, jobs, results)

    def _set_results(self, jobs: Sequence[Job], results: Sequence[Result]) -> None:
        self.n_waiting -= len(jobs)
        for job, result in zip(jobs, results, strict=True):
            future: asyncio.Future[Any] = job.future
            if future.done():  # the client has gone
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)


_RETRY = {"Retry-After": "1"}


def _answer(job: DecisionJob, stored: StoredDecision) -> Result:
    """Return what is stored; an error if it answers another request."""
    try:
        return stored.answer_to(job.request)
    except ApiError as refused:
        return refused
