"""All runs below a folder, quickly: a run.json that has not changed is not read again.

Reading ten thousand run.json files takes over a second, ``stat`` only a thirtieth of that. What
lists show of them is therefore kept in ``.index.json``, with the size and time of each file. The
index is a cache: if it is deleted, damaged or cannot be written, the result stays the same.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rl_runner.errors import RunnerError, bounded
from rl_runner.layout import INDEX, RECORD, seed_number
from rl_runner.runs.claim import is_claimed
from rl_runner.runs.disk import parse_json, write_aside
from rl_runner.runs.record import AgentResult, Results, RunRecord, read_record

FORMAT = 3
UNREADABLE = "unreadable"
MOST_OF_AN_ERROR = 300  # characters
KEPT = ("status", "name", "env", "algo", "seed", "timesteps", "seconds", "error", "heartbeat")
KEPT_RESULTS = (
    "mean_reward",
    "std_reward",
    "exact_mean_reward",
    "optimal_mean_reward",
    "periodic_mean_reward",
    "selection_optimism",
)


@dataclass(frozen=True)
class IndexedRun:
    """A run, the part of its run.json that lists show, and when that was last written."""

    runs_dir: Path
    experiment: str
    folder: str
    record: RunRecord  # only what lists show; empty if run.json cannot be read
    problem: str  # why it cannot be read; empty if it can
    changed: float  # seconds since 1970

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.runs_dir / self.experiment / self.folder

    @property
    def status(self) -> str:
        """The recorded status; ``crashed`` if that is ``running`` while no process trains it."""
        if self.problem:
            return UNREADABLE
        if self.record.status == "running" and not is_claimed(self.path):
            return "crashed"
        return self.record.status


def runs_below(runs_dir: Path) -> list[IndexedRun]:
    """Return every run below a folder of experiments, by experiment and seed.

    A run whose run.json cannot be read has the status ``unreadable``, and the error as ``problem``.
    """
    before = _read_index(runs_dir)
    after: dict[str, _Entry] = {}
    runs = []
    # Read only what has changed since the index was written.
    for experiment, folder, stat in _recorded_runs(str(runs_dir)):
        key = f"{experiment}/{folder}"
        entry = before.get(key)
        if entry is None or (entry.changed, entry.size) != (stat.st_mtime_ns, stat.st_size):
            entry = _read_entry(runs_dir / experiment / folder, stat)
        after[key] = entry
        runs.append(
            IndexedRun(runs_dir, experiment, folder, entry.record, entry.problem, stat.st_mtime)
        )
    # Keep what was read for the next time.
    if after != before:
        _write_index(runs_dir, after)
    return sorted(runs, key=lambda run: (run.experiment, seed_number(run.folder)))


def _recorded_runs(runs_dir: str) -> Iterator[tuple[str, str, os.stat_result]]:
    """Yield experiment, folder name and run.json's status; on strings, since Path is slow."""
    for experiment in _folders(runs_dir):
        for run in _folders(f"{runs_dir}/{experiment}"):
            with contextlib.suppress(OSError):  # not a run, or removed since it was listed
                yield experiment, run, os.stat(f"{runs_dir}/{experiment}/{run}/{RECORD}")  # noqa: PTH116


def _folders(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except OSError:  # removed since it was listed, or not readable: it holds no runs to list
        return []


@dataclass(frozen=True)
class _Entry:
    """What the index keeps of one run.json."""

    changed: int  # nanoseconds since 1970
    size: int  # bytes
    record: RunRecord
    problem: str = ""

    @classmethod
    def from_json(cls, raw: Any) -> "_Entry":
        """Read an entry; raises ValueError or TypeError if it is not one."""
        changed, size, gist = raw
        if isinstance(gist, dict) and gist.get("status") == UNREADABLE:
            return cls(int(changed), int(size), RunRecord(), _text(gist.get("error")))
        record = RunRecord.from_json(gist)
        if record.results is None or record.results.last is None:
            message = "every gist has results"
            raise ValueError(message)
        return cls(int(changed), int(size), record)

    def to_json(self) -> list[Any]:
        """Return what :meth:`from_json` reads."""
        problem = {"status": UNREADABLE, "error": self.problem}
        return [self.changed, self.size, problem if self.problem else self.record.to_json()]


def _read_entry(run: Path, stat: os.stat_result) -> _Entry:
    """Read a run.json and keep what lists show."""
    try:
        record = read_record(run) or RunRecord()
    except RunnerError as error:
        return _Entry(
            stat.st_mtime_ns, stat.st_size, RunRecord(), bounded(str(error), MOST_OF_AN_ERROR)
        )
    results = Results(last=_gist(record.last), best=_gist(record.best))
    kept = {name: getattr(record, name) for name in KEPT}
    kept["error"] = None if record.error is None else bounded(record.error, MOST_OF_AN_ERROR)
    return _Entry(stat.st_mtime_ns, stat.st_size, RunRecord(**kept, results=results))


def _gist(result: AgentResult) -> AgentResult:
    return AgentResult(**{name: getattr(result, name) for name in KEPT_RESULTS})


def _text(value: Any) -> str:
    if not isinstance(value, str):
        message = "not a text"
        raise TypeError(message)
    return value


def _read_index(runs_dir: Path) -> dict[str, _Entry]:
    """Return the entries that are sound; none if there is no index, or it is damaged."""
    try:
        contents = parse_json((runs_dir / INDEX).read_text(encoding="utf-8"))
        entries = contents["runs"].items() if contents["format"] == FORMAT else ()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # it is only a cache, and is written again
    found = {}
    for key, raw in entries:
        with contextlib.suppress(ValueError, TypeError):  # a damaged entry is read again
            found[key] = _Entry.from_json(raw)
    return found


def _write_index(runs_dir: Path, entries: dict[str, _Entry]) -> None:
    runs = {key: entry.to_json() for key, entry in entries.items()}
    text = json.dumps({"format": FORMAT, "runs": runs}, separators=(",", ":"))
    with contextlib.suppress(RunnerError):  # e.g. a folder that may only be read
        write_aside(runs_dir / INDEX, lambda path: path.write_text(text, encoding="utf-8"))
