"""Logs to disk, as Parquet or JSON Lines; a file appears whole or not at all."""

from pathlib import Path

import polars as pl

from rl_runner.errors import ConfigError, Problem
from rl_runner.runs.disk import write_aside, writing

LOG_SUFFIXES = (".parquet", ".jsonl")
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%.6fZ"


def check_suffix(path: Path) -> None:
    """Refuse a file name that does not say which format is meant."""
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
        write_aside(path, lambda aside: frame.write_parquet(aside, compression="zstd"))
    else:
        told = frame.with_columns(pl.col("ts").dt.strftime(TIME_FORMAT))
        write_aside(path, told.write_ndjson)
