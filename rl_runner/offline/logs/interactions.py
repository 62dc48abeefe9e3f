"""A log as arrays in the order of time, and the checks that need all rows at once."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Self

import numpy as np
import polars as pl

from rl_runner.offline.logs.compiled_sessions import number_keys, predecessors, runs_backwards
from rl_runner.offline.logs.encoding import DEFAULT_WEIGHTS, EncodedBatch, RewardWeights, encode
from rl_runner.offline.logs.log_files import LogReader
from rl_runner.offline.logs.log_schema import ACTIONS, OUTCOMES
from rl_runner.offline.logs.refusals import Refusals
from rl_runner.offline.logs.sources import LogSource

DUPLICATE = "event_id occurred before"
FEW_WRONG_TIMES = 0.01  # with a larger share, the log is in another order than that of time
OUT_OF_ORDER = "time or step runs backwards within the session"


@dataclass(frozen=True)
class Interactions:
    """n interactions in the order of time."""

    event: np.ndarray  # (n,) uint64 hash of the event's id
    ts: np.ndarray  # (n,) int64 microseconds since 1970, UTC
    user: np.ndarray  # (n,) int32 number of the user
    session: np.ndarray  # (n,) int32 number of the session
    step: np.ndarray  # (n,) int32
    state: np.ndarray  # (n,) int32 number of the state
    action: np.ndarray  # (n,) int16
    pscore: np.ndarray  # (n,) float64
    reward: np.ndarray  # (n,) float64
    terminal: np.ndarray  # (n,) bool
    outcomes: np.ndarray  # (n, n_outcomes) bool, in the order of the schema
    completion_rate: np.ndarray  # (n,) float32
    session_key: pl.Series  # (n_sessions,) user and session in one text, by number

    def __len__(self) -> int:
        return len(self.ts)

    def take(self, rows: np.ndarray) -> Self:
        """Return some of the rows, by a mask or by index; users and sessions keep their numbers."""
        chosen = {
            field.name: getattr(self, field.name)[rows]
            for field in fields(self)
            if field.name != "session_key"
        }
        return replace(self, **chosen)

    @property
    def n_users(self) -> int:
        """The number of different users."""
        return len(np.unique(self.user))

    @property
    def first_time(self) -> datetime:
        """The time of the first interaction."""
        return moment(int(self.ts[0]))

    @property
    def last_time(self) -> datetime:
        """The time of the last interaction."""
        return moment(int(self.ts[-1]))

    def predecessors(self) -> np.ndarray:
        """Return (n,) the row of the previous step in the same session, −1 if there is none."""
        n_sessions = int(self.session.max(initial=-1)) + 1
        return predecessors(self.session, self.step, self.terminal, n_sessions)

    def fingerprint(self) -> str:
        """Return a hash, eight hex digits, of everything that can be learned from these rows.

        It depends neither on the order of the files nor on the names of users, sessions and events:
        a user is represented by the time of the first interaction and the number of interactions, a
        session by which interaction preceded which.
        """
        # One integer column per property, none of which depends on names or order.
        first = np.full(int(self.user.max(initial=-1)) + 1, np.iinfo(np.int64).max)
        np.minimum.at(first, self.user, self.ts)
        before = self.predecessors()
        flags = self.outcomes @ (1 << np.arange(len(OUTCOMES))) * 2 + self.terminal
        columns = (
            self.ts,
            self.state * ACTIONS + self.action,
            self.step * (2 << len(OUTCOMES)) + flags,
            self.pscore.view(np.int64),
            self.reward.view(np.int64),
            self.completion_rate.view(np.int32),
            np.where(before >= 0, self.ts[before], -1),
            first[self.user],
            np.bincount(self.user)[self.user],
        )
        # Mix each row's columns into one hash; the sum over rows does not depend on their order.
        mixed = np.zeros(len(self), dtype=np.uint64)
        for column in columns:
            mixed = (mixed ^ column.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
        return f"{int(np.add.reduce(mixed, dtype=np.uint64)) >> 32:08x}"


def moment(microseconds: int) -> datetime:
    """Return microseconds since 1970 as a time in UTC."""
    return datetime.fromtimestamp(microseconds / 1e6, UTC)


def read_interactions(
    files: Iterable[LogSource], reader: LogReader, weights: RewardWeights = DEFAULT_WEIGHTS
) -> Interactions:
    """Read, check and encode logs; refused rows are counted in ``reader.refusals``.

    :param weights: what the outcomes are worth
    :raises DataError: if a file is missing, damaged, lacks a column or is mostly bad
    """
    by_file: dict[LogSource, list[EncodedBatch]] = {}
    for batch in reader.batches(files):
        by_file.setdefault(batch.file, []).append(encode(batch.rows, weights))
    # A session may continue in the next file: order the files by their first times.
    order = sorted(by_file, key=lambda file: min(part.first_time for part in by_file[file]))
    parts = [part for file in order for part in by_file[file]]
    file_of = np.repeat(
        np.arange(len(order)), [sum(len(part.line) for part in by_file[file]) for file in order]
    )
    # Refuse the rows that contradict others, and sort the rest by time.
    log, line = _joined(parts)
    if (better := _order_of_time(log)) is not None:
        log, line, file_of = log.take(better), line[better], file_of[better]
    keep = _keep(log, line, order, file_of, reader.refusals)
    if not keep.all():
        reader.refusals.refuse_mostly_bad_files()
        log = log.take(keep)
    if (np.diff(log.ts) < 0).any():
        log = log.take(np.argsort(log.ts, kind="stable"))
    return log


def _joined(parts: list[EncodedBatch]) -> tuple[Interactions, np.ndarray]:
    """Concatenate batches, number users and sessions, and return the log and (n,) its lines."""
    user, _ = number_keys(np.concatenate([part.user_key for part in parts]))
    session, n_sessions = number_keys(np.concatenate([part.session_key for part in parts]))
    first = np.zeros(n_sessions, dtype=np.int64)
    first[session[::-1]] = np.arange(len(session))[::-1]
    names = pl.concat([part.names for part in parts]).gather(first)
    columns = {
        name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns
    }
    log = Interactions(user=user, session=session, session_key=names, **columns)
    return log, np.concatenate([part.line for part in parts])


def _order_of_time(log: Interactions) -> np.ndarray | None:
    """Return (n,) the rows by time and step, if the order of the file contradicts many of them.

    A log may be stored newest first, or shuffled. Where nearly all rows are in the order of time,
    one that is not has a wrong time, and the order of the file tells which one.
    """
    n_sessions = int(log.session.max(initial=-1)) + 1
    in_file = int(runs_backwards(log.session, log.ts, log.step, n_sessions).sum())
    if in_file <= max(1, FEW_WRONG_TIMES * len(log)):
        return None
    order = np.lexsort((log.step, log.ts))
    by_time = runs_backwards(log.session[order], log.ts[order], log.step[order], n_sessions)
    return order if int(by_time.sum()) < in_file else None


def _keep(
    log: Interactions,
    line: np.ndarray,
    files: list[LogSource],
    file_of: np.ndarray,
    refusals: Refusals,
) -> np.ndarray:
    """Return (n,) which rows to keep; count duplicate and out-of-order ones as refusals."""
    duplicate = _is_duplicate(log.event)
    n_sessions = int(log.session.max(initial=-1)) + 1
    out_of_order = np.zeros(len(log), dtype=bool)
    out_of_order[~duplicate] = runs_backwards(
        log.session[~duplicate], log.ts[~duplicate], log.step[~duplicate], n_sessions
    )
    for marked, reason in ((duplicate, DUPLICATE), (out_of_order, OUT_OF_ORDER)):
        rows = np.flatnonzero(marked)
        for number in np.unique(file_of[rows]):
            lines = line[rows[file_of[rows] == number]].tolist()
            refusals.add(files[number], lines, [reason] * len(lines))
    return ~(duplicate | out_of_order)


def _is_duplicate(events: np.ndarray) -> np.ndarray:
    """Return (n,) whether an event occurred before."""
    ordered = np.sort(events)
    if not (ordered[1:] == ordered[:-1]).any():
        return np.zeros(len(events), dtype=bool)
    duplicate = np.ones(len(events), dtype=bool)
    duplicate[np.unique(events, return_index=True)[1]] = False
    return duplicate
