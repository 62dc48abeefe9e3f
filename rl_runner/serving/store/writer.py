"""The one writer of a store: a thread that commits what waits for it as a group.

A request is answered after its group's commit, so nothing that was acknowledged can be lost. While
one group is being committed, the next one gathers; nobody waits for a group to fill.
"""

import contextlib
import json
import logging
import queue
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from rl_runner.errors import describe_exception
from rl_runner.offline.domains.protocol import Domain, Outcome
from rl_runner.offline.store.tables import decisions, outcomes
from rl_runner.serving.problems import ApiError
from rl_runner.serving.store.jobs import (
    DecisionJob,
    Job,
    OutcomeCounts,
    OutcomeJob,
    ShownJob,
    StoredDecision,
)
from rl_runner.serving.store.statements import Statements

if TYPE_CHECKING:
    import asyncio

MOST_AT_ONCE = 500  # jobs in one commit
MOST_WAITING = 10_000  # jobs; more are refused
MOST_SESSIONS = 100_000  # whose next step is remembered
ATTEMPTS = 3  # if another server has stored the same event meanwhile
CLOCK_TOLERANCE = 300_000_000  # microseconds that a client's clock may be ahead

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
        self.n_commits = 0
        self.tally = Tally()  # since the start; only this thread changes it
        self._uncommitted = Tally()
        self._statements = Statements(engine.dialect)
        self._connection: sa.Connection | None = None  # kept: getting one takes as long as a row

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
        self._disconnect()

    def _connected(self) -> sa.Connection:
        """Return the connection; a new one after an error, which may have been its end."""
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(SQLAlchemyError):
                connection.close()

    def _next_group(self) -> tuple[list[Job], bool]:
        """Wait for a job, and return it with all others that wait; False after the last one."""
        jobs: list[Job] = []
        while len(jobs) < MOST_AT_ONCE:
            try:
                more = self._queue.get(block=not jobs)
            except queue.Empty:
                break
            if more is None:
                return jobs, False
            jobs += more
        return jobs, True

    def _store(self, jobs: Sequence[Job]) -> list[Result]:
        """Store a group in one transaction; return the result or the error of each job."""
        for attempt in range(ATTEMPTS):
            self._uncommitted = Tally()
            try:
                connection = self._connected()
                with connection.begin():
                    results = self._write(connection, jobs)
            except IntegrityError as error:
                # Another server stored one of these events first: look again.
                self._steps.clear()
                if attempt == ATTEMPTS - 1:
                    return self._failed(jobs, error)
            except (SQLAlchemyError, OSError) as error:
                failed = self._failed(jobs, error)
                # The server has closed a connection that was kept: a new one may work at once. If
                # the commit had succeeded all the same, the ids tell.
                if attempt == 0 and getattr(error, "connection_invalidated", False):
                    continue
                return failed
            except Exception as error:
                logger.exception('{"event": "fault", "where": "store"}')
                self._failed(jobs, error)
                return [ApiError("internal", "The decision could not be stored.") for _ in jobs]
            else:
                self.last_error = ""
                self.n_commits += 1
                self.tally.add(self._uncommitted)
                return results
        raise AssertionError

    def _failed(self, jobs: Sequence[Job], error: Exception) -> list[Result]:
        """Note why nothing was stored; what was planned for sessions is forgotten."""
        self._disconnect()
        self._steps.clear()
        self.last_error = describe_exception(getattr(error, "orig", None) or error)
        what = "The store is not available, and nothing was stored. Repeat the request later."
        return [ApiError("unavailable", what, headers=_RETRY) for _ in jobs]

    def _write(self, connection: sa.Connection, jobs: Sequence[Job]) -> list[Result]:
        now = time.time_ns() // 1000
        results: dict[int, Result] = {}
        deciding = [(i, job) for i, job in enumerate(jobs) if isinstance(job, DecisionJob)]
        if deciding:
            stored = self._write_decisions(connection, [job for _, job in deciding], now)
            results |= zip((i for i, _ in deciding), stored, strict=True)
        for i, job in enumerate(jobs):
            if isinstance(job, DecisionJob):
                continue
            try:
                if isinstance(job, OutcomeJob):
                    results[i] = self._write_outcomes(connection, job, now)
                else:
                    results[i] = _write_shown(connection, job, now)
            except ApiError as refused:
                results[i] = refused
        return [results[i] for i in range(len(jobs))]

    # --- decisions --------------------------------------------------------------------------------

    def _write_decisions(
        self, connection: sa.Connection, jobs: Sequence[DecisionJob], now: int
    ) -> list[Result]:
        ids = [job.event_id for job in jobs if job.is_clients_id]
        known = self._statements.find(connection, ids) if ids else {}
        new: dict[str, DecisionJob] = {}
        for job in jobs:
            if job.event_id not in known:
                new.setdefault(job.event_id, job)
        # Steps count up within each session; times never run backwards.
        steps = self._next_steps(connection, new.values())
        rows = []
        for job in new.values():
            self._last_ts = max(now, self._last_ts + 1)
            session = (job.user_id, job.session_id)
            rows.append(job.row(steps[session], self._last_ts))
            known[job.event_id] = job.stored(steps[session])
            steps[session] += 1
        if rows:
            self._statements.insert(connection, rows)
        self._uncommitted.decisions.update((row["arm"], row["model_version"]) for row in rows)
        self._remember(steps)
        return [_answer(job, known[job.event_id]) for job in jobs]

    def _next_steps(
        self, connection: sa.Connection, jobs: Iterable[DecisionJob]
    ) -> dict[tuple[str, str], int]:
        """Return the next step of each session."""
        sessions = {(job.user_id, job.session_id) for job in jobs}
        steps = {key: self._steps[key] for key in sessions if key in self._steps}
        unknown = [key for key in sessions if key not in steps]
        if unknown:
            steps |= dict.fromkeys(unknown, 0)
            steps |= self._statements.next_steps(connection, unknown)
        return steps

    def _remember(self, steps: dict[tuple[str, str], int]) -> None:
        if not self._keeps_steps:
            return
        for session, step in steps.items():
            self._steps[session] = step
            self._steps.move_to_end(session)
        while len(self._steps) > MOST_SESSIONS:
            self._steps.popitem(last=False)

    # --- outcomes ---------------------------------------------------------------------------------

    def _write_outcomes(
        self, connection: sa.Connection, job: OutcomeJob, now: int
    ) -> OutcomeCounts:
        decision = _locked(connection, job.event_id)
        if decision.is_shown is False:
            what = f"{job.event_id} was reported as not shown, so it has no outcomes."
            raise ApiError("conflict", what)
        # Tell new outcomes from repeated and contradictory ones.
        columns = outcomes.c.outcome_id, outcomes.c.kind, outcomes.c.value, outcomes.c.ts
        query = sa.select(*columns).where(outcomes.c.event_id == job.event_id)
        known = {row.outcome_id: row for row in connection.execute(query)}
        rows = []
        for outcome in job.outcomes:
            value = json.dumps(outcome.value)
            ts = now if outcome.ts is None else outcome.ts
            _check_time(ts, decision.ts, now)
            before = known.get(outcome.outcome_id)
            if before is None:
                row = {"event_id": job.event_id, "outcome_id": outcome.outcome_id, "ts": ts}
                rows.append({**row, "kind": outcome.kind, "value": value, "received": now})
            elif (before.kind, json.loads(before.value)) != (outcome.kind, outcome.value):
                what = f"The outcome {outcome.outcome_id} of {job.event_id} was reported before, "
                raise ApiError("conflict", f"{what}as {before.kind} = {before.value}.")
        self._check_together(known.values(), rows)
        # Whoever sees an outcome has seen the decision.
        if rows:
            connection.execute(outcomes.insert(), rows)
        self._uncommitted.outcomes.update(str(row["kind"]) for row in rows)
        if decision.is_shown is None:
            _set_shown(connection, job.event_id, now, is_shown=True)
        return OutcomeCounts(len(rows), len(job.outcomes) - len(rows))

    def _check_together(self, known: Iterable[Any], rows: Sequence[dict[str, Any]]) -> None:
        """Raise ApiError if the outcomes of a decision contradict each other."""
        together = [Outcome(row.kind, json.loads(row.value), row.ts) for row in known]
        together += [Outcome(row["kind"], json.loads(row["value"]), row["ts"]) for row in rows]
        try:
            self._domain.check_outcomes(together)
        except ValueError as error:
            raise ApiError("conflict", f"{error}.") from None

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


def _locked(connection: sa.Connection, event_id: str) -> Any:
    """Return a decision's time and whether it was shown; other servers wait (PostgreSQL)."""
    columns = decisions.c.ts, decisions.c.is_shown, decisions.c.shown_at
    query = sa.select(*columns).where(decisions.c.event_id == event_id)
    row = connection.execute(query.with_for_update()).first()
    if row is None:
        what = f"There is no decision {event_id}."
        raise ApiError("not-found", f"{what} Report the `event_id` of the answer.")
    return row


def _check_time(ts: int, decided: int, now: int) -> None:
    if ts > now + CLOCK_TOLERANCE:
        raise ApiError("invalid-request", f"ts {ts} is in the future; the server has {now}.")
    if ts < decided - CLOCK_TOLERANCE:
        raise ApiError("invalid-request", f"ts {ts} is before the decision, {decided}.")


def _write_shown(connection: sa.Connection, job: ShownJob, now: int) -> bool:
    """Store a first report; a repeated one changes nothing, a contradictory one is refused."""
    decision = _locked(connection, job.event_id)
    is_reported = decision.shown_at is not None or decision.is_shown is False
    if not is_reported and not job.is_shown:
        query = sa.select(outcomes.c.id).where(outcomes.c.event_id == job.event_id)
        if connection.execute(query.limit(1)).first() is not None:
            raise ApiError("conflict", f"{job.event_id} has outcomes, so it was shown.")
    if not is_reported:
        _set_shown(connection, job.event_id, now, is_shown=job.is_shown)
    elif decision.is_shown != job.is_shown:
        known = "shown" if decision.is_shown else "not shown"
        raise ApiError("conflict", f"{job.event_id} was reported as {known} before.")
    return job.is_shown


def _set_shown(connection: sa.Connection, event_id: str, now: int, *, is_shown: bool) -> None:
    row = decisions.update().where(decisions.c.event_id == event_id)
    connection.execute(row.values(is_shown=is_shown, shown_at=now if is_shown else None))
