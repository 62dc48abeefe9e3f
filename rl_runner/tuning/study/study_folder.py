"""A study on disk.

::

    runs/<study>/
      start.yaml             the config that the search began with, and its `tune` section
      study.journal          Optuna's storage, unless `--storage` names another
      trials/trial-0012/     an experiment like any other: config.yaml and a seed-… for each run
      confirm/<candidate>/   likewise, on fresh seeds
      best.yaml              the winner, ready for `rl train`
      summary.json           what was found
      figures/*.png          pictures of the search
      events.out.tfevents*   the search in TensorBoard
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from rl_runner.errors import Problem, StudyError
from rl_runner.runs.disk import write_aside, writing
from rl_runner.runs.layout import CONFIG

START = "start.yaml"
JOURNAL = "study.journal"
LOCK = ".lock"  # held as long as a search goes on, if its storage is the journal
TURN = ".turn"  # held while files are written, since several processes may share a study
BEST = "best.yaml"
SUMMARY = "summary.json"
FORMAT = 2  # of summary.json; raise it when what it holds changes
FIGURES = "figures"


class StudyFolder:
    """The folder of one study."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path / LOCK)
        self._turn = FileLock(path / TURN)

    @property
    def name(self) -> str:
        """The study's name."""
        return self.path.name

    @property
    def journal(self) -> Path:
        """Optuna's log of the study."""
        return self.path / JOURNAL

    @property
    def best(self) -> Path:
        """The winner's config."""
        return self.path / BEST

    @property
    def figures(self) -> Path:
        """Where pictures go."""
        return self.path / FIGURES

    def trial(self, number: int) -> Path:
        """Return the experiment folder of a trial."""
        return self.path / "trials" / f"trial-{number:04d}"

    def candidate(self, label: str) -> Path:
        """Return the experiment folder in which a candidate is confirmed."""
        return self.path / "confirm" / label

    def check(self) -> None:
        """See that nothing else is kept there.

        :raises StudyError: if it is an experiment's folder
        """
        if (self.path / CONFIG).exists():
            cure = "Give the study another name with `--study`."
            raise StudyError(Problem("This is an experiment's folder.", str(self.path), cure))

    def create(self) -> None:
        """Make the folder."""
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)

    def claim(self) -> None:
        """Take the study for this process; the operating system gives it back, whatever happens.

        :raises StudyError: if another process has it
        """
        try:
            with writing(self.path):
                self._lock.acquire(blocking=False)
        except Timeout:
            what = "Another `rl tune` is running this study."
            cure = "Several at once need a database: `--storage postgresql://…`."
            raise StudyError(Problem(what, str(self.path), cure)) from None

    def release(self) -> None:
        """Give the study back."""
        self._lock.release()

    def write(self, name: str, text: str) -> None:
        """Write a file, whole."""
        with self.one_at_a_time():
            write_aside(self.path / name, lambda path: path.write_text(text, encoding="utf-8"))

    @contextlib.contextmanager
    def one_at_a_time(self) -> Iterator[None]:
        """Wait until no other process writes here."""
        self.create()
        with writing(self.path), self._turn:
            yield

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Replace summary.json."""
        self.write(SUMMARY, json.dumps(summary, indent=2, ensure_ascii=False) + "\n")

    def read_summary(self) -> dict[str, Any]:
        """Return summary.json.

        :raises StudyError: if there is none, or it cannot be read
        """
        path = self.path / SUMMARY
        try:
            summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            cure = "`rl tune` writes it at the end of a study."
            raise StudyError(Problem(f"Not readable: {error}.", str(path), cure)) from None
        if summary.get("format") != FORMAT:
            cure = "Run the same `rl tune` again: it rewrites the file and trains nothing."
            raise StudyError(Problem("Another version of rl_runner wrote this.", str(path), cure))
        return summary
