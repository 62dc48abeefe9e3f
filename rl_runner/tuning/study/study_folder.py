"""The folder of a study.

::

    runs/<study>/
      start.yaml             the config that the search started from, and its `tune` section
      study.journal          Optuna's storage, unless `--storage` names another
      trials/trial-0012/     an ordinary experiment: config.yaml and a seed-… folder for each run
      confirm/<candidate>/   the same, with fresh seeds
      best.yaml              the winner, ready for `rl train`
      summary.json           the results
      figures/*.png          pictures of the search
      events.out.tfevents*   the search in TensorBoard
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from rl_runner.errors import Problem, StudyError
from rl_runner.layout import CONFIG, STUDY_BEST, STUDY_TRIALS
from rl_runner.runs.disk import write_aside, writing
from rl_runner.runs.study_summary import FORMAT, StudySummary

JOURNAL = "study.journal"
LOCK = ".lock"  # held during a search whose storage is the journal
WRITE_LOCK = ".turn"  # held while files are written: several processes may share a study
SUMMARY = "summary.json"
FIGURES = "figures"


class StudyFolder:
    """The folder of one study."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path / LOCK)
        self._write_lock = FileLock(path / WRITE_LOCK)

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
        return self.path / STUDY_BEST

    @property
    def figures(self) -> Path:
        """The folder of the pictures."""
        return self.path / FIGURES

    def trial(self, number: int) -> Path:
        """Return the experiment folder of a trial."""
        return self.path / STUDY_TRIALS / f"trial-{number:04d}"

    def candidate(self, label: str) -> Path:
        """Return the experiment folder in which a candidate is confirmed."""
        return self.path / "confirm" / label

    def check(self) -> None:
        """Check that the folder is not used for something else.

        :raises StudyError: if it is an experiment's folder
        """
        if (self.path / CONFIG).exists():
            cure = "Give the study another name with `--study`."
            raise StudyError(Problem("This is an experiment's folder.", str(self.path), cure))

    @property
    def has_runs(self) -> bool:
        """Whether runs of a search or a confirmation are here."""
        return any(self.path.glob("trials/*/seed-*")) or any(self.path.glob("confirm/*/seed-*"))

    def create(self) -> None:
        """Create the folder, unless it exists; raises RunFolderError if it cannot be written."""
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)

    def claim(self) -> None:
        """Claim the study for this process, until :meth:`release` or the end of the process.

        :raises StudyError: if another process has claimed it
        """
        try:
            with writing(self.path):
                self._lock.acquire(blocking=False)
        except Timeout:
            what = "Another `rl tune` is running this study."
            cure = "To run several at once, use a database: `--storage postgresql://…`."
            raise StudyError(Problem(what, str(self.path), cure)) from None

    def release(self) -> None:
        """Release the claim, so that another process can open the study."""
        self._lock.release()

    def write(self, name: str, text: str) -> None:
        """Write a file of the study atomically: readers see the old or the new text."""
        with self.write_lock():
            write_aside(self.path / name, lambda path: path.write_text(text, encoding="utf-8"))

    @contextlib.contextmanager
    def write_lock(self) -> Iterator[None]:
        """Wait until no other process writes to the folder, and keep others from writing."""
        self.create()
        with writing(self.path), self._write_lock:
            yield

    def write_summary(self, summary: StudySummary) -> None:
        """Replace summary.json."""
        self.write(SUMMARY, json.dumps(summary.to_json(), indent=2, ensure_ascii=False) + "\n")

    def read_summary(self) -> StudySummary:
        """Return summary.json.

        :raises StudyError: if there is none, or it cannot be read
        """
        path = self.path / SUMMARY
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            cure = "`rl tune` writes it at the end of a study."
            raise StudyError(
                Problem(f"The summary cannot be read: {error}.", str(path), cure)
            ) from None
        again = "Run the same `rl tune` again: it rewrites the file and trains nothing."
        if isinstance(raw, dict) and raw.get("format") != FORMAT:
            what = "Another version of rl_runner wrote this file."
            raise StudyError(Problem(what, str(path), again))
        try:
            return StudySummary.from_json(raw)
        except ValueError as error:
            raise StudyError(Problem(str(error), str(path), again)) from None
