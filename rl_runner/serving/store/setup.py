"""Opening a service's store: claimed, created, or brought up to date if it is an older one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from filelock import FileLock, Timeout

from rl_runner.errors import ConfigError, Problem, RunFolderError
from rl_runner.offline.store.database import (
    StoreUrl,
    check_version,
    explained,
    open_for_reading,
    open_for_writing,
    read_settings,
)
from rl_runner.offline.store.tables import STORE_VERSION, metadata, service
from rl_runner.runs.disk import writing
from rl_runner.serving.config import ServeConfig

# What changes a store of version n to version n + 1, by n. There are no older versions yet.
MIGRATIONS: Mapping[int, Callable[[sa.Connection], None]] = {}


@dataclass(frozen=True)
class Store:
    """The database of a service, open."""

    url: StoreUrl
    writing: sa.Engine  # whose transactions take SQLite's lock for writing at once
    reading: sa.Engine

    def close(self) -> None:
        """Close all connections."""
        self.writing.dispose()
        self.reading.dispose()


def claim_store(config: ServeConfig) -> FileLock | None:
    """Claim a SQLite store for this process; None for a database server.

    :raises RunFolderError: if another server has claimed it
    """
    path = config.store.path
    if path is None:
        return None
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    with writing(path):  # a folder in which nothing can be written is named
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            what = "Another server uses this store."
            cure = "Stop it; several servers need PostgreSQL: `storage: postgresql+psycopg://…`."
            raise RunFolderError(Problem(what, str(config.store), cure)) from None
    return lock


def open_store(config: ServeConfig) -> Store:
    """Create the tables of a service, or migrate those that are there.

    :raises DataError: if the database is not available, or of a newer version
    :raises ConfigError: if the store belongs to a service of another domain
    """
    engine = open_for_writing(config.store)
    try:
        _prepare(engine, config)
        return Store(config.store, engine, open_for_reading(config.store))
    except BaseException:
        engine.dispose()
        raise


def _prepare(engine: sa.Engine, config: ServeConfig) -> None:
    url = config.store
    subject = config.domain or f"env:{config.env}"
    with explained(url), engine.begin() as connection:
        if not sa.inspect(connection).has_table(service.name):
            service.create(connection)
            _write(connection, {"store_version": str(STORE_VERSION), "domain": subject})
        settings = read_settings(connection)
        check_version(settings, url)
        _check_subject(settings, subject, url)
        metadata.create_all(connection)  # those that are missing
        for version in range(int(settings["store_version"]), STORE_VERSION):
            MIGRATIONS[version](connection)
            _write(connection, {"store_version": str(version + 1)})
        _write(connection, {"wait_seconds": str(config.wait_seconds)})


def _check_subject(settings: dict[str, str], subject: str, url: StoreUrl) -> None:
    if settings["domain"] != subject:
        what = f"This store holds decisions about {settings['domain']}, not about {subject}."
        raise ConfigError(Problem(what, str(url), "Give this service a `storage` of its own."))


def _write(connection: sa.Connection, settings: Mapping[str, str]) -> None:
    for key, value in settings.items():
        connection.execute(service.delete().where(service.c.key == key))
        connection.execute(service.insert(), {"key": key, "value": value})
