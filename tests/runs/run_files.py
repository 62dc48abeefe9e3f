"""Helpers of the tests of run folders: files to save, and crashes while they are written."""

from collections.abc import Callable
from pathlib import Path


class PowerCutError(Exception):
    """Stands for whatever ends a process in the middle of a write."""


def saver(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "model.zip").write_text(text)


def files_below(path: Path) -> set[str]:
    return {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}


def write_half_then_die(path: Path, text: str, **_: object) -> int:
    with path.open("w") as file:
        file.write(text[: len(text) // 2])
    raise PowerCutError
