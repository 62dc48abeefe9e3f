"""Imports: foreign CSV, JSON Lines or Parquet files to the schema of a log, by a mapping.

The mapping is a YAML file with the schema's column names on the left::

    user_id: customer             # a column of the file
    session_id: context.session   # a field of a field, in JSON
    ts: {column: when, unit: ms}  # milliseconds since 1970; also s, us, ns
    policy_id: {value: "old"}     # the same text in every row
    mood: {column: feeling, words: {joyful: happy, blue: sad}}

Columns that have the same name as in the schema need no line.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import polars as pl
from pydantic import BeforeValidator, Field, model_validator

from rl_runner.config.section import Section, validate_section
from rl_runner.config.yaml_text import SourceMap, parse_yaml
from rl_runner.errors import ConfigError, DataError, Problem, did_you_mean
from rl_runner.offline.logs.column_types import IDENTITIES
from rl_runner.offline.logs.foreign_tables import read_table, with_decimal_points
from rl_runner.offline.logs.local_times import EpochUnit, epoch_as_text
from rl_runner.offline.logs.log_files import NOT_AN_OBJECT, LogReader, check_columns, check_types
from rl_runner.offline.logs.log_schema import COLUMNS, SCHEMA_VERSION
from rl_runner.offline.logs.row_checks import LINE


def _as_texts(words: object) -> object:
    """Return words as text: YAML reads yes, true and 1 as other types."""
    if not isinstance(words, dict):
        return words
    return {_as_text(key): _as_text(value) for key, value in words.items()}


def _as_text(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


class ColumnSource(Section):
    """The source of one column of the schema: a column of the file, or a constant."""

    column: str | None = None
    value: str | int | float | bool | None = None
    words: Annotated[dict[str, str], BeforeValidator(_as_texts)] = Field(default_factory=dict)
    unit: EpochUnit | None = None  # of a time as the number of these since 1970

    @model_validator(mode="after")
    def _one_source(self) -> "ColumnSource":
        if (self.column is None) == (self.value is None):
            message = "give either `column` or `value`"
            raise ValueError(message)
        if self.unit is not None and (self.column is None or self.words):
            message = "`unit` needs a `column`, and goes without `words`"
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
    # Read the file.
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(Problem(f"The mapping cannot be read: {error}.", str(path))) from None
    raw, source = parse_yaml(text, str(path))
    if not isinstance(raw, dict):
        raise ConfigError(Problem("The file is not a mapping of columns.", str(path)))
    # Check its columns, and then each column's own section.
    for name in raw:
        if name not in COLUMNS:
            cure = did_you_mean(name, COLUMNS) or f"Columns: {', '.join(COLUMNS)}."
            raise ConfigError(
                Problem(f"`{name}` is not a column of a log.", source.locate((name,)), cure)
            )
    for name, source_of in raw.items():
        if name != "ts" and isinstance(source_of, dict) and "unit" in source_of:
            what, where = "Only `ts` is a time with a unit.", source.locate((name, "unit"))
            raise ConfigError(Problem(what, where))
    places = {("columns", *at): place for at, place in source.places.items()}
    return validate_section(Mapped, {"columns": raw}, SourceMap(str(path), places)).columns


def import_log(
    file: Path,
    mapping: Mapping[str, ColumnSource],
    reader: LogReader,
    encoding: str | None = None,
) -> pl.DataFrame:
    """Return the good rows of a foreign table, in the schema; the reader counts the others.

    :param encoding: of a CSV; default: UTF-8
    :raises DataError: if the file cannot be read, lacks a column or is mostly bad
    """
    # Every column of the mapping must exist, and every column of the schema must have a source.
    table = read_table(file, encoding)
    frame = table.rows
    names = [name for name in frame.columns if name != LINE]
    given = {"schema_version": ColumnSource(value=SCHEMA_VERSION), **mapping}
    asked = {source.column for source in given.values() if source.column is not None}
    if absent := sorted(asked - set(names)):
        cure = did_you_mean(absent[0], names) or f"It has: {', '.join(names)}."
        raise DataError(Problem(f"There is no column `{absent[0]}`.", str(file), cure))
    check_columns([*names, *given], file)
    raw = frame.select(
        LINE,
        *(
            _expression(given[name], frame.schema).alias(name) if name in given else pl.col(name)
            for name in COLUMNS
        ),
    )
    if table.decimal_comma:
        numbers = [name for name in COLUMNS if COLUMNS[name].is_numeric() or name in IDENTITIES]
        texts = [name for name in numbers if raw.schema[name] == pl.String]
        raw = raw.with_columns(with_decimal_points(texts))
    check_types(raw.schema, file)
    # Check the rows, and count the lines that are not rows.
    for line in table.not_rows:
        reader.refusals.count_rows(file, 1)
        reader.refusals.add(file, [line], [NOT_AN_OBJECT])
    good = reader.check(raw, file)
    reader.refusals.refuse_mostly_bad_files()
    return good.select(*COLUMNS)


def _expression(source: ColumnSource, schema: Mapping[str, Any]) -> pl.Expr:
    if source.column is None:
        return pl.lit(source.value)
    column = pl.col(source.column)
    if source.unit is not None:
        return epoch_as_text(column, schema[source.column], source.unit)
    if not source.words:
        return column
    if schema[source.column] != pl.String:
        column = column.cast(pl.String)
    return column.replace(source.words)
