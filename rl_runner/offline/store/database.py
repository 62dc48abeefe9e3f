"""Opening a service's database: SQLite in WAL mode, or PostgreSQL."""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from rl_runner.errors import DataError, Problem, describe_exception
from rl_runner.offline.store.tables import STORE_VERSION, service
from rl_runner.redaction import redacted

SCHEMES = ("sqlite", "postgresql")
BUSY_SECONDS = 30.0  # for which a locked SQLite store is waited for
CONNECT_SECONDS = 10  # for which a database server is waited for


def is_store_url(text: str) -> bool:
    """Return whether a path is the URL of a database, not the name of a file."""
    scheme, colon, _ = text.partition("://")
    return bool(colon) and scheme.partition("+")[0] in SCHEMES


@dataclass(frozen=True)
class StoreUrl:
    """The URL of a service's database; as text it hides the password."""

    url: str

    def __str__(self) -> str:
        return redacted(self.url)

    @property
    def name(self) -> str:
        """A short name, for messages."""
        return str(self).rpartition("/")[2]

    @property
    def path(self) -> Path | None:
        """The SQLite file; None for a database server."""
        parsed = self.parsed()
        is_file = parsed.get_backend_name() == "sqlite" and parsed.database
        return Path(parsed.database or "") if is_file else None

    def parsed(self) -> sa.URL:
        """Return the URL in parts.

        :raises DataError: if it is not one, or is not that of a file or server
        """
        try:
            parsed = sa.make_url(self.url)
        except ArgumentError:
            parsed = None
        if parsed is None or parsed.get_backend_name() not in SCHEMES or not parsed.database:
            cure = "Write sqlite:///folder/service.db or postgresql+psycopg://user@host/name."
            raise DataError(Problem("This is not the URL of a store.", str(self), cure))
        return parsed


@contextlib.contextmanager
def explained(url: StoreUrl) -> Iterator[None]:
    """Turn an error of the database into a DataError that names the store."""
    try:
        yield
    except (SQLAlchemyError, NoSuchModuleError, ImportError) as error:
        cause = getattr(error, "orig", None) or error
        what = f"The store is not available: {describe_exception(cause)}."
        cure = "Is it the store of a service, and is its server running?"
        raise DataError(Problem(what, str(url), cure)) from error


def open_for_reading(url: StoreUrl) -> sa.Engine:
    """Open an existing store; nothing is created.

    :raises DataError: if there is none, or it is of a newer version
    """
    parsed, path = url.parsed(), url.path
    if path is not None and not path.is_file():
        cure = "`rl serve CONFIG` creates it; the path is relative to the current folder."
        raise DataError(Problem("There is no such store.", str(url), cure))
    with explained(url):
        engine = _server(parsed) if path is None else sa.create_engine(parsed)
        if path is not None:
            event.listen(engine, "connect", _read_only)
        try:
            with engine.connect() as connection:
                check_version(read_settings(connection), url)
        except BaseException:
            engine.dispose()
            raise
    return engine


def open_for_writing(url: StoreUrl) -> sa.Engine:
    """Open a store whose transactions take the lock for writing at once (SQLite).

    With a deferred transaction SQLite answers "database is locked" without waiting.
    """
    parsed, path = url.parsed(), url.path
    with explained(url):
        if path is None:
            return _server(parsed)
        path.parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(parsed)
        event.listen(engine, "connect", _durable)
        event.listen(engine, "begin", _begin_immediate)
    return engine


def _server(url: sa.URL) -> sa.Engine:
    """Return an engine that replaces connections which the server has closed."""
    # Without a limit a driver waits for minutes for a server that does not answer.
    is_psycopg = url.get_dialect().driver.startswith("psycopg")
    has_limit = not is_psycopg or "connect_timeout" in url.query
    limit = {} if has_limit else {"connect_timeout": CONNECT_SECONDS}
    return sa.create_engine(url, pool_pre_ping=True, connect_args=limit)


def _durable(connection: Any, _: Any) -> None:
    """Keep every commit through a power cut, and let others read meanwhile."""
    connection.isolation_level = None  # the driver begins no transactions of its own
    _pragmas(connection, "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
    # The ends of the indexes stay in memory while a store grows: in KiB, so 64 MiB.
    _pragmas(connection, "cache_size=-65536")


def _read_only(connection: Any, _: Any) -> None:
    _pragmas(connection, "query_only=ON")


def _pragmas(connection: sqlite3.Connection, *settings: str) -> None:
    for setting in (f"busy_timeout={int(BUSY_SECONDS * 1000)}", *settings):
        connection.execute(f"PRAGMA {setting}")


def _begin_immediate(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def read_settings(connection: sa.Connection) -> dict[str, str]:
    """Return what the table ``service`` says of the whole store."""
    rows = connection.execute(sa.select(service.c.key, service.c.value))
    return {str(key): str(value) for key, value in rows}


def check_version(settings: dict[str, str], url: StoreUrl) -> None:
    """Raise DataError if a newer version of rl_runner has written the store."""
    version = int(settings.get("store_version", "0"))
    if version > STORE_VERSION:
        what = f"The store has version {version}; this rl_runner knows versions up to "
        cure = "Use the newer rl_runner: a store is never converted back."
        raise DataError(Problem(f"{what}{STORE_VERSION}.", str(url), cure))
