"""Reading and writing so that a file appears whole or not at all, and refusals are explained."""

import contextlib
import errno
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import Timeout

from rl_runner.errors import DiskFullError, Problem, RunFolderError

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a refused write (a full disk, a read-only folder) into an error that explains it."""
    try:
        yield
    except OSError as error:
        if isinstance(error, Timeout):
            raise
        number = _system_error(error)
        what = f"Cannot write: {os.strerror(number) if number else error}."
        cure = "Free some space, or choose another place (`--runs-dir`, `--out`)."
        kind = DiskFullError if number in FULL else RunFolderError
        raise kind(Problem(what, str(error.filename or path), cure)) from error


def is_full_disk(error: BaseException | None) -> bool:
    """Whether a full disk caused an error, also if another library replaced the first error."""
    while error is not None:
        if isinstance(error, DiskFullError) or _system_error(error) in FULL:
            return True
        error = error.__cause__ or error.__context__
    return False


def _system_error(error: BaseException) -> int | None:
    """Return the number of an operating system's error; None for any other error."""
    if not isinstance(error, OSError) or error.errno:
        return getattr(error, "errno", None)
    named = re.search(r"\(os error ([0-9]+)\)", str(error))  # Polars has it in the text only
    return int(named[1]) if named else None


def write_aside(place: Path, write: Callable[[Path], object], suffix: str = "new") -> None:
    """Let ``write`` create a temporary file beside ``place``, then rename it to ``place``.

    :param suffix: of the temporary file's name; two processes that may write at once need two
    """
    aside = place.with_name(f".{place.name}.{suffix}")
    with writing(place):
        try:
            write(aside)
            aside.replace(place)
        except Exception as error:
            with contextlib.suppress(OSError):  # a partial file, which may take up the last space
                aside.unlink()
            if isinstance(error, OSError) and error.filename == str(aside):
                error.filename = str(place)  # the temporary name would tell the reader nothing
            raise


def read_text(path: Path) -> str | None:
    """Return a file's text; None if there is no such file.

    :raises RunFolderError: if it is there and cannot be read as text
    """
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise RunFolderError(Problem(f"Not readable: {error}", str(path))) from error


def parse_json(text: str) -> Any:
    """Return the value of a JSON document that a person may have edited.

    :raises ValueError: if it is not JSON, is nested too deeply, or names half a character, which
        could be neither printed nor written
    """
    try:
        value = json.loads(text)
        if "\\ud" in text.lower():
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        message = f"Not valid JSON: half a character ({error.object[error.start]!r})."
        raise ValueError(message) from None
    except (ValueError, RecursionError) as error:
        message = f"Not valid JSON: {error}."
        raise ValueError(message) from None
    return value


def flush_to_disk(path: Path) -> None:
    """Make sure that a power cut cannot lose what a file or folder holds now."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
