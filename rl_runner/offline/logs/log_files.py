"""Log files to checked rows, in batches: Parquet by slices, JSON Lines by megabytes."""

import glob
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from rl_runner.errors import DataError, Problem, did_you_mean
from rl_runner.offline.logs.log_schema import COLUMNS
from rl_runner.offline.logs.refusals import Refusals
from rl_runner.offline.logs.row_checks import LINE, REASON, split_good_and_bad

READABLE = (".parquet", ".jsonl", ".ndjson")
BATCH_ROWS = 1_000_000
BATCH_BYTES = 64_000_000

# JSON has neither times nor enumerations: they are read as text and typed by the checks.
_JSON_TYPES: dict[str, pl.DataType] = {
    name: kind
    if isinstance(kind, pl.Boolean | pl.String)
    else pl.Float64()
    if kind.is_numeric()
    else pl.String()
    for name, kind in COLUMNS.items()
}

_NO_VALUES = (pl.Duration, pl.Time, pl.Object)


@dataclass(frozen=True)
class Batch:
    """Checked rows of one file, with their lines."""

    file: Path
    rows: pl.DataFrame


@dataclass
class LogReader:
    """Reads log files; what it refuses is in :attr:`refusals`.

    :param timezone: what timestamps without a zone mean; None refuses them
    :param now: later timestamps are refused; default: the clock
    """

    timezone: str | None = None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    refusals: Refusals = field(default_factory=Refusals)

    def batches(self, files: Iterable[Path]) -> Iterator[Batch]:
        """Yield the checked rows of every file.

        :raises DataError: if a file is missing, damaged, lacks a column or is mostly bad
        """
        for file in files:
            n_before = self.refusals.n_rows
            for raw in self._raw(file):
                yield Batch(file, self.check(raw, file))
            if self.refusals.n_rows == n_before:
                raise DataError(Problem("The file holds no rows.", str(file)))
            self.refusals.refuse_mostly_bad_files()

    def check(self, raw: pl.DataFrame, file: Path) -> pl.DataFrame:
        """Return the good rows of a frame that has the schema's columns; count the others."""
        self.refusals.count_rows(file, len(raw))
        good, bad = split_good_and_bad(raw, self.now, self.timezone)
        if len(bad):
            self.refusals.add(file, bad[LINE].to_list(), bad[REASON].to_list())
        return good

    def _raw(self, file: Path) -> Iterator[pl.DataFrame]:
        if file.suffix == ".parquet":
            return _read_parquet(file)
        if file.suffix in READABLE:
            return self._read_json_lines(file)
        cure = "Logs end in .parquet or .jsonl; `rl convert` makes one of a CSV."
        if file.is_dir():
            cure = f"It is a folder; name the files in it: {file}/*.parquet."
        raise DataError(Problem("Not a log by its name.", str(file), cure))

    def _read_json_lines(self, file: Path) -> Iterator[pl.DataFrame]:
        first_line = 1
        for chunk in _chunks(file):
            if first_line == 1:
                check_columns(_keys_of_first_row(chunk, file), file)
            n_lines = chunk.count(b"\n")
            try:
                frame = pl.read_ndjson(io.BytesIO(chunk), schema=_JSON_TYPES)
            except pl.exceptions.PolarsError:
                frame = None
            if frame is not None and len(frame) == n_lines:
                yield frame.with_row_index(LINE, first_line).with_columns(pl.col(LINE).cast(int))
            else:  # a line that is no JSON, of another type, or empty: line by line
                yield self._line_by_line(chunk, first_line, file)
            first_line += n_lines

    def _line_by_line(self, chunk: bytes, first_line: int, file: Path) -> pl.DataFrame:
        """Read what the quick reader will not: keep what is JSON, refuse the rest by line."""
        rows: list[dict[str, Any]] = []
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
                self.refusals.add(file, [number], ["not a JSON object"])
        columns = {name: [_scalar(row[name], name) for row in rows] for name in COLUMNS}
        lines = pl.Series(LINE, [row[LINE] for row in rows], pl.Int64)
        return pl.DataFrame(
            [lines, *(pl.Series(k, v, pl.String, strict=False) for k, v in columns.items())]
        )


def find_files(patterns: Iterable[str], base: Path = Path()) -> list[Path]:
    """Return the files that paths and globs name, each once, by name.

    :raises DataError: if a path or glob names nothing
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        matches = _named(base / pattern)
        if not matches:
            here = Path(pattern).parent
            beside = [p.name for p in (base / here).iterdir()] if (base / here).is_dir() else []
            cure = did_you_mean(Path(pattern).name, beside) or "Check `data.path`."
            raise DataError(Problem("There is no such log.", pattern, cure))
        found |= dict.fromkeys(map(Path, matches))
    return list(found)


def _named(place: Path) -> list[str]:
    """Return the file of exactly this name, brackets and all, or else what the glob finds."""
    if place.is_file():
        return [str(place)]
    return sorted(glob.glob(str(place), recursive=True))  # noqa: PTH207 - ** and absolute ones


def check_columns(found: Iterable[str], file: Path) -> None:
    """Refuse a file that lacks columns, and guess what they are called there."""
    names = list(found)
    missing = [name for name in COLUMNS if name not in names]
    if not missing:
        return
    others = [name for name in names if name not in COLUMNS]
    guesses = [(name, did_you_mean(name, others)) for name in missing]
    told = ", ".join(f"`{name}`" for name in missing)
    hints = " ".join(f"For `{name}`: {guess}" for name, guess in guesses if guess)
    cure = f"{hints} `rl convert --columns` renames columns.".strip()
    raise DataError(Problem(f"Columns are missing: {told}.", str(file), cure))


def check_types(schema: Mapping[str, pl.DataType], file: Path) -> None:
    """Refuse a table of which a column holds what cannot be one value of a log."""
    for name, wanted in COLUMNS.items():
        given = schema[name]
        is_flag = given == pl.Boolean and wanted != pl.Boolean
        if is_flag or given.is_nested() or given in _NO_VALUES:
            cure = f"A log has {wanted} there; `rl convert --columns` takes it from another column."
            raise DataError(Problem(f"The column `{name}` holds {given}.", str(file), cure))


def _read_parquet(file: Path) -> Iterator[pl.DataFrame]:
    try:
        lazy = pl.scan_parquet(file, glob=False)  # the name is meant as it stands
        schema = lazy.collect_schema()
        check_columns(schema.names(), file)
        check_types(schema, file)
        wanted = lazy.select(*COLUMNS)
        n_rows = int(wanted.select(pl.len()).collect().item())
        for start in range(0, n_rows, BATCH_ROWS):
            frame = wanted.slice(start, BATCH_ROWS).collect()
            yield frame.with_row_index(LINE, start + 1).with_columns(pl.col(LINE).cast(int))
    except (pl.exceptions.PolarsError, OSError) as error:
        what = f"Not a whole Parquet file: {str(error).splitlines()[0]}."
        cure = "It was cut off or damaged on the way: copy it again."
        raise DataError(Problem(what, str(file), cure)) from None


def _chunks(file: Path) -> Iterator[bytes]:
    """Yield a file in pieces of whole lines, each line ended."""
    try:
        with file.open("rb") as stream:
            while piece := stream.read(BATCH_BYTES):
                piece += stream.readline()
                yield piece if piece.endswith(b"\n") else piece + b"\n"
    except OSError as error:
        raise DataError(Problem(f"Cannot be read: {error.strerror}.", str(file))) from None


def _keys_of_first_row(chunk: bytes, file: Path) -> list[str]:
    """Return the keys of the first line that is a JSON object."""
    for line in chunk.splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            return list(row)
    raise DataError(Problem("No line of it is a JSON object.", str(file)))


def _scalar(value: object, name: str) -> str | None:
    """Return a JSON value as text that the checks can type; what has another type, marked."""
    if value is None:
        return None
    wanted = _JSON_TYPES[name]
    if isinstance(value, bool):
        return str(value).lower() if wanted == pl.Boolean else f"{value} (a truth value)"
    if isinstance(value, str):
        return value if wanted == pl.String else f"'{value}'"
    if isinstance(value, int | float) and wanted != pl.Boolean:
        return repr(value)
    return json.dumps(value)
