"""What a run measures while it trains: episodes, periodic evaluations, TensorBoard's curves."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from rl_runner.errors import Problem, RunFolderError
from rl_runner.layout import EPISODE_COLUMNS, EPISODES, EVALUATIONS, EVENTS
from rl_runner.runs.disk import flush_to_disk, write_aside, writing

if TYPE_CHECKING:
    import numpy as np


class GrowingFiles:
    """The files of a folder that match ``patterns``; a checkpoint records their sizes."""

    def __init__(self, folder: Path, patterns: Sequence[str]) -> None:
        self.folder = folder
        self.patterns = patterns

    def sizes(self) -> dict[str, int]:
        """Return each file's size in bytes, once its content has reached the disk.

        A checkpoint that relies on them thus survives a power cut.
        """
        found = {}
        for file in self._files():
            flush_to_disk(file)
            found[file.name] = file.stat().st_size
        return found

    def missing(self, sizes: Mapping[str, int]) -> list[Path]:
        """Return the files that have lost some of what :meth:`sizes` measured."""
        files = [(self.folder / name, size) for name, size in sizes.items()]
        return [file for file, size in files if not file.is_file() or file.stat().st_size < size]

    def cut(self, sizes: Mapping[str, int]) -> None:
        """Remove what was written after :meth:`sizes` was called.

        :raises RunFolderError: if a file has lost what it had then
        """
        for file in self.missing(sizes):
            what = "The file is shorter than at the checkpoint."
            cure = "It was edited or damaged: `rl train … --fresh` trains this seed again."
            raise RunFolderError(Problem(what, str(file), cure))
        with writing(self.folder):
            for file in self._files():
                if file.name in sizes:
                    os.truncate(file, sizes[file.name])
                else:
                    file.unlink()

    def _files(self) -> Iterator[Path]:
        for pattern in self.patterns:
            yield from self.folder.glob(pattern)


class Measurements:
    """The files of one run's measurements.

    :param path: the run's folder
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def tensorboard_dir(self) -> Path:
        """Where event files go: the run itself, so that TensorBoard names it as the folder does."""
        return self.path

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
