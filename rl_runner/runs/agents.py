"""The agents that a run keeps: the last, the best, the one halfway, one per checkpoint."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from rl_runner.errors import CheckpointError, Problem
from rl_runner.runs.checkpoints import CheckpointStore, verify
from rl_runner.runs.disk import read_text, write_aside, writing
from rl_runner.runs.layout import BEST, CHECKPOINTS, HALFWAY

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
        """Return the timesteps of the agent kept as the best; 0 if there is none."""
        kept = (read_text(self.path / CHECKPOINTS / BEST) or "").strip()
        number = kept.removeprefix(f"{BEST}-")
        return int(number) if number.isdigit() else 0

    def halfway_timesteps(self) -> int:
        """Return the timesteps of the agent kept halfway; 0 if there is none."""
        return max((t for t, name in self._kept_agents() if name.startswith(HALFWAY)), default=0)

    def find(self, name: CheckpointName) -> Path:
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
