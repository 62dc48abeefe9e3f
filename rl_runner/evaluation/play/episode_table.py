"""The table of an evaluation's episodes, one row each, as CSV or JSON."""

from collections.abc import Iterable
from pathlib import Path

from rl_runner.errors import ConfigError, Problem
from rl_runner.evaluation.play.evaluation import Evaluation
from rl_runner.runs.disk import write_aside, writing

FORMATS = (".csv", ".json")


def check_table_path(path: Path) -> None:
    """Refuse a file that cannot become a table; raises ConfigError."""
    if path.suffix not in FORMATS:
        what = f"A table of episodes is written as {' or '.join(FORMATS)}."
        raise ConfigError(Problem(what, f"--out {path}", f"Write `--out {path.stem}.csv`."))
    if not path.absolute().parent.is_dir():
        raise ConfigError(Problem("There is no such folder.", str(path.absolute().parent)))


def write_episode_table(path: Path, evaluations: Iterable[Evaluation]) -> None:
    """Write every episode of several evaluations; what one of them lacks stays empty.

    :raises ConfigError: if the file's name ends otherwise than .csv or .json
    :raises RunFolderError: if it cannot be written
    """
    import polars as pl

    check_table_path(path)
    frames = [pl.DataFrame(evaluation.rows()).fill_nan(None) for evaluation in evaluations]
    table = pl.concat(frames, how="diagonal_relaxed")
    write = table.write_csv if path.suffix == ".csv" else table.write_json
    with writing(path):
        write_aside(path, write)
