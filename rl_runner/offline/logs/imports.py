"""Imports: foreign CSV or Parquet files to the schema of a log, by a mapping of columns.

The mapping is a YAML file with the schema's column names on the left::

    user_id: customer             # a column of the file
    ts: {column: when}            # the same, written out
    policy_id: {value: "old"}     # the same text in every row
    mood: {column: feeling, words: {joyful: happy, blue: sad}}

Columns that have the same name as in the schema need no line.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import polars as pl
from pydantic import BeforeValidator, Field, model_validator

from rl_runner.config.section import Section
from rl_runner.config.source import SourceMap
from rl_runner.config.validation import validate_section
from rl_runner.config.yaml_text import parse_yaml
from rl_runner.errors import ConfigError, DataError, Problem, did_you_mean
from rl_runner.offline.logs.log_files import LogReader, check_columns, check_types
from rl_runner.offline.logs.log_schema import COLUMNS, SCHEMA_VERSION
from rl_runner.offline.logs.row_checks import LINE


class ColumnSource(Section):
    """The source of one column of the schema: a column of the file, or a constant."""

    column: str | None = None
    value: str | int | float | bool | None = None
    words: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_source(self) -> "ColumnSource":
        if (self.column is None) == (self.value is None):
            message = "give either `column` or `value`"
            raise ValueError(message)
        return self


def _from_name(value: object) -> object:
    return {"column": value} if isinstance(value, str) else value


class Mapped(Section):
    """The sources of some of the schema's columns."""

    columns: dict[str, Annotated[ColumnSource, BeforeValidator(_from_name)]]


def read_mapping(path: Path) -> dict[str, ColumnSource]:
    """Read a mapping, by the schema's column names.

    :raises ConfigError: if it is not a mapping of the schema's columns
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(Problem(f"The mapping cannot be read: {error}.", str(path))) from None
    raw, source = parse_yaml(text, str(path))
    if not isinstance(raw, dict):
        raise ConfigError(Problem("The file is not a mapping of columns.", str(path)))
    for name in raw:
        if name not in COLUMNS:
            cure = did_you_mean(name, COLUMNS) or f"Columns: {', '.join(COLUMNS)}."
            raise ConfigError(
                Problem(f"`{name}` is not a column of a log.", source.locate((name,)), cure)
            )
    places = {("columns", *at): place for at, place in source.places.items()}
    return validate_section(Mapped, {"columns": raw}, SourceMap(str(path), places)).columns


def import_log(file: Path, mapping: Mapping[str, ColumnSource], reader: LogReader) -> pl.DataFrame:
    """Return the good rows of a CSV or Parquet file, in the schema; the reader counts the others.

    :raises DataError: if the file cannot be read, lacks a column or is mostly bad
    """
    # Every column of the mapping must exist, and every column of the schema must have a source.
    frame = _read(file)
    given = {"schema_version": ColumnSource(value=SCHEMA_VERSION), **mapping}
    asked = {source.column for source in given.values() if source.column is not None}
    if absent := sorted(asked - set(frame.columns)):
        cure = did_you_mean(absent[0], frame.columns) or f"It has: {', '.join(frame.columns)}."
        raise DataError(Problem(f"There is no column `{absent[0]}`.", str(file), cure))
    check_columns([*frame.columns, *given], file)
    raw = frame.select(
        _expression(given[name], frame.schema).alias(name) if name in given else pl.col(name)
        for name in COLUMNS
    )
    check_types(raw.schema, file)
    # Number the rows as lines of the file, and check them.
    # The first row of a CSV is on line 2, after the header.
    first = 2 if file.suffix == ".csv" else 1
    raw = raw.with_row_index(LINE, first).with_columns(pl.col(LINE).cast(int))
    good = reader.check(raw, file)
    reader.refusals.refuse_mostly_bad_files()
    return good.select(*COLUMNS)


def _expression(source: ColumnSource, schema: Mapping[str, Any]) -> pl.Expr:
    if source.column is None:
        return pl.lit(source.value)
    column = pl.col(source.column)
    if not source.words:
        return column
    if schema[source.column] != pl.String:
        column = column.cast(pl.String)
    return column.replace(source.words)


def _read(file: Path) -> pl.DataFrame:
    try:
        if file.suffix == ".csv":
            frame = pl.read_csv(
                file, infer_schema=False, glob=False
            )  # as text, which the checks convert
        elif file.suffix == ".parquet":
            frame = pl.read_parquet(file, glob=False)
        else:
            cure = "Give a .csv or .parquet file."
            raise DataError(
                Problem(
                    "The file name is neither that of a CSV nor of a Parquet file.", str(file), cure
                )
            )
    except (pl.exceptions.PolarsError, OSError) as error:
        what = f"The file cannot be read: {str(error).splitlines()[0]}."
        raise DataError(Problem(what, str(file))) from None
    if len(frame) == 0:
        raise DataError(Problem("The file holds no rows.", str(file)))
    return frame
