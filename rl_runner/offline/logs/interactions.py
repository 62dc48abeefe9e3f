"""Checked rows as arrays in the order of time, and the checks that need all of them at once."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl

from rl_runner.envs.recommender.domain import BINS, N_ACTIONS, STATE_STRIDES, TRAITS
from rl_runner.envs.recommender.rewards import (
    DEFAULT_WEIGHTS,
    OUTCOMES,
    RewardWeights,
    rewards,
)
from rl_runner.offline.learning.compiled_q_learning import number_keys, predecessors, runs_backwards
from rl_runner.offline.logs.log_files import LogReader
from rl_runner.offline.logs.refusals import Refusals
from rl_runner.offline.logs.row_checks import LINE

KEY_SEPARATOR = "\x1f"
DOUBLED = "event_id was there before"
BACKWARDS = "time or step runs backwards within the session"


@dataclass(frozen=True)
class Interactions:
    """n interactions in the order of time."""

    event: np.ndarray  # (n,) uint64 hash of the event's id
    ts: np.ndarray  # (n,) int64 microseconds since 1970, UTC
    user: np.ndarray  # (n,) int32 number of the user
    session: np.ndarray  # (n,) int32 number of the session
    step: np.ndarray  # (n,) int32
    state: np.ndarray  # (n,) int32 state number
    action: np.ndarray  # (n,) int16
    pscore: np.ndarray  # (n,) float64
    reward: np.ndarray  # (n,) float64
    terminal: np.ndarray  # (n,) bool
    outcomes: np.ndarray  # (n, 5) bool, like, dislike, complete, skip, share
    completion_rate: np.ndarray  # (n,) float32
    session_key: pl.Series  # (n_sessions,) user and session in one text, by number

    def __len__(self) -> int:
        return len(self.ts)

    def take(self, rows: np.ndarray) -> Self:
        """Return some of the rows, chosen by a mask or by index; numbers keep their meaning."""
        chosen = {
            field.name: getattr(self, field.name)[rows]
            for field in fields(self)
            if field.name != "session_key"
        }
        return replace(self, **chosen)

    @property
    def n_users(self) -> int:
        """How many different users there are."""
        return len(np.unique(self.user))

    @property
    def first_time(self) -> datetime:
        """When the first interaction happened."""
        return moment(int(self.ts[0]))

    @property
    def last_time(self) -> datetime:
        """When the last interaction happened."""
        return moment(int(self.ts[-1]))

    def predecessors(self) -> np.ndarray:
        """Return (n,) the row of the step before in the same session, −1 if there is none."""
        n_sessions = int(self.session.max(initial=-1)) + 1
        return predecessors(self.session, self.step, self.terminal, n_sessions)

    def fingerprint(self) -> str:
        """Return eight hex digits over all that can be learned or judged from these rows.

        The order of the files changes nothing, and neither do the names of users, sessions and
        events: a user counts as who came first at some time and so many times, a session by who
        came before whom.
        """
        first = np.full(int(self.user.max(initial=-1)) + 1, np.iinfo(np.int64).max)
        np.minimum.at(first, self.user, self.ts)
        before = self.predecessors()
        flags = self.outcomes @ (1 << np.arange(len(OUTCOMES))) * 2 + self.terminal
        columns = (
            self.ts,
            self.state * N_ACTIONS + self.action,
            self.step * (2 << len(OUTCOMES)) + flags,
            self.pscore.view(np.int64),
            self.reward.view(np.int64),
            self.completion_rate.view(np.int32),
            np.where(before >= 0, self.ts[before], -1),
            first[self.user],
            np.bincount(self.user)[self.user],
        )
        mixed = np.zeros(len(self), dtype=np.uint64)
        for column in columns:
            mixed = (mixed ^ column.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
        return f"{int(np.add.reduce(mixed, dtype=np.uint64)) >> 32:08x}"


def moment(microseconds: int) -> datetime:
    """Return microseconds since 1970 as a time in UTC."""
    return datetime.fromtimestamp(microseconds / 1e6, UTC)


def read_interactions(
    files: Iterable[Path], reader: LogReader, weights: RewardWeights = DEFAULT_WEIGHTS
) -> Interactions:
    """Read, check and encode logs; what is refused is counted in ``reader.refusals``.

    :param weights: what the outcomes are worth
    :raises DataError: if a file is missing, damaged, lacks a column or is mostly bad
    """
    by_file: dict[Path, list[_Part]] = {}
    for batch in reader.batches(files):
        by_file.setdefault(batch.file, []).append(_encode(batch.rows, weights))
    # A session may go on in the next file: files in the order of their first rows.
    order = sorted(by_file, key=lambda file: min(_first_time(part) for part in by_file[file]))
    parts = [part for file in order for part in by_file[file]]
    file_of = np.repeat(
        np.arange(len(order)), [sum(len(part.line) for part in by_file[file]) for file in order]
    )
    log, line = _joined(parts)
    keep = _keep(log, line, [order[i] for i in range(len(order))], file_of, reader.refusals)
    if not keep.all():
        reader.refusals.refuse_mostly_bad_files()
        log = log.take(keep)
    if (np.diff(log.ts) < 0).any():
        log = log.take(np.argsort(log.ts, kind="stable"))
    return log


@dataclass(frozen=True)
class _Part:
    """One batch, encoded."""

    line: np.ndarray
    columns: dict[str, np.ndarray]
    user_key: np.ndarray  # (n,) uint64 hashes; two of ten million meet once in 400,000 logs
    session_key: np.ndarray
    names: pl.Series  # user and session in one text


def _first_time(part: _Part) -> int:
    return int(part.columns["ts"].min(initial=np.iinfo(np.int64).max))


def _encode(rows: pl.DataFrame, weights: RewardWeights) -> _Part:
    """Turn checked rows into numbers."""
    bins = [(pl.col(name).cast(float) * BINS / 100).floor().clip(0, BINS - 1) for name in TRAITS]
    words = [pl.col(name).to_physical() for name in ("content_type", "mood", "time_of_day")]
    parts = [part.cast(pl.Int32) for part in (*bins, *words)]
    state = pl.sum_horizontal(
        [part * int(stride) for part, stride in zip(parts, STATE_STRIDES, strict=True)]
    )
    encoded = rows.select(
        pl.col("event_id").hash(seed=0).alias("event"),
        pl.col("ts").to_physical(),
        pl.struct("user_id").hash(seed=0).alias("user_key"),
        pl.struct("user_id", "session_id").hash(seed=0).alias("session_key"),
        "step",
        state.alias("state"),
        "action",
        "pscore",
        "terminal",
        *OUTCOMES,
        "completion_rate",
        pl.col("mood_before").to_physical(),
        pl.col("mood_after").to_physical(),
    )
    arrays = {name: encoded[name].to_numpy() for name in encoded.columns}
    gained = rewards(arrays, arrays.pop("mood_before"), arrays.pop("mood_after"), weights)
    columns = {
        **{name: arrays[name] for name in ("event", "ts", "step", "state", "action", "pscore")},
        "reward": gained,
        "terminal": arrays["terminal"],
        "outcomes": np.stack([arrays[name] for name in OUTCOMES], axis=1),
        "completion_rate": arrays["completion_rate"],
    }
    names = rows.select(pl.concat_str("user_id", "session_id", separator=KEY_SEPARATOR)).to_series()
    line = rows[LINE].to_numpy().astype(np.int64)
    return _Part(line, columns, arrays["user_key"], arrays["session_key"], names)


def _joined(parts: list[_Part]) -> tuple[Interactions, np.ndarray]:
    """Put batches below each other, in the order of the files, and number users and sessions."""
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


def _keep(
    log: Interactions,
    line: np.ndarray,
    files: list[Path],
    file_of: np.ndarray,
    refusals: Refusals,
) -> np.ndarray:
    """Return (n,) False for doubled events and rows that run backwards; count them."""
    doubled = _doubled(log.event)
    n_sessions = int(log.session.max(initial=-1)) + 1
    backwards = np.zeros(len(log), dtype=bool)
    backwards[~doubled] = runs_backwards(
        log.session[~doubled], log.ts[~doubled], log.step[~doubled], n_sessions
    )
    for marked, reason in ((doubled, DOUBLED), (backwards, BACKWARDS)):
        rows = np.flatnonzero(marked)
        for number in np.unique(file_of[rows]):
            lines = line[rows[file_of[rows] == number]].tolist()
            refusals.add(files[number], lines, [reason] * len(lines))
    return ~(doubled | backwards)


def _doubled(events: np.ndarray) -> np.ndarray:
    """Return (n,) True for events that were there before."""
    ordered = np.sort(events)
    if not (ordered[1:] == ordered[:-1]).any():
        return np.zeros(len(events), dtype=bool)
    doubled = np.ones(len(events), dtype=bool)
    doubled[np.unique(events, return_index=True)[1]] = False
    return doubled
