from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from rl_runner.envs.recommender.policies import random_policy
from rl_runner.offline.logs.interactions import Interactions, read_interactions
from rl_runner.offline.logs.log_files import LogReader, write_log
from rl_runner.offline.logs.simulation import LogPlan, simulate_log

ReadFrame = Callable[..., tuple[Interactions, LogReader]]


@pytest.fixture(scope="session")
def frame() -> pl.DataFrame:
    """4,000 interactions of simulated people to whom was recommended at random."""
    return simulate_log(random_policy(), LogPlan(4000, seed=1))


@pytest.fixture(scope="session")
def log_file(frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("logs") / "log.parquet"
    write_log(frame, path)
    return path


@pytest.fixture(scope="session")
def log(log_file: Path) -> Interactions:
    return read_interactions([log_file], LogReader())


@pytest.fixture
def read_frame(tmp_path: Path) -> ReadFrame:
    """Write a frame as Parquet or JSON Lines and read it back as interactions."""

    def read(changed: pl.DataFrame, name: str = "changed.parquet", **reader_options):
        path = tmp_path / name
        if path.suffix == ".parquet":
            changed.write_parquet(path)
        elif changed.schema["ts"] == pl.String:
            changed.write_ndjson(path)
        else:
            write_log(changed, path)
        reader = LogReader(**reader_options)
        return read_interactions([path], reader), reader

    return read
