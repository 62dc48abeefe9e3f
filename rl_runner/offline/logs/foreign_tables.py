"""Tables of other tools: CSV as people have it, JSON Lines with nested fields, Parquet.

CSV and JSON Lines become text, which the checks of a log convert.
"""

import codecs
import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from rl_runner.errors import ConfigError, DataError, Problem
from rl_runner.offline.logs.column_types import IDENTITIES
from rl_runner.offline.logs.log_schema import COLUMNS
from rl_runner.offline.logs.row_checks import LINE
from rl_runner.offline.logs.sources import (
    JSON_LINES,
    collect,
    format_of,
    open_bytes,
    reading,
    scan_parquet,
)

CSV = (".csv", ".tsv", ".tab", ".txt")
JSON = (*JSON_LINES, ".json", ".dsjson")
FIRST_IN_POWERS = 1e16  # the least float that Python writes as 1e+16
_SEPARATORS = ",;\t|"  # of equally good ones the first
_EXCEL_SEPARATOR = re.compile(r'^"?sep=(.)"?\r?$')


@dataclass(frozen=True)
class Table:
    """Rows with their lines in the file (column :data:`LINE`), before they are checked."""

    rows: pl.DataFrame
    not_rows: tuple[int, ...] = ()  # lines that are not a JSON object
    decimal_comma: bool = False  # whether 0,5 can only be a half


def read_table(file: Path, encoding: str | None = None) -> Table:
    """Read a foreign table.

    :param encoding: of a CSV; default: UTF-8, or UTF-16 if it begins with that mark
    :raises DataError: if the file is missing, damaged, empty, or its name says no known format
    """
    kind = format_of(file)
    if kind in CSV:
        table = _read_csv(file, encoding)
    elif kind in JSON:
        table = _read_json(file)
    elif file.suffix.lower() == ".parquet":
        with reading(file, "Parquet file"):
            table = Table(_numbered(collect(scan_parquet(file)), 1))
    else:
        what = "The file name does not say which format it has."
        cure = "Give a .parquet, .jsonl, .csv or .tsv file (the last three also as .gz)."
        raise DataError(Problem(what, str(file), cure))
    if len(table.rows) == 0:
        raise DataError(Problem("The file holds no rows.", str(file)))
    return table


def _numbered(rows: pl.DataFrame, first: int) -> pl.DataFrame:
    return rows.with_row_index(LINE, first).with_columns(pl.col(LINE).cast(pl.Int64))


def _read_csv(file: Path, encoding: str | None) -> Table:
    """Read a CSV; its header says which separator it has."""
    with reading(file), open_bytes(file) as stream:
        data = stream.read()
    data = _as_utf8(data, encoding, file)
    if b"\n" not in data:  # lines that end as on an old Mac
        data = data.replace(b"\r", b"\n")
    header, _, rest = data.partition(b"\n")
    n_before = 0
    named = _EXCEL_SEPARATOR.match(header.decode("utf-8", "replace"))
    if named:  # Excel's first line: sep=;
        n_before, data = 1, rest
        separator = named[1]
    else:
        separator = _separator(header.decode("utf-8", "replace"))
    try:
        rows = pl.read_csv(data, separator=separator, infer_schema=False)
    except pl.exceptions.NoDataError:
        raise DataError(Problem("The file holds no rows.", str(file))) from None
    except pl.exceptions.PolarsError as error:
        raise DataError(_not_a_table(error, separator, file)) from None
    stripped = [name.strip() for name in rows.columns]
    if len(set(stripped)) == len(stripped):
        rows.columns = stripped
    # The first row is on the line after the header. An empty line is no row.
    numbered = _numbered(rows, 2 + n_before)
    is_empty = pl.all_horizontal(pl.all().exclude(LINE).is_null())
    return Table(numbered.filter(~is_empty), decimal_comma=separator != ",")


def _as_utf8(data: bytes, encoding: str | None, file: Path) -> bytes:
    """Return text as UTF-8 without a mark at its beginning.

    :raises DataError: if it is not in the encoding; the error names the line
    """
    if encoding is None and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    if encoding is not None:
        try:
            codecs.lookup(encoding)
        except LookupError:
            cure = "Write utf-8, latin-1, cp1252 or utf-16."
            what = f"`{encoding}` is not a known encoding."
            raise ConfigError(Problem(what, "--encoding", cure)) from None
    try:
        if encoding is not None:
            return data.decode(encoding).encode().removeprefix(codecs.BOM_UTF8)
        data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        what = f"Line {line} is not {encoding or 'UTF-8'} (byte 0x{data[error.start]:02x})."
        cure = "Name the file's encoding, such as `--encoding latin-1` or `--encoding cp1252`."
        raise DataError(Problem(what, str(file), cure)) from None
    return data.removeprefix(codecs.BOM_UTF8)


def _separator(header: str) -> str:
    """Return the character that separates most names."""

    def n_names(separator: str) -> int:
        try:
            return max((len(row) for row in csv.reader([header], delimiter=separator)), default=0)
        except csv.Error:  # a field of over 100,000 characters, or not text at all
            return 0

    return max(_SEPARATORS, key=n_names)


def _not_a_table(error: pl.exceptions.PolarsError, separator: str, file: Path) -> Problem:
    shown = {"\t": "tab"}.get(separator, separator)
    if "more fields" in str(error):
        what = f"A line has more fields than the header has names (separator: {shown})."
        return Problem(what, str(file), "Put quotes around text that contains the separator.")
    first = str(error).splitlines()[0]
    return Problem(f"The file is not a CSV (separator: {shown}): {first}.", str(file))


def _read_json(file: Path) -> Table:
    """Read JSON Lines, or one JSON list of objects; nested fields get dotted names."""
    with reading(file), open_bytes(file) as stream:
        data = stream.read().removeprefix(codecs.BOM_UTF8)
    found: list[tuple[int, Any]] = list(_json_rows(data))
    rows = [(number, _flat(row)) for number, row in found if isinstance(row, dict)]
    names = dict.fromkeys(name for _, row in rows for name in row)
    columns = [pl.Series(LINE, [number for number, _ in rows], pl.Int64)]
    columns += [pl.Series(name, [row.get(name) for _, row in rows], pl.String) for name in names]
    others = tuple(number for number, row in found if not isinstance(row, dict))
    return Table(pl.DataFrame(columns), others)


def _json_rows(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield lines with their numbers; None for a line that is not JSON."""
    # One list of objects …
    if data.lstrip().startswith(b"["):
        try:
            rows = json.loads(data)
        except (ValueError, RecursionError):  # lines that are lists, which are refused one by one
            rows = None
        if rows is not None:
            yield from enumerate(rows, 1)
            return
    # … or one object per line.
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError):
            yield number, None


def _flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, str | None]:
    """Return a JSON object's values as text, those of nested objects and lists by dotted names."""
    flat: dict[str, str | None] = {}
    for key, value in row.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            flat |= _flat(value, f"{name}.")
        elif isinstance(value, list):
            flat |= _flat({str(i): part for i, part in enumerate(value)}, f"{name}.")
            flat[name] = json.dumps(value)
        else:
            flat[name] = _text(value)
    return flat


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and FIRST_IN_POWERS <= abs(value) < math.inf:
        return f"{value:.1f}"  # all digits of it, as those of a whole number
    return str(value).lower() if isinstance(value, bool) else repr(value)


def with_decimal_points(columns: Iterable[str]) -> Sequence[pl.Expr]:
    """Return numbers that are written with a decimal comma, 0,5, with a point.

    Of an identity or a count only a whole number is one, 5,0: pandas writes 5 so if the column has
    a gap. (1,000 may be a thousand, so it stays as it is.)
    """
    number, whole = r"^\s*([+-]?\d+),(\d+)\s*$", r"^\s*(-?\d+),(0{1,2})\s*$"
    return [
        pl.col(name).str.replace(
            whole if name in IDENTITIES or COLUMNS[name].is_integer() else number, "${1}.${2}"
        )
        for name in columns
    ]
