"""The exporter: decisions that were shown, joined with their outcomes, as rows of a log.

A decision is exported once its *wait time* has passed. What has no outcome by then gets the
domain's default outcome and is counted; outcomes that came later stay in the store and are not
learned from. The same decisions therefore give the same rows whenever they are exported.
"""

import json
import time
from collections import defaultdict
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl
import sqlalchemy as sa

from rl_runner.errors import DataError, Problem, count
from rl_runner.offline.domains.protocol import Decided, Domain, Outcome
from rl_runner.offline.store.database import StoreUrl, explained, open_for_reading, read_settings
from rl_runner.offline.store.tables import decisions, outcomes

ROWS_AT_ONCE = 20_000


@dataclass
class ExportCounts:
    """What an export found."""

    exported: int = 0
    without_outcome: int = 0  # got the domain's default outcome
    late_outcomes: int = 0  # came after the wait time and are left out
    not_shown: int = 0
    waiting: int = 0  # too young: outcomes may still come

    def sentence(self) -> str:
        """Say on one line what was left out, and why."""
        return (
            f"{self.without_outcome:,} without any outcome, {self.not_shown:,} not shown, "
            f"{self.waiting:,} younger than the wait time; "
            f"{count(self.late_outcomes, 'late outcome')}"
        )


@dataclass
class Export:
    """The export of one store.

    :param window: only decisions of the last so much time; None means all
    :param now: microseconds since 1970; default: the clock
    """

    url: StoreUrl
    window: timedelta | None = None
    now: int = field(default_factory=lambda: time.time_ns() // 1000)
    counts: ExportCounts = field(default_factory=ExportCounts)

    def domain_name(self) -> str:
        """Return what the store says its decisions are about.

        :raises DataError: if the store is missing, unreachable or of a newer version
        """
        engine = open_for_reading(self.url)
        try:
            with explained(self.url), engine.connect() as connection:
                return read_settings(connection).get("domain", "")
        finally:
            engine.dispose()

    def frames(self, domain: Domain) -> Iterator[pl.DataFrame]:
        """Yield the rows in batches of bounded size, in the order of the decisions.

        :raises DataError: if the store is missing, unreachable, or of another domain
        """
        with closing(self.batches(domain)) as batches:
            yield from (domain.rows(batch) for batch in batches)

    def batches(self, domain: Domain) -> Generator[list[tuple[Decided, list[Outcome]]]]:
        """Yield decisions with the outcomes that came in time, batch by batch.

        :raises DataError: if the store is missing, unreachable, or of another domain
        """
        engine = open_for_reading(self.url)
        try:
            with explained(self.url), engine.connect() as connection:
                settings = read_settings(connection)
                if settings.get("domain") != domain.name:
                    what = f"The store's domain is {settings.get('domain')}, not {domain.name}."
                    raise DataError(Problem(what, str(self.url)))
                wait = int(float(settings["wait_seconds"]) * 1e6)
                yield from self._batches(connection, wait)
        finally:
            engine.dispose()

    def _batches(
        self, connection: sa.Connection, wait: int
    ) -> Iterator[list[tuple[Decided, list[Outcome]]]]:
        ripe = self.now - wait  # decisions until then have waited long enough
        since = self.now - int(self.window.total_seconds() * 1e6) if self.window else 0
        in_window = decisions.c.ts > since, decisions.c.mode == "live"
        self._count_others(connection, ripe, in_window)
        # Pages by the primary key: each reads only its own rows.
        wanted = _query(wait).where(*in_window, decisions.c.ts <= ripe, decisions.c.is_shown)
        last = 0
        while page := connection.execute(
            wanted.where(decisions.c.id > last).order_by(decisions.c.id).limit(ROWS_AT_ONCE)
        ).all():
            first, last = page[0].id, page[-1].id
            reported = self._outcomes(connection, first, last, wait)
            batch = []
            for row in page:
                context, action = json.loads(row.context), json.loads(row.action)
                decided = Decided(
                    row.event_id,
                    row.ts,
                    row.user_id,
                    row.session_id,
                    row.step,
                    context,
                    action,
                    row.pscore,
                    row.policy_id,
                    row.model_version,
                    is_last=not row.has_later,
                )
                batch.append((decided, reported.get(row.event_id, [])))
            self.counts.exported += len(batch)
            self.counts.without_outcome += sum(not found for _, found in batch)
            yield batch

    def _count_others(
        self, connection: sa.Connection, ripe: int, in_window: tuple[sa.ColumnElement[bool], ...]
    ) -> None:
        """Count the decisions that are left out."""
        count = sa.select(sa.func.count()).select_from(decisions).where(*in_window)
        is_ripe = decisions.c.ts <= ripe
        is_shown = decisions.c.is_shown.is_(True)
        self.counts.waiting = connection.execute(count.where(~is_ripe)).scalar_one()
        not_shown = count.where(is_ripe, sa.or_(decisions.c.is_shown.is_(None), ~is_shown))
        self.counts.not_shown = connection.execute(not_shown).scalar_one()

    def _outcomes(
        self, connection: sa.Connection, first: int, last: int, wait: int
    ) -> dict[str, list[Outcome]]:
        """Return what was reported in time of the decisions from ``first`` to ``last``."""
        joined = outcomes.join(decisions, outcomes.c.event_id == decisions.c.event_id)
        in_time = outcomes.c.received <= decisions.c.ts + wait
        columns = outcomes.c.event_id, outcomes.c.kind, outcomes.c.value, outcomes.c.ts
        query = (
            sa.select(*columns, in_time.label("in_time"))
            .select_from(joined)
            .where(decisions.c.id.between(first, last), decisions.c.is_shown)
            .order_by(outcomes.c.id)
        )
        found: dict[str, list[Outcome]] = defaultdict(list)
        for row in connection.execute(query):
            if row.in_time:
                found[row.event_id].append(Outcome(row.kind, json.loads(row.value), row.ts))
            else:
                self.counts.late_outcomes += 1
        return found


def _query(wait: int) -> sa.Select[tuple[object, ...]]:
    """Return the columns of :class:`Decided`, and whether its session continued in time."""
    later = sa.alias(decisions, "later")
    has_later = sa.exists().where(
        later.c.user_id == decisions.c.user_id,
        later.c.session_id == decisions.c.session_id,
        later.c.step > decisions.c.step,
        later.c.is_shown,
        later.c.ts <= decisions.c.ts + wait,
    )
    not_needed = {"arm", "arm_share", "rollout_id", "mode", "request", "is_shown", "shown_at"}
    columns = [column for column in decisions.c if column.name not in not_needed]
    return sa.select(*columns, has_later.label("has_later"))
