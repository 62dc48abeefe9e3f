"""Writing the log of a service to a file, in bounded memory."""

import tempfile
from pathlib import Path

import polars as pl

from rl_runner.offline.domains import find_domain
from rl_runner.offline.domains.protocol import Domain
from rl_runner.offline.logs.local_times import TIME_FORMAT
from rl_runner.offline.logs.log_files import check_suffix
from rl_runner.offline.store.export import Export
from rl_runner.runs.disk import write_aside, writing
from rl_runner.serving.environment_domain import EnvironmentDomain


def write_store_log(export: Export, path: Path) -> None:
    """Write what an exporter finds to a Parquet or JSON Lines file.

    :raises RunnerError: if the store is missing or empty, or the file cannot be written
    """
    check_suffix(path)
    domain = domain_of(export)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_aside(path, lambda aside: _write(export, domain, path, aside))


def domain_of(export: Export) -> Domain:
    """Return the domain of a store."""
    name = export.domain_name()
    if name.startswith("env:"):
        return EnvironmentDomain(name.removeprefix("env:"))
    return find_domain(name, str(export.url))


def _write(export: Export, domain: Domain, path: Path, aside: Path) -> None:
    if path.suffix == ".parquet":
        _write_parquet(export, domain, aside)
        return
    with aside.open("wb") as file:
        for frame in export.frames(domain):
            frame.with_columns(pl.col("ts").dt.strftime(TIME_FORMAT)).write_ndjson(file)


def _write_parquet(export: Export, domain: Domain, aside: Path) -> None:
    """Write each batch as a file of its own, and stream them into one."""
    with tempfile.TemporaryDirectory(dir=aside.parent, prefix=".export-") as folder:
        parts: list[Path] = []
        for frame in export.frames(domain):
            parts.append(Path(folder) / f"{len(parts):06}.parquet")
            frame.write_parquet(parts[-1], compression="zstd")
        if parts:
            pl.scan_parquet(parts, glob=False).sink_parquet(aside, compression="zstd")
        else:
            domain.rows([]).write_parquet(aside)
