"""A run on disk, and the experiment it belongs to.

::

    runs/<name>-<hash8>/
      config.yaml            resolved, complete, loadable
      seed-<k>/
        run.json             status, provenance, results
        events.out.tfevents* TensorBoard
        checkpoints/<t>/     the agent after t timesteps: weights, normalisation statistics
        checkpoints/best     the timesteps of the checkpoint with the best periodic evaluation
        model.zip | …        the agent at the end
        normalization.npz    its observation and return statistics, if it normalises
        episodes.csv         every finished training episode
        evaluations.npz      every periodic evaluation episode

A run is addressed by what it is, not by when it started, so training twice is training once.
Every file appears whole or not at all: it is written aside and renamed.
"""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from filelock import FileLock, Timeout

from rl_runner.errors import CheckpointError, Problem, RunFolderError

if TYPE_CHECKING:
    import numpy as np

Status = Literal["running", "finished", "failed", "interrupted"]
CheckpointName = Literal["last", "best"]

CONFIG = "config.yaml"
RECORD = "run.json"
LOCK = ".lock"
CHECKPOINTS = "checkpoints"
EPISODES = "episodes.csv"
EVALUATIONS = "evaluations.npz"
NORMALIZATION = "normalization.npz"
EPISODE_COLUMNS = ("timestep", "return", "length", "terminated", "wall_time")


class RunFolder:
    """The folder of one seed of an experiment."""

    def __init__(self, path: Path, weights_file: str) -> None:
        self.path = path
        self.weights_file = weights_file
        self._lock = FileLock(path / LOCK)

    @property
    def tensorboard_dir(self) -> Path:
        """Where event files go: the run itself, so that TensorBoard names it as the folder does."""
        return self.path

    @property
    def weights(self) -> Path:
        """The agent at the end of training."""
        return self.path / self.weights_file

    def claim(self) -> bool:
        """Take the folder for this process; False if another process has it.

        The operating system releases the claim when the process ends, however it ends.
        """
        try:
            with _writing(self.path):
                self.path.mkdir(parents=True, exist_ok=True)
                self._lock.acquire(blocking=False)
        except Timeout:
            return False
        return True

    def release(self) -> None:
        """Give the folder back."""
        self._lock.release()

    def clear(self) -> None:
        """Remove everything that an earlier training left here, except the claim."""
        with _writing(self.path):
            for entry in self.path.iterdir():
                if entry.is_dir():
                    shutil.rmtree(entry)
                elif entry.name != LOCK:
                    entry.unlink()

    # --- run.json -----------------------------------------------------------------------------

    def read_record(self) -> dict[str, Any]:
        """Return run.json; an empty dictionary if the run has never started.

        :raises RunFolderError: if the file cannot be read or holds no JSON object
        """
        return read_record(self.path)

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Replace run.json."""
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        self._write_aside(self.path / RECORD, lambda path: path.write_text(text, encoding="utf-8"))

    # --- the agent ----------------------------------------------------------------------------

    def save_final(self, save: Callable[[Path], object]) -> None:
        """Let ``save`` write the finished agent's files into a folder, then put them in place."""
        with _writing(self.path), tempfile.TemporaryDirectory(dir=self.path, prefix=".new-") as new:
            save(Path(new))
            for file in Path(new).iterdir():
                file.replace(self.path / file.name)

    def save_best(self, timesteps: int, save: Callable[[Path], object]) -> None:
        """Keep the agent as the best so far; the one before it is removed."""
        with _writing(self.path):
            parent = self.path / CHECKPOINTS
            parent.mkdir(exist_ok=True)
            new = Path(tempfile.mkdtemp(dir=parent, prefix=".new-"))
            save(new)
            new.chmod(0o755)
            place = parent / str(timesteps)
            shutil.rmtree(place, ignore_errors=True)
            new.replace(place)
            pointer = parent / "best"
            self._write_aside(pointer, lambda path: path.write_text(f"{timesteps}\n"))
            for other in parent.iterdir():
                if other.is_dir() and other != place:
                    shutil.rmtree(other)

    def checkpoint(self, name: CheckpointName) -> Path:
        """Return the folder that holds the agent's files, ``last`` or ``best``.

        :raises CheckpointError: if there is none
        """
        folder = self.path
        if name == "best":
            pointer = self.path / CHECKPOINTS / "best"
            folder = self.path / CHECKPOINTS / (_read_text(pointer) or "none").strip()
        if not (folder / self.weights_file).is_file():
            cure = "Train it to the end: `rl train` goes on where the experiment has gaps."
            problem = Problem(f"There is no `{name}` agent here.", str(self.path), cure)
            raise CheckpointError(problem)
        return folder

    # --- what was measured ----------------------------------------------------------------------

    def open_episodes(self) -> IO[str]:
        """Open episodes.csv with its header written, line-buffered."""
        with _writing(self.path):
            file = (self.path / EPISODES).open("w", encoding="utf-8", buffering=1)
            file.write(",".join(EPISODE_COLUMNS) + "\n")
            return file

    def save_evaluations(self, arrays: "Mapping[str, np.ndarray]") -> None:
        """Replace evaluations.npz."""
        import numpy as np

        self._write_aside(self.path / EVALUATIONS, lambda path: _savez(np, path, arrays))

    def load_evaluations(self) -> "dict[str, np.ndarray]":
        """Return the arrays of evaluations.npz; raises RunFolderError if they cannot be read."""
        import numpy as np

        path = self.path / EVALUATIONS
        try:
            with np.load(path, allow_pickle=False) as file:
                return dict(file)
        except (OSError, ValueError, EOFError) as error:
            raise RunFolderError(Problem(f"Not readable: {error}", str(path))) from error

    def _write_aside(self, place: Path, write: Callable[[Path], object]) -> None:
        with _writing(place):
            aside = place.with_name(f".{place.name}.new")
            write(aside)
            aside.replace(place)


class ExperimentFolder:
    """The folder of an experiment: one config, one run per seed."""

    def __init__(self, path: Path, weights_file: str) -> None:
        self.path = path
        self.weights_file = weights_file

    @classmethod
    def place(cls, runs_dir: Path, name: str, digest: str, weights_file: str) -> "ExperimentFolder":
        """Return where the experiment belongs; nothing is created yet."""
        return cls(runs_dir / f"{name}-{digest}", weights_file)

    def write_config(self, text: str) -> None:
        """Write config.yaml, whole."""
        with _writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            aside = self.path / f".{CONFIG}.{os.getpid()}"
            aside.write_text(text, encoding="utf-8")
            aside.replace(self.path / CONFIG)

    def run(self, seed: int) -> RunFolder:
        """Return the folder of one seed."""
        return RunFolder(self.path / f"seed-{seed}", self.weights_file)


def read_record(path: Path) -> dict[str, Any]:
    """Return the run.json in ``path``; an empty dictionary if there is none."""
    text = _read_text(path / RECORD)
    if text is None:
        return {}
    try:
        record = json.loads(text)
    except ValueError as error:
        what = f"Not valid JSON: {error}."
        cure = "It was edited or damaged: `rl train … --fresh` trains this seed anew."
        raise RunFolderError(Problem(what, str(path / RECORD), cure)) from None
    if not isinstance(record, dict):
        raise RunFolderError(Problem("It holds no JSON object.", str(path / RECORD)))
    return record


def _read_text(path: Path) -> str | None:
    """Return a file's text; None if there is no such file."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise RunFolderError(Problem(f"Not readable: {error}", str(path))) from error


def _savez(np: Any, path: Path, arrays: "Mapping[str, np.ndarray]") -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Explain what the operating system refuses: a full disk, a folder that is read-only."""
    try:
        yield
    except OSError as error:
        if isinstance(error, Timeout):
            raise
        what = f"Cannot write: {error.strerror or error}."
        cure = "Free some space, or choose another place with `--runs-dir`."
        raise RunFolderError(Problem(what, str(error.filename or path), cure)) from error
