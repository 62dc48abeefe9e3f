"""Where logs come from: files by paths and globs, their formats, gzip, and errors that help."""

import glob
import gzip
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl

from rl_runner.errors import DataError, Problem, did_you_mean
from rl_runner.offline.store.database import StoreUrl, is_store_url

JSON_LINES = (".jsonl", ".ndjson")
_ANY_ZONE = "POLARS_IGNORE_TIMEZONE_PARSE_ERROR"

LogSource = Path | StoreUrl


def find_files(patterns: Iterable[str], base: Path = Path()) -> list[LogSource]:
    """Return the stores and the files that paths and globs match, each once, ordered by name.

    :raises DataError: if a path or glob matches nothing
    """
    found: dict[LogSource, None] = {}
    for pattern in patterns:
        if is_store_url(pattern):
            found[StoreUrl(pattern)] = None
            continue
        matches = _matches(base / pattern)
        if not matches:
            here = Path(pattern).parent
            beside = [p.name for p in (base / here).iterdir()] if (base / here).is_dir() else []
            cure = did_you_mean(Path(pattern).name, beside) or "Check `data.path`."
            raise DataError(Problem("There is no such log.", pattern, cure))
        found |= dict.fromkeys(map(Path, matches))
    return list(found)


def _matches(place: Path) -> list[str]:
    """Return what a glob matches; the part of it that exists by exactly this name is no pattern."""
    # Brackets are common in names of files and folders: `log[1].csv` is not `log1.csv`.
    parts = place.parts
    literal = max(n for n in range(len(parts) + 1) if n == 0 or Path(*parts[:n]).exists())
    if literal == len(parts):
        return [str(place)]
    pattern = Path(glob.escape(str(Path(*parts[:literal]))), *parts[literal:])
    return sorted(glob.glob(str(pattern), recursive=True))  # noqa: PTH207 - ** and absolute ones


def format_of(file: Path) -> str:
    """Return the suffix that says a file's format, in lower case, without that of gzip."""
    name = file.with_suffix("") if file.suffix.lower() in {".gz", ".zst"} else file
    return name.suffix.lower()


def is_log(file: Path) -> bool:
    """Return whether a file name is that of a log: Parquet or (compressed) JSON Lines."""
    return file.suffix.lower() == ".parquet" or format_of(file) in JSON_LINES


def open_bytes(file: Path) -> BinaryIO:
    """Open a file for reading, and decompress it if its name ends in .gz.

    :raises DataError: if it is compressed in another way
    """
    if file.suffix.lower() == ".zst":
        raise DataError(
            Problem("Zstandard files are not read.", str(file), f"Run `zstd -d {file.name}` first.")
        )
    if file.suffix.lower() == ".gz":
        return cast("BinaryIO", gzip.open(file, "rb"))
    return file.open("rb")


@contextmanager
def reading(file: Path, kind: str = "file") -> Iterator[None]:
    """Turn whatever reading raises into a DataError that names the file."""
    try:
        yield
    except FileNotFoundError:
        here = file.parent
        beside = [path.name for path in here.iterdir()] if here.is_dir() else []
        cure = did_you_mean(file.name, beside) or "Check the path."
        what = "The file cannot be read: there is no such file."
        raise DataError(Problem(what, str(file), cure)) from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        what, cure = "The gzip file is incomplete or damaged.", "Copy it again."
        raise DataError(Problem(what, str(file), cure)) from None
    except OSError as error:
        if error.strerror is None:  # of polars
            raise DataError(_damaged(error, file, kind)) from None
        raise DataError(Problem(f"The file cannot be read: {error.strerror}.", str(file))) from None
    except pl.exceptions.PolarsError as error:
        raise DataError(_damaged(error, file, kind)) from None
    except BaseException as error:
        # A panic in polars is no Exception, so that nothing else would stop it.
        if type(error).__name__ != "PanicException":
            raise
        raise DataError(_damaged(error, file, kind)) from None


def _damaged(error: BaseException, file: Path, kind: str) -> Problem:
    first = (str(error).splitlines() or [type(error).__name__])[0]
    what = f"The {kind} is incomplete or damaged: {first}."
    return Problem(what, str(file), "Copy it again.")


def scan_parquet(file: Path) -> pl.LazyFrame:
    """Return a Parquet file's rows, times with a zone as the instants that the file stores.

    Zones may be such as +05:30, as pandas writes an offset: polars does not know them, and panics.
    Evaluate the result by :func:`collect`.
    """
    with _any_zone():
        lazy = pl.scan_parquet(file, glob=False)  # brackets in the name are meant literally
        schema = lazy.collect_schema()
    instants = [
        pl.col(name).to_physical().cast(pl.Datetime(kind.time_unit, "UTC"))
        for name, kind in schema.items()
        if isinstance(kind, pl.Datetime) and kind.time_zone not in {None, "UTC"}
    ]
    return lazy.with_columns(instants) if instants else lazy


def collect(lazy: pl.LazyFrame) -> pl.DataFrame:
    """Evaluate what :func:`scan_parquet` returned."""
    with _any_zone():
        return lazy.collect()


def schema_of(lazy: pl.LazyFrame) -> pl.Schema:
    """Return the columns of what :func:`scan_parquet` returned."""
    with _any_zone():
        return lazy.collect_schema()


@contextmanager
def _any_zone() -> Iterator[None]:
    """Let polars accept time zones that it does not know."""
    before = os.environ.get(_ANY_ZONE)
    os.environ[_ANY_ZONE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_ANY_ZONE]
        else:
            os.environ[_ANY_ZONE] = before
