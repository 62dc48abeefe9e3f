"""A run on disk, and the experiment it belongs to; :mod:`rl_runner.layout` shows what they hold.

A run is addressed by what it is, not by when it started, so training twice is training once.
Every file appears whole or not at all: it is written aside and renamed.
"""

import contextlib
import functools
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from rl_runner.errors import DiskFullError, Problem, RunFolderError
from rl_runner.layout import (
    CHECKPOINTS,
    CODE,
    CONFIG,
    LOCK,
    LOG,
    RECORD,
    SEED_FOLDERS,
    SPARE,
    experiment_name,
    seed_name,
    seed_number,
)
from rl_runner.redaction import redacted
from rl_runner.runs.agents import SavedAgents
from rl_runner.runs.checkpoints import CheckpointStore
from rl_runner.runs.claim import Claim, holder_of, is_claimed
from rl_runner.runs.disk import write_aside, writing
from rl_runner.runs.measurements import Measurements
from rl_runner.runs.record import RunRecord, read_record, write_record, write_record_into

MOST_LOG = 10_000_000  # bytes of log.txt, beyond which only its end is kept
KEPT_LOG = 1_000_000
MOST_TAIL = 20_000  # bytes of it that run.json repeats
SPARE_SIZE = 64 * 1024  # bytes: more than nearly every run.json


class RunFolder:
    """The folder of one seed of an experiment.

    :param weights_file: the file name of its agent; only needed to save or load the agent
    """

    def __init__(self, path: Path, weights_file: str = "") -> None:
        self.path = path
        self.weights_file = weights_file
        self.agents = SavedAgents(path, weights_file)
        self.measurements = Measurements(path)
        self._claim = Claim(path)

    def claim(self) -> bool:
        """Claim the run for this process; False if another process holds the claim.

        :raises RunFolderError: if the folder leads to another place, or cannot be written
        """
        self._refuse_links()
        return self._claim.take()

    def _refuse_links(self) -> None:
        """Refuse a folder that is a link: what training removes here would be removed there."""
        for place in (self.path, self.path / CHECKPOINTS):
            if place.is_symlink():
                what = "This is a link to another folder, in which nothing is written or removed."
                cure = f"Remove the link, or put the folder {place.resolve()} in its place."
                raise RunFolderError(Problem(what, str(place), cure))

    def is_claimed(self) -> bool:
        """Whether a process is training here now; writes nothing."""
        return is_claimed(self.path)

    def sign_claim(self) -> None:
        """Let :attr:`holder` name this process, which has the claim."""
        self._claim.sign()

    @property
    def holder(self) -> str:
        """Which process is training here, e.g. ``process 4711``; empty if it is unknown."""
        return holder_of(self.path)

    def release(self) -> None:
        """Release the claim."""
        self._claim.release()

    def clear(self) -> None:
        """Remove what an earlier training left here, except claim, log, run.json and its spare."""
        self._refuse_links()
        with writing(self.path):
            for entry in self.path.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                elif entry.name not in {LOCK, RECORD, LOG, SPARE}:
                    entry.unlink()

    def begin_with(self, donor: "RunFolder", record: RunRecord) -> bool:
        """Copy a finished run's files, to continue from its end; False if this run has begun.

        :param record: this run's first run.json
        """
        if self.checkpoints.path.exists() or self.agents.weights.exists() or not self.claim():
            return False
        try:
            with writing(self.path):
                # Its results first, and its checkpoints under another name.
                mine = (LOCK, RECORD, LOG, SPARE, CHECKPOINTS, self.weights_file)
                leave_out = shutil.ignore_patterns(*mine)
                shutil.copytree(donor.path, self.path, ignore=leave_out, dirs_exist_ok=True)
                aside = self.path / f".{CHECKPOINTS}.new"
                shutil.copytree(donor.checkpoints.path, aside, dirs_exist_ok=True)
                # Then this run's own record.
                self.write_record(record)
                aside.replace(self.checkpoints.path)  # last: a run with checkpoints is complete
        finally:
            self.release()
        return True

    @property
    def checkpoints(self) -> CheckpointStore:
        """The checkpoints from which training can resume."""
        return CheckpointStore(self.path / CHECKPOINTS)

    # --- run.json -----------------------------------------------------------------------------

    def read_record(self) -> RunRecord | None:
        """Return run.json; None if the run has never been announced.

        :raises RunFolderError: if the file cannot be read or is damaged
        """
        return read_record(self.path)

    def write_record(self, record: RunRecord) -> None:
        """Replace run.json."""
        write_record(self.path, record)

    def reserve_record(self) -> None:
        """Take up disk space, so that :meth:`write_final_record` works on a full disk too."""
        with writing(self.path):
            (self.path / SPARE).write_bytes(bytes(SPARE_SIZE))

    def write_final_record(self, record: RunRecord) -> None:
        """Replace run.json for the last time, on a full disk in the space that was reserved."""
        spare = self.path / SPARE
        try:
            self.write_record(record)
        except DiskFullError:
            if not spare.is_file():
                raise
            write_record_into(spare, record)
        spare.unlink(missing_ok=True)

    def announce(self, record: RunRecord) -> None:
        """Write the first run.json, unless there is one already or another process has the run."""
        if self.path.is_symlink() or (self.path / RECORD).exists() or not self.claim():
            return  # a link is refused by the run itself, so that others are trained
        try:
            if not (self.path / RECORD).exists():
                self.write_record(record)
        finally:
            self.release()

    # --- log.txt ------------------------------------------------------------------------------

    def open_log(self) -> IO[str]:
        """Open log.txt for appending: what the run reports, and what its process prints."""
        self._refuse_links()
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            return (self.path / LOG).open("a", encoding="utf-8")

    def add_to_log(self, text: str) -> None:
        """Append a line to log.txt, secrets hidden; it is left out where that is impossible."""
        # Training does not depend on the log.
        with contextlib.suppress(OSError, RunFolderError), self.open_log() as log:
            log.write(f"{redacted(text)}\n")

    def trim_log(self) -> None:
        """Shorten log.txt to its end if it has grown beyond :data:`MOST_LOG` bytes.

        Processes that have it open for appending continue at its new end.
        """
        path = self.path / LOG
        try:
            if path.stat().st_size <= MOST_LOG:
                return
            # Keep the end, and empty the file in place: other processes have it open.
            with path.open("r+b") as log:
                log.seek(-KEPT_LOG, os.SEEK_END)
                end = log.read(KEPT_LOG)
                log.truncate(0)
            with path.open("ab") as log:
                log.write(b"[The beginning of this log was left out: it was too long.]\n" + end)
        except OSError:  # no log, or a full disk: training does not depend on it
            return

    def log_tail(self, n_lines: int = 60) -> list[str]:
        """Return the last lines of log.txt, into which anything may have been printed.

        Secrets in them are hidden, since run.json and reports show these lines.
        """
        try:
            with (self.path / LOG).open("rb") as log:
                log.seek(-min(MOST_TAIL, log.seek(0, os.SEEK_END)), os.SEEK_END)
                text = log.read(MOST_TAIL).decode(errors="replace")
        except OSError:  # this must not hide the failure that it helps to explain
            return []
        return redacted(text).splitlines()[-n_lines:]


class ExperimentFolder:
    """The folder of an experiment: one config, one run per seed."""

    def __init__(self, path: Path, weights_file: str) -> None:
        self.path = path
        self.weights_file = weights_file

    @classmethod
    def place(cls, runs_dir: Path, name: str, digest: str, weights_file: str) -> "ExperimentFolder":
        """Return where the experiment belongs; nothing is created yet."""
        return cls(runs_dir / experiment_name(name, digest), weights_file)

    def write_config(self, text: str) -> None:
        """Write config.yaml, whole."""
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        write_aside(
            self.path / CONFIG,
            lambda path: path.write_text(text, encoding="utf-8"),
            suffix=str(os.getpid()),
        )

    def keep_sources(self, files: Mapping[str, Path]) -> None:
        """Copy files below the folder of kept sources, by their places there."""
        for inside, source in files.items():
            copy = self.path / CODE / inside
            content = source.read_bytes()
            if copy.is_file() and copy.read_bytes() == content:
                continue
            with writing(copy):
                copy.parent.mkdir(parents=True, exist_ok=True)
            write = functools.partial(Path.write_bytes, data=content)
            write_aside(copy, write, suffix=str(os.getpid()))

    def seeds(self) -> tuple[int, ...]:
        """Return the seeds that have a folder."""
        found = (seed_number(entry.name) for entry in self.path.glob(SEED_FOLDERS))
        return tuple(sorted(seed for seed in found if seed >= 0))

    def run(self, seed: int) -> RunFolder:
        """Return the folder of one seed."""
        return RunFolder(self.path / seed_name(seed), self.weights_file)
