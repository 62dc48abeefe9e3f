"""Logs: read into checked rows, batch by batch, and written whole.

Parquet is read by slices of rows, JSON Lines by megabytes, the store of a service by its exporter.
"""

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import polars as pl

from rl_runner.errors import ConfigError, DataError, Problem, did_you_mean
from rl_runner.offline.domains import find_domain
from rl_runner.offline.logs.local_times import TIME_FORMAT, AmbiguousTimes, check_zone
from rl_runner.offline.logs.log_schema import COLUMNS
from rl_runner.offline.logs.refusals import Refusals
from rl_runner.offline.logs.row_checks import LINE, REASON, split_good_and_bad
from rl_runner.offline.logs.sources import (
    LogSource,
    collect,
    is_log,
    open_bytes,
    reading,
    scan_parquet,
    schema_of,
)
from rl_runner.offline.store.database import StoreUrl
from rl_runner.offline.store.export import Export
from rl_runner.runs.disk import write_aside, writing

LOG_SUFFIXES = (".parquet", ".jsonl")  # that are written
NOT_AN_OBJECT = "not a JSON object"
BATCH_ROWS = 1_000_000
BATCH_BYTES = 64_000_000
FIRST_ROWS = 100  # whose keys are the columns of JSON Lines

# JSON has neither times nor enumerations: they are read as text, and the checks convert them.
_JSON_TYPES: dict[str, pl.DataType] = {
    name: kind
    if isinstance(kind, pl.Boolean | pl.String)
    else pl.Float64()
    if kind.is_numeric()
    else pl.String()
    for name, kind in COLUMNS.items()
}

_NEVER_VALID = (pl.Duration, pl.Time, pl.Object)


@dataclass(frozen=True)
class Batch:
    """Checked rows of one file or store, with their line numbers."""

    file: LogSource
    rows: pl.DataFrame


@dataclass
class LogReader:
    """Reads log files and collects what it refuses in :attr:`refusals`.

    :param timezone: what timestamps without a zone mean; None refuses them
    :param ambiguous_times: which of two instants is meant when clocks go back; None refuses both
    :param now: later timestamps are refused; default: the clock
    :raises ConfigError: if times cannot be converted from the time zone
    """

    timezone: str | None = None
    ambiguous_times: AmbiguousTimes | None = None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    refusals: Refusals = field(default_factory=Refusals)

    def __post_init__(self) -> None:
        """Check the time zone before any file is read."""
        check_zone(self.timezone, "data.timezone")

    def batches(self, files: Iterable[LogSource]) -> Iterator[Batch]:
        """Yield the checked rows of every file.

        :raises DataError: if a file is missing, damaged, lacks a column or is mostly bad
        """
        empty: list[LogSource] = []
        for file in files:
            n_before = self.refusals.n_rows
            for raw in self._raw(file):
                yield Batch(file, self.check(raw, file))
            if self.refusals.n_rows == n_before:
                empty.append(file)  # one of several parts may be, as Spark writes them
            self.refusals.refuse_mostly_bad_files()
        if empty and self.refusals.n_rows == 0:
            raise _no_rows(empty)

    def check(self, raw: pl.DataFrame, file: LogSource) -> pl.DataFrame:
        """Return the good rows of a frame that has the schema's columns; count the others."""
        self.refusals.count_rows(file, len(raw))
        good, bad = split_good_and_bad(raw, self.now, self.timezone, self.ambiguous_times)
        if len(bad):
            self.refusals.add(file, bad[LINE].to_list(), bad[REASON].to_list())
        return good

    def _raw(self, file: LogSource) -> Iterator[pl.DataFrame]:
        """Yield the unchecked rows of a store, or of a file by its suffix."""
        if isinstance(file, StoreUrl):
            return _read_store(file, self.now)
        if file.suffix.lower() == ".parquet":
            return _read_parquet(file)
        if is_log(file):
            return self._read_json_lines(file)
        cure = "Logs end in .parquet, .jsonl or .jsonl.gz; `rl convert` turns a CSV into one."
        if file.is_dir():
            cure = f"This is a folder; name the files in it: {file}/*.parquet."
        raise DataError(Problem("This file name is not that of a log.", str(file), cure))

    def _read_json_lines(self, file: Path) -> Iterator[pl.DataFrame]:
        first_line = 1
        for chunk in _chunks(file):
            if first_line == 1 and chunk.strip():  # without any row, no column is missing
                check_columns(_keys_of_first_rows(chunk, file), file)
            # The quick way: all lines are valid JSON objects of the expected types.
            n_lines = chunk.count(b"\n")
            try:
                frame = pl.read_ndjson(io.BytesIO(chunk), schema=_JSON_TYPES)
            except (pl.exceptions.PolarsError, RuntimeError):  # the latter in older versions
                frame = None
            if frame is not None and len(frame) == n_lines:
                yield frame.with_row_index(LINE, first_line).with_columns(pl.col(LINE).cast(int))
            else:  # a line is empty, not JSON, or has other types
                yield self._line_by_line(chunk, first_line, file)
            first_line += n_lines

    def _line_by_line(self, chunk: bytes, first_line: int, file: Path) -> pl.DataFrame:
        """Read a chunk that the quick reader refuses: keep JSON objects, refuse other lines."""
        rows: list[dict[str, Any]] = []
        # Keep each line that holds an object, and count the others as refused.
        for number, line in enumerate(chunk.splitlines(), first_line):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if isinstance(row, dict):
                rows.append({LINE: number, **{name: row.get(name) for name in COLUMNS}})
            else:
                self.refusals.count_rows(file, 1)
                self.refusals.add(file, [number], [NOT_AN_OBJECT])
        # Give the quick reader's checks the same columns: everything as text.
        columns = {name: [_scalar(row[name], name) for row in rows] for name in COLUMNS}
        lines = pl.Series(LINE, [row[LINE] for row in rows], pl.Int64)
        return pl.DataFrame(
            [lines, *(pl.Series(k, v, pl.String, strict=False) for k, v in columns.items())]
        )


def check_columns(found: Iterable[str], file: Path) -> None:
    """Raise DataError if columns are missing, and guess their names in the file."""
    names = list(found)
    missing = [name for name in COLUMNS if name not in names]
    if not missing:
        return
    others = [name for name in names if name not in COLUMNS]
    guesses = [(name, did_you_mean(name, others)) for name in missing]
    listed = ", ".join(f"`{name}`" for name in missing)
    hints = " ".join(f"For `{name}`: {guess}" for name, guess in guesses if guess)
    cure = f"{hints} `rl convert --columns` renames columns.".strip()
    raise DataError(Problem(f"Columns are missing: {listed}.", str(file), cure))


def check_types(schema: Mapping[str, pl.DataType], file: Path) -> None:
    """Raise DataError if a column has a type whose values no log can hold."""
    for name, wanted in COLUMNS.items():
        given = schema[name]
        is_flag = given == pl.Boolean and wanted != pl.Boolean
        if is_flag or given.is_nested() or given in _NEVER_VALID:
            cure = f"A log has {wanted} there; `rl convert --columns` can take another column."
            raise DataError(Problem(f"The column `{name}` holds {given}.", str(file), cure))


def _no_rows(empty: Sequence[LogSource]) -> DataError:
    """Return what is said of sources that are all empty."""
    names = ", ".join(each.name for each in empty)
    if not any(isinstance(each, StoreUrl) for each in empty):
        return DataError(Problem("The file holds no rows.", names))
    what = "The store has no decision that can be learned from yet."
    cure = "A decision counts once it was shown and the service's `wait` has passed; "
    return DataError(Problem(what, names, f"{cure}`rl export` says how many still wait."))


def _read_parquet(file: Path) -> Iterator[pl.DataFrame]:
    """Yield a file's rows in slices, each row numbered from 1."""
    with reading(file, "Parquet file"):
        lazy = scan_parquet(file)
        schema = schema_of(lazy)
        check_columns(schema.names(), file)
        check_types(schema, file)
        wanted = lazy.select(*COLUMNS)
        n_rows = int(collect(wanted.select(pl.len())).item())
    for start in range(0, n_rows, BATCH_ROWS):
        with reading(file, "Parquet file"):
            frame = collect(wanted.slice(start, BATCH_ROWS))
        yield frame.with_row_index(LINE, start + 1).with_columns(pl.col(LINE).cast(int))


def _read_store(url: StoreUrl, now: datetime) -> Iterator[pl.DataFrame]:
    """Yield the rows that a service's exporter gives, each numbered from 1."""
    export = Export(url, now=round(now.timestamp() * 1e6))
    domain = find_domain(export.domain_name(), str(url))
    first = 1
    for frame in export.frames(domain):
        yield frame.with_row_index(LINE, first).with_columns(pl.col(LINE).cast(int))
        first += len(frame)


def _chunks(file: Path) -> Iterator[bytes]:
    """Yield a file in pieces of whole lines, each line ended."""
    with reading(file), open_bytes(file) as stream:
        while piece := stream.read(BATCH_BYTES):
            piece += stream.readline()
            yield piece if piece.endswith(b"\n") else piece + b"\n"


def _keys_of_first_rows(chunk: bytes, file: Path) -> list[str]:
    """Return the keys of the first JSON objects; some writers leave out what is missing in a row.

    :raises DataError: if no line is a JSON object
    """
    keys: dict[str, None] = {}
    n_objects = 0
    for line in io.BytesIO(chunk):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            keys |= dict.fromkeys(row)
            n_objects += 1
            if n_objects == FIRST_ROWS:
                break
    if not n_objects:
        raise DataError(Problem("No line of the file is a JSON object.", str(file)))
    return list(keys)


def _scalar(value: object, name: str) -> str | None:
    """Return a JSON value as text that the checks can convert; mark one of another type."""
    if value is None:
        return None
    wanted = _JSON_TYPES[name]
    if isinstance(value, bool):
        is_word = wanted in (pl.Boolean, pl.String)  # identities are checked later
        return str(value).lower() if is_word else f"{value} (a boolean)"
    if isinstance(value, str):
        return value if wanted == pl.String else f"'{value}'"
    if isinstance(value, int | float) and wanted != pl.Boolean:
        return repr(value)
    return json.dumps(value)


def check_suffix(path: Path) -> None:
    """Raise ConfigError if a file name does not end in a format that can be written."""
    if path.suffix not in LOG_SUFFIXES:
        what = f"`{path.name}` does not say which format to write."
        raise ConfigError(Problem(what, str(path), "End the name in .parquet or .jsonl."))


def write_log(frame: pl.DataFrame, path: Path) -> None:
    """Write rows that have the columns of the schema; the suffix says in which format.

    :raises RunFolderError: if the file cannot be written
    """
    check_suffix(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        write_aside(path, lambda aside: _write_parquet(frame, aside))
    else:
        texts = frame.with_columns(pl.col("ts").dt.strftime(TIME_FORMAT))
        write_aside(path, texts.write_ndjson)


def _write_parquet(frame: pl.DataFrame, path: Path) -> None:
    """Write a Parquet file; raises OSError if there is no space, which Polars hides."""
    with path.open("wb") as file:
        output = _Output(file)
        try:
            frame.write_parquet(output, compression="zstd")  # type: ignore[arg-type]
        except pl.exceptions.PolarsError:
            if output.error is None:
                raise
            raise output.error from None


class _Output:
    """A file that remembers why it could not be written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, content: bytes) -> int:
        """Write, as Polars asks for."""
        try:
            return self._file.write(content)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        """Leave it to the file, which is closed next."""
