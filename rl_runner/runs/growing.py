"""Files that only grow while a run trains, and that go back to a checkpoint with it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rl_runner.errors import Problem, RunFolderError
from rl_runner.runs.disk import flush_to_disk, writing


class GrowingFiles:
    """The files of a folder that match ``patterns``; each is cut to what a checkpoint knew."""

    def __init__(self, folder: Path, patterns: Sequence[str]) -> None:
        self.folder = folder
        self.patterns = patterns

    def sizes(self) -> dict[str, int]:
        """Return each file's size in bytes, when what it holds has reached the disk.

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
        """Take back what was written after :meth:`sizes` was called.

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
