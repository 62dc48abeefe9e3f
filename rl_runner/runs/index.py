"""All runs below a folder, quickly: what has not changed since the last look is not read again.

Ten thousand run.json files take over a second to read and a thirtieth to ``stat``. Their summaries
are therefore kept in ``.index.json``, each with the size and time of the file it was made from. The
index is a cache: it may be deleted, damaged or unwritable, and the answer stays the same.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rl_runner.errors import RunnerError
from rl_runner.runs.claim import is_claimed
from rl_runner.runs.disk import write_aside
from rl_runner.runs.folder import read_record
from rl_runner.runs.layout import INDEX, RECORD, seed_number
from rl_runner.runs.record import wrong_in_record

FORMAT = 3
UNREADABLE = "unreadable"
KEPT = ("status", "name", "env", "algo", "seed", "timesteps", "seconds", "error", "heartbeat")
KEPT_RESULTS = {
    "mean_reward",
    "std_reward",
    "exact_mean_reward",
    "optimal_mean_reward",
    "periodic_mean_reward",
    "selection_optimism",
}


@dataclass(frozen=True)
class IndexedRun:
    """A run, the gist of its run.json, and when that was last written (seconds since 1970)."""

    runs_dir: Path
    experiment: str
    folder: str
    record: dict[str, Any]
    changed: float

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.runs_dir / self.experiment / self.folder

    @property
    def status(self) -> str:
        """The recorded status; ``crashed`` for a run that says it runs while nobody trains it."""
        status = str(self.record.get("status", UNREADABLE))
        if status == "running" and not is_claimed(self.path):
            return "crashed"
        return status


def runs_below(runs_dir: Path) -> list[IndexedRun]:
    """Return every run below a folder of experiments, by experiment and seed.

    A run.json that cannot be read comes with the status ``unreadable`` and the error.
    """
    before = _read_index(runs_dir)
    after: dict[str, list[Any]] = {}
    runs = []
    for experiment, folder, stat in _recorded_runs(str(runs_dir)):
        key = f"{experiment}/{folder}"
        entry = before.get(key)
        if entry is None or entry[0] != stat.st_mtime_ns or entry[1] != stat.st_size:
            gist = _gist(runs_dir / experiment / folder)
            entry = [stat.st_mtime_ns, stat.st_size, gist]
        after[key] = entry
        runs.append(IndexedRun(runs_dir, experiment, folder, entry[2], stat.st_mtime))
    if after != before:
        _write_index(runs_dir, after)
    return sorted(runs, key=lambda run: (run.experiment, seed_number(run.folder)))


def _recorded_runs(runs_dir: str) -> Iterator[tuple[str, str, os.stat_result]]:
    """Yield experiment, folder name and run.json's status; on strings, since Path is slow."""
    for experiment in _folders(runs_dir):
        for run in _folders(f"{runs_dir}/{experiment}"):
            with contextlib.suppress(OSError):  # not a run, or gone since it was listed
                yield experiment, run, os.stat(f"{runs_dir}/{experiment}/{run}/{RECORD}")  # noqa: PTH116


def _folders(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except OSError:
        return []


def _gist(run: Path) -> dict[str, Any]:
    """Read a run.json and keep what lists show."""
    try:
        record = read_record(run)
    except RunnerError as error:
        return {"status": UNREADABLE, "error": str(error)}
    results = record.get("results") or {}
    kept = {key: record[key] for key in KEPT if key in record}
    kept["results"] = {
        agent: {k: v for k, v in (results.get(agent) or {}).items() if k in KEPT_RESULTS}
        for agent in ("last", "best")
    }
    return kept


def _read_index(runs_dir: Path) -> dict[str, list[Any]]:
    try:
        contents = json.loads((runs_dir / INDEX).read_text(encoding="utf-8"))
        if contents["format"] == FORMAT:
            return {
                key: [int(changed), int(size), gist]
                for key, (changed, size, gist) in contents["runs"].items()
                if _is_gist(gist)
            }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # a cache that is missing or damaged is made anew
    return {}


def _is_gist(entry: dict[str, Any]) -> bool:
    """Whether :func:`_gist` may have made this."""
    if entry.get("status") == UNREADABLE:
        return isinstance(entry.get("error"), str)
    return wrong_in_record(entry) is None and "last" in entry.get("results", {})


def _write_index(runs_dir: Path, entries: dict[str, list[Any]]) -> None:
    text = json.dumps({"format": FORMAT, "runs": entries}, separators=(",", ":"))
    with contextlib.suppress(RunnerError):  # e.g. a folder that is only to be read
        write_aside(runs_dir / INDEX, lambda path: path.write_text(text, encoding="utf-8"))
