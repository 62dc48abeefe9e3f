"""The agents that a run keeps: the last, the best, the one halfway, one per checkpoint."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from rl_runner.errors import CheckpointError, Problem
from rl_runner.layout import BEST, CHECKPOINTS, HALFWAY, number_after
from rl_runner.runs.checkpoints import TRAIN_AGAIN, CheckpointStore, verify
from rl_runner.runs.disk import write_aside, writing

LONGEST_NAME = 100  # characters of a checkpoint's name, and more
CheckpointName = str  # last, best, halfway, untrained, or a number of timesteps in digits


class SavedAgents:
    """The saved agents of one run.

    :param path: the run's folder
    :param weights_file: the file name of an agent's parameters
    """

    def __init__(self, path: Path, weights_file: str) -> None:
        self.path = path
        self.weights_file = weights_file
        self._store = CheckpointStore(path / CHECKPOINTS)

    @property
    def weights(self) -> Path:
        """The agent at the end of training."""
        return self.path / self.weights_file

    def save_final(self, save: Callable[[Path], object]) -> None:
        """Let ``save`` write the finished agent's files into a folder, then put them in place."""
        with writing(self.path), tempfile.TemporaryDirectory(dir=self.path, prefix=".new-") as new:
            save(Path(new))
            for file in Path(new).iterdir():
                file.replace(self.path / file.name)

    def save_best(self, timesteps: int, save: Callable[[Path], object]) -> None:
        """Keep the agent as the best so far; the one before it is removed."""
        place = self._store.write(f"{BEST}-{timesteps}", save)
        pointer = place.parent / BEST
        write_aside(pointer, lambda path: path.write_text(place.name + "\n", encoding="utf-8"))
        self._store.remove_others(BEST, place)

    def save_halfway(self, timesteps: int, save: Callable[[Path], object]) -> None:
        """Keep the agent as the one halfway through the budget."""
        place = self._store.write(f"{HALFWAY}-{timesteps}", save)
        self._store.remove_others(HALFWAY, place)

    def best_timesteps(self) -> int:
        """Return the timesteps of the agent kept as the best; 0 if there is none.

        :raises CheckpointError: if it is damaged
        """
        place = self._best()
        if place is None:
            return 0
        verify(place, TRAIN_AGAIN)
        return number_after(f"{BEST}-", place.name) or 0

    def halfway_timesteps(self) -> int:
        """Return the timesteps of the agent kept halfway; 0 if there is none."""
        return max((t for t, name in self._kept_agents() if name.startswith(HALFWAY)), default=0)

    def find(self, name: CheckpointName) -> Path:
        """Return the folder that holds an agent's files: ``last``, ``best`` or ``halfway``.

        :param name: or a number of timesteps in digits, of which there is a checkpoint
        :raises CheckpointError: if there is none, with those that are kept
        """
        # Where its files would be.
        kept = self._kept_agents()
        folder = self.path / CHECKPOINTS
        if name == "last":
            folder = self.path
        elif name == "best":
            folder = self._best() or folder / "none"
        elif name == "halfway":
            folder /= f"{HALFWAY}-{self.halfway_timesteps()}"
        else:
            folder /= next((entry for t, entry in kept if str(t) == name.lstrip("0")), "none")
        # Refuse a name without an agent, and files that are damaged.
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
        numbers = [(number_after("", name.rpartition("-")[2]), name) for name in names]
        return [
            (number, name)
            for number, name in numbers
            if number is not None and not name.startswith(".")
        ]

    def _best(self) -> Path | None:
        """Return the folder of the best agent; None if there is none yet.

        A text file says which it is. If that file is damaged and only one ``best-<timesteps>`` is
        kept, it is that one.

        :raises CheckpointError: if the file is damaged and several are kept, or none
        """
        pointer = self._store.path / BEST
        if not os.path.lexists(pointer):
            return None
        # Follow the pointer if it is sound; else take the only agent there is.
        try:
            with pointer.open(encoding="utf-8") as file:
                name = file.read(LONGEST_NAME).strip()
        except (OSError, UnicodeDecodeError):
            name = ""
        kept = self._store.named(f"{BEST}-")
        if number_after(f"{BEST}-", name) is not None:
            return self._store.path / name
        if len(kept) == 1:
            return kept[0]
        # Ask the user to choose.
        what = "The file that says which agent is the best is damaged."
        cure = TRAIN_AGAIN
        if kept:
            names = ", ".join(sorted(place.name for place in kept))
            cure = f"Write one of these names into it: {names}. Or: {TRAIN_AGAIN}"
        raise CheckpointError(Problem(what, str(pointer), cure))
