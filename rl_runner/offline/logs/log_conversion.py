"""Conversion of log files between formats, which are known by the files' names."""

from pathlib import Path

import polars as pl

from rl_runner.config.data import checked_zone
from rl_runner.errors import ConfigError, Problem
from rl_runner.offline.logs.exports import write_open_bandit, write_vowpal_wabbit
from rl_runner.offline.logs.imports import import_log, read_mapping
from rl_runner.offline.logs.interactions import read_interactions
from rl_runner.offline.logs.local_times import AmbiguousTimes, check_zone
from rl_runner.offline.logs.log_files import LOG_SUFFIXES, LogReader, write_log
from rl_runner.offline.logs.log_schema import COLUMNS
from rl_runner.offline.logs.refusals import Refusals
from rl_runner.offline.logs.sources import is_log
from rl_runner.runs.disk import writing

EXPORTS = {".npz": write_open_bandit, ".vw": write_vowpal_wabbit}


def convert_log(
    source: Path,
    out: Path,
    columns: Path | None = None,
    timezone: str | None = None,
    ambiguous_times: AmbiguousTimes | None = None,
    encoding: str | None = None,
) -> tuple[int, Refusals]:
    """Write a log, or a foreign table, in the format that the name of ``out`` says.

    ``.parquet`` and ``.jsonl`` are logs, ``.npz`` Open Bandit's arrays, ``.vw`` Vowpal Wabbit's
    text.

    :param columns: a mapping of the source's columns, see :mod:`rl_runner.offline.logs.imports`
    :param timezone: what times without a zone mean; None refuses them
    :param ambiguous_times: which instant is meant by a local time that occurs twice
    :param encoding: of a CSV; default: UTF-8
    :return: how many rows were written, and which were refused
    :raises RunnerError: if a file or the mapping is wrong; then nothing is written
    """
    # Check the arguments before anything is read.
    if out.suffix not in {*EXPORTS, *LOG_SUFFIXES}:
        what = f"`{out.name}` does not say which format to write."
        cure = "End it in .parquet or .jsonl (logs), .npz (Open Bandit) or .vw (Vowpal Wabbit)."
        raise ConfigError(Problem(what, "--out", cure))
    if timezone is not None:
        try:
            checked_zone(timezone)
        except ValueError as error:
            raise ConfigError(Problem(f"{error}.", f"--timezone {timezone}")) from None
    # Export a log to another library's format.
    check_zone(timezone, f"--timezone {timezone}")
    reader = LogReader(timezone, ambiguous_times)
    if out.suffix in EXPORTS:
        if columns is not None or not is_log(source):
            cure = "Convert the file to a .parquet log first, then export that log."
            raise ConfigError(Problem("Foreign files are exported in two steps.", "--out", cure))
        log = read_interactions([source], reader)
        with writing(out):
            out.parent.mkdir(parents=True, exist_ok=True)
        EXPORTS[out.suffix](log, out)
        return len(log), reader.refusals
    # Or write a log, from a log or from a foreign file.
    if columns is None and is_log(source):
        frame = pl.concat([batch.rows.select(*COLUMNS) for batch in reader.batches([source])])
    else:
        frame = import_log(
            source, {} if columns is None else read_mapping(columns), reader, encoding
        )
    write_log(frame, out)
    return len(frame), reader.refusals
