"""Whole checkpoints: written aside, hashed, renamed; a damaged one is noticed and skipped."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from rl_runner.errors import CheckpointError, Problem
from rl_runner.layout import CHECKSUMS, EXIT, number_after
from rl_runner.runs.disk import flush_to_disk, parse_json, writing

TRAIN_AGAIN = "`rl train … --fresh` trains this seed again."


class CheckpointStore:
    """The folder ``checkpoints/`` of a run: one folder per checkpoint, named by its timesteps.

    A run can also resume from ``exit-<timesteps>``: it was asked to stop there, between two regular
    checkpoints.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, save: Callable[[Path], object]) -> Path:
        """Let ``save`` fill a new folder, hash its files and put it in place, all or nothing."""
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            # Fill a folder of another name.
            new = Path(tempfile.mkdtemp(dir=self.path, prefix=".new-"))
            try:
                new.chmod(0o755)
                save(new)
                sums = {file.name: _sha256(file) for file in sorted(new.iterdir())}
                (new / CHECKSUMS).write_text(json.dumps(sums, indent=1), encoding="utf-8")
                # Once all of it has reached the disk, rename it.
                for file in new.iterdir():
                    flush_to_disk(file)
                place = self.path / name
                if place.exists():
                    shutil.rmtree(place)
                new.replace(place)
                flush_to_disk(self.path)
            except BaseException:
                shutil.rmtree(new, ignore_errors=True)
                raise
        return place

    def write_exit(self, timesteps: int, save: Callable[[Path], object]) -> None:
        """Write what an interrupted run needs to resume; remove an earlier exit checkpoint."""
        self.remove_others(EXIT, self.write(f"{EXIT}-{timesteps}", save))

    def whole_ones(self, warn: Callable[[str], None]) -> Iterator[Path]:
        """Yield the undamaged checkpoints, newest first; call ``warn`` for each damaged one."""
        for place in sorted([*self._regular(), *self._exits()], key=_timesteps, reverse=True):
            try:
                verify(place)
            except CheckpointError as error:
                warn(f"{error} It is skipped.")
            else:
                yield place

    def newest_timesteps(self) -> int:
        """Return the timesteps of the newest checkpoint, damaged or not; 0 if there is none."""
        return max(map(_timesteps, [*self._regular(), *self._exits()]), default=0)

    def keep_newest(self, n: int) -> None:
        """Remove all regular ones but the newest ``n``, and what a newer one makes superfluous.

        That is an earlier exit, and what a crash left half-written.
        """
        regular = self._regular()
        newest = _timesteps(regular[-1]) if regular else 0
        with writing(self.path):
            for place in regular[: -n or None]:
                shutil.rmtree(place)
            for place in self._exits():
                if _timesteps(place) <= newest:
                    shutil.rmtree(place)
            for leftover in self.path.glob(".new-*"):
                shutil.rmtree(leftover)

    def remove(self, place: Path) -> None:
        """Remove one checkpoint."""
        with writing(self.path):
            shutil.rmtree(place)

    def remove_others(self, kind: str, place: Path) -> None:
        """Remove all of ``<kind>-<timesteps>`` but ``place``."""
        with writing(self.path):
            for other in self.path.glob(f"{kind}-*"):
                if other != place:
                    shutil.rmtree(other)

    def _regular(self) -> list[Path]:
        """Return the regular checkpoints' folders, oldest first."""
        return sorted(self.named(""), key=_timesteps)

    def _exits(self) -> list[Path]:
        return self.named(f"{EXIT}-")

    def named(self, prefix: str) -> list[Path]:
        """Return the entries whose names are ``prefix`` and a number."""
        entries = self.path.iterdir() if self.path.is_dir() else ()
        return [place for place in entries if number_after(prefix, place.name) is not None]


def _timesteps(place: Path) -> int:
    return int(place.name.removeprefix(f"{EXIT}-"))


def verify(place: Path, cure: str = "") -> None:
    """Compare every file of a checkpoint with its hash.

    :param cure: what to do about it, for the error
    :raises CheckpointError: naming the first file that is missing or damaged
    """
    try:
        sums = parse_json((place / CHECKSUMS).read_text(encoding="utf-8"))
        if not sums:
            raise CheckpointError(Problem("Its checksums are empty.", str(place), cure))
        damaged = [name for name, digest in sums.items() if _sha256(place / name) != digest]
    except (OSError, ValueError, AttributeError) as error:
        what = f"Incomplete checkpoint: {error}."
        raise CheckpointError(Problem(what, str(place), cure)) from None
    if damaged:
        what = f"Damaged checkpoint: `{damaged[0]}` is not what was written."
        raise CheckpointError(Problem(what, str(place), cure))


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
