"""A run on disk, and the experiment it belongs to; :mod:`.layout` shows what they hold.

A run is addressed by what it is, not by when it started, so training twice is training once.
Every file appears whole or not at all: it is written aside and renamed.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

from rl_runner.errors import CheckpointError, Problem, RunFolderError
from rl_runner.runs.checkpoints import CheckpointStore, verify
from rl_runner.runs.claim import Claim, is_claimed
from rl_runner.runs.disk import read_text, write_aside, writing
from rl_runner.runs.growing import GrowingFiles
from rl_runner.runs.layout import (
    BEST,
    CHECKPOINTS,
    CONFIG,
    EPISODE_COLUMNS,
    EPISODES,
    EVALUATIONS,
    EVENTS,
    HALFWAY,
    LOCK,
    LOG,
    RECORD,
    SEED_FOLDERS,
    experiment_name,
    seed_name,
    seed_number,
)
from rl_runner.runs.record import RunRecord, read_record, write_record

if TYPE_CHECKING:
    import numpy as np

CheckpointName = str  # last, best, halfway, untrained, or a number of timesteps in digits


class RunFolder:
    """The folder of one seed of an experiment.

    :param weights_file: what its agent's file is called; only needed where the agent is
    """

    def __init__(self, path: Path, weights_file: str = "") -> None:
        self.path = path
        self.weights_file = weights_file
        self._claim = Claim(path)

    @property
    def tensorboard_dir(self) -> Path:
        """Where event files go: the run itself, so that TensorBoard names it as the folder does."""
        return self.path

    @property
    def weights(self) -> Path:
        """The agent at the end of training."""
        return self.path / self.weights_file

    def claim(self) -> bool:
        """Take the run for this process; False if another process has it."""
        return self._claim.take()

    def is_claimed(self) -> bool:
        """Whether a process is training here now. Looks without writing."""
        return is_claimed(self.path)

    def release(self) -> None:
        """Give the folder back."""
        self._claim.release()

    def clear(self) -> None:
        """Remove everything that an earlier training left here, except claim, log and run.json."""
        with writing(self.path):
            for entry in self.path.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                elif entry.name not in {LOCK, RECORD, LOG}:
                    entry.unlink()

    def begin_with(self, donor: "RunFolder", record: RunRecord) -> bool:
        """Copy a finished run's files, to go on from its end; False if this run has begun.

        :param record: this run's first run.json
        """
        if self.checkpoints.path.exists() or self.weights.exists() or not self.claim():
            return False
        try:
            with writing(self.path):
                mine = (LOCK, RECORD, LOG, CHECKPOINTS, self.weights_file)
                leave_out = shutil.ignore_patterns(*mine)
                shutil.copytree(donor.path, self.path, ignore=leave_out, dirs_exist_ok=True)
                aside = self.path / f".{CHECKPOINTS}.new"
                shutil.copytree(donor.checkpoints.path, aside, dirs_exist_ok=True)
                self.write_record(record)
                aside.replace(self.checkpoints.path)  # last: a run with checkpoints is complete
        finally:
            self.release()
        return True

    # --- run.json -----------------------------------------------------------------------------

    def read_record(self) -> RunRecord | None:
        """Return run.json; None if the run has never been announced.

        :raises RunFolderError: if the file cannot be read or is damaged
        """
        return read_record(self.path)

    def write_record(self, record: RunRecord) -> None:
        """Replace run.json."""
        write_record(self.path, record)

    def announce(self, record: RunRecord) -> None:
        """Write the first run.json; nothing if there is one, or another process has the run."""
        if (self.path / RECORD).exists() or not self.claim():
            return
        try:
            if not (self.path / RECORD).exists():
                self.write_record(record)
        finally:
            self.release()

    # --- the agent ----------------------------------------------------------------------------

    def save_final(self, save: Callable[[Path], object]) -> None:
        """Let ``save`` write the finished agent's files into a folder, then put them in place."""
        with writing(self.path), tempfile.TemporaryDirectory(dir=self.path, prefix=".new-") as new:
            save(Path(new))
            for file in Path(new).iterdir():
                file.replace(self.path / file.name)

    @property
    def checkpoints(self) -> CheckpointStore:
        """The whole checkpoints from which training can go on."""
        return CheckpointStore(self.path / CHECKPOINTS)

    def save_best(self, timesteps: int, save: Callable[[Path], object]) -> None:
        """Keep the agent as the best so far; the one before it is removed."""
        place = self.checkpoints.write(f"{BEST}-{timesteps}", save)
        pointer = place.parent / BEST
        write_aside(pointer, lambda path: path.write_text(place.name + "\n", encoding="utf-8"))
        self.checkpoints.remove_others(BEST, place)

    def save_halfway(self, timesteps: int, save: Callable[[Path], object]) -> None:
        """Keep the agent as the one halfway through the budget."""
        place = self.checkpoints.write(f"{HALFWAY}-{timesteps}", save)
        self.checkpoints.remove_others(HALFWAY, place)

    def best_timesteps(self) -> int:
        """Return the timesteps of the agent kept as the best; 0 if there is none."""
        kept = (read_text(self.path / CHECKPOINTS / BEST) or "").strip()
        number = kept.removeprefix(f"{BEST}-")
        return int(number) if number.isdigit() else 0

    def halfway_timesteps(self) -> int:
        """Return the timesteps of the agent kept halfway; 0 if there is none."""
        return max((t for t, name in self._kept_agents() if name.startswith(HALFWAY)), default=0)

    def checkpoint(self, name: CheckpointName) -> Path:
        """Return the folder that holds an agent's files: ``last``, ``best`` or ``halfway``.

        :param name: or a number of timesteps in digits, of which there is a checkpoint
        :raises CheckpointError: if there is none, with those that are kept
        """
        kept = self._kept_agents()
        folder = self.path / CHECKPOINTS
        if name == "last":
            folder = self.path
        elif name == "best":
            folder /= (read_text(folder / BEST) or "none").strip()
        elif name == "halfway":
            folder /= f"{HALFWAY}-{self.halfway_timesteps()}"
        else:
            folder /= next((entry for t, entry in kept if str(t) == name.lstrip("0")), "none")
        if not (folder / self.weights_file).is_file():
            cure = "Train it to the end: `rl train` resumes what is not finished."
            if kept and name not in {"last", "best"}:
                listed = ", ".join(f"{t}" for t in sorted({t for t, _ in kept}))
                cure = f"Kept are: last, best, untrained and timesteps {listed}."
            problem = Problem(f"There is no `{name}` agent here.", str(self.path), cure)
            raise CheckpointError(problem)
        if folder != self.path:
            verify(folder, "Choose another agent, or train again with `rl train … --fresh`.")
        return folder

    def _kept_agents(self) -> list[tuple[int, str]]:
        """Return the timesteps and folder names of the agents below checkpoints/."""
        folder = self.path / CHECKPOINTS
        names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
        numbers = [(name.rpartition("-")[2], name) for name in names if not name.startswith(".")]
        return [(int(number), name) for number, name in numbers if number.isdigit()]

    # --- what was measured ----------------------------------------------------------------------

    def open_episodes(self) -> IO[str]:
        """Open episodes.csv for appending, line-buffered; a new one gets its header."""
        with writing(self.path):
            file = (self.path / EPISODES).open("a", encoding="utf-8", buffering=1)
            if file.tell() == 0:
                file.write(",".join(EPISODE_COLUMNS) + "\n")
            return file

    @property
    def episodes_file(self) -> Path:
        """Every finished training episode, as CSV."""
        return self.path / EPISODES

    def open_log(self) -> IO[str]:
        """Open log.txt for appending: what the run's process prints."""
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            return (self.path / LOG).open("a", encoding="utf-8")

    def log_tail(self, n_lines: int = 60) -> list[str]:
        """Return the last lines of log.txt, into which anything may have been printed."""
        try:
            text = (self.path / LOG).read_text(encoding="utf-8", errors="replace")
        except OSError:  # it says why a run failed, and must not hide that it did
            return []
        return text.splitlines()[-n_lines:]

    @property
    def outputs(self) -> GrowingFiles:
        """The files that only grow while it trains: episodes.csv and TensorBoard's."""
        return GrowingFiles(self.path, (EPISODES, EVENTS))

    def save_evaluations(self, arrays: "Mapping[str, np.ndarray]") -> None:
        """Replace evaluations.npz."""
        from rl_runner.arrays import save_arrays

        write_aside(self.path / EVALUATIONS, lambda path: save_arrays(path, arrays))

    def load_evaluations(self) -> "dict[str, np.ndarray]":
        """Return the arrays of evaluations.npz; raises RunFolderError if they cannot be read."""
        from rl_runner.arrays import load_arrays

        path = self.path / EVALUATIONS
        try:
            return load_arrays(path)
        except (OSError, ValueError) as error:
            raise RunFolderError(Problem(f"Not readable: {error}", str(path))) from error


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
            aside = self.path / f".{CONFIG}.{os.getpid()}"
            aside.write_text(text, encoding="utf-8")
            aside.replace(self.path / CONFIG)

    def seeds(self) -> tuple[int, ...]:
        """Return the seeds that have a folder."""
        found = (seed_number(entry.name) for entry in self.path.glob(SEED_FOLDERS))
        return tuple(sorted(seed for seed in found if seed >= 0))

    def run(self, seed: int) -> RunFolder:
        """Return the folder of one seed."""
        return RunFolder(self.path / seed_name(seed), self.weights_file)
