"""Optuna's storage: a file in the study's folder, or a database that several processes share.

Only `rl tune` itself uses it, never the processes in which runs train. A trial that was under way
when its process died is resumed. With the file this happens at once, since no other process can be
running the trial. With a database another process may be; Optuna's heartbeats show whether it is.
"""

import contextlib
import errno
import json
import os
import re
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import LOCK_FILE_SUFFIX
from optuna.study import StudyDirection
from optuna.trial import TrialState

from rl_runner.errors import (
    DiskFullError,
    Problem,
    RunnerError,
    StudyError,
    describe_exception,
)
from rl_runner.redaction import redacted, redacted_url
from rl_runner.runs.disk import is_full_disk
from rl_runner.tuning.optuna_log import optuna_silenced
from rl_runner.tuning.study.study_folder import StudyFolder
from rl_runner.tuning.trial_runs import RETRIES

RESUMABLE = "The runs are saved. When this is fixed, run the same command again to resume."
NEW_STUDY = "Restore a copy of it, or start another study with `--study`. No run is lost."
HEARTBEAT_SECONDS = 10
GRACE_SECONDS = 60  # without a heartbeat, after which a trial counts as abandoned

IDENTITY, DESCRIPTION = "rl_runner:identity", "rl_runner:description"


def open_storage(url: str | None, folder: StudyFolder) -> BaseStorage:
    """Open the database at ``url``, or the journal in the folder, which must be claimed.

    :raises StudyError: if the storage cannot be reached, or the journal is damaged
    """
    if url is None:
        _remove_stale_lock(folder)
        _remove_unfinished_line(folder)
        _check_lines(folder)
        return JournalStorage(Journal(folder.journal))
    return _open_database(url)


@contextlib.contextmanager
def opening_explained(url: str | None, folder: StudyFolder) -> Iterator[None]:
    """Turn what fails while a storage and its study are opened into StudyError.

    Optuna, SQLAlchemy and the database's driver each raise exceptions of their own.
    """
    try:
        yield
    except RunnerError:
        raise
    except Exception as error:
        if url is None:
            what = f"The study's journal cannot be read: {describe_exception(error)}."
            raise StudyError(Problem(what, str(folder.journal), NEW_STUDY)) from error
        raise storage_unusable(url, error) from error


def _open_database(url: str) -> RDBStorage:
    """Open a database, and create Optuna's tables in it if there are none.

    If several processes start at once, only one can create them; the others try again.
    """
    from sqlalchemy.exc import DBAPIError

    for tries_left in (2, 1, 0):
        try:
            with optuna_silenced():
                callback = optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=RETRIES)
                return RDBStorage(
                    url,
                    heartbeat_interval=HEARTBEAT_SECONDS,
                    grace_period=GRACE_SECONDS,
                    heartbeat_stale_trial_callback=callback,
                )
        except DBAPIError as error:
            if not tries_left or "already exists" not in str(error):
                raise
            time.sleep(0.5)
    raise AssertionError


# What the text of a database's error says, and the cure. Each database has its own words.
CURES = {
    r"locked|lock timeout|could not obtain lock": "Another program is writing to the database. "
    "Wait until it has finished, and run the same command again.",
    r"read-?only|permission denied|command denied": "Make the database writable for your user, "
    "or use another one.",
    r"not a database|malformed|disk image": "It is not an SQLite database, or it is damaged. "
    "Restore a copy of it, or name another file.",
    r"table schema|alembic|revision": "Another version of Optuna created its tables. Install the "
    "same version here, upgrade them with `optuna storage upgrade`, or use a new database.",
    r"disk is full|no space": "Free some space, and run the same command again.",
}


def storage_unusable(url: str, error: Exception) -> StudyError:
    """Return the error for a database that cannot be opened, with a cure that fits the cause."""
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    text = _first_line(error)
    cures = [cure for pattern, cure in CURES.items() if re.search(pattern, text, re.IGNORECASE)]
    if isinstance(error, ArgumentError | NoSuchModuleError | ValueError):
        cure = "Write the URL as Optuna does: `postgresql://user:password@host/database`."
    elif isinstance(error, ImportError):
        cure = "Install its driver, for PostgreSQL `pip install psycopg[binary]`."
    else:
        default = "Check that the database is running, and its host, name, user and password."
        cure = next(iter(cures), default)
    what = f"The storage cannot be used: {text}."
    return StudyError(Problem(what, f"--storage {redacted_url(url)}", cure))


def storage_lost(url: str, error: Exception) -> StudyError:
    """Return the error for a storage that failed during a search."""
    what = f"The storage failed: {_first_line(error)}."
    cure = "The runs are saved. When the storage is back, run the same command again to resume."
    return StudyError(Problem(what, f"--storage {redacted_url(url)}", cure))


def _first_line(error: Exception) -> str:
    """Return the first line of an error's cause, without SQLAlchemy's references."""
    text = str(error.__cause__ or error).strip().partition("\n")[0]
    return redacted(text).removesuffix(".")


class Journal(JournalFileBackend):
    """Optuna's log of a study in a file, with errors that explain what went wrong.

    If the file disappeared, Optuna would start an empty one and write the rest of the study there.
    This class notices that the file was replaced, and raises StudyError.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._inode = _inode_of(path)

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Yield the log's entries from a number on, those of other processes included."""
        with self._errors_explained():
            yield from super().read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append entries, and wait until they are on disk."""
        with self._errors_explained():
            super().append_logs(logs)

    @contextlib.contextmanager
    def _errors_explained(self) -> Iterator[None]:
        try:
            self._check_place()
            yield
        except OSError as error:
            what = f"The study's journal cannot be used: {error.strerror or error}."
            kind = DiskFullError if is_full_disk(error) else StudyError
            raise kind(Problem(what, self._file_path, RESUMABLE)) from error

    def _check_place(self) -> None:
        if _inode_of(Path(self._file_path)) != self._inode:
            raise OSError(errno.ESTALE, "another file is in its place")


def _inode_of(path: Path) -> tuple[int, int]:
    """Return device and inode, which differ between files of the same name."""
    status = path.stat()
    return status.st_dev, status.st_ino


def _remove_stale_lock(folder: StudyFolder) -> None:
    """Remove the lock of a process that was killed while it wrote a line.

    The folder is claimed, so no other process can be writing. Optuna would wait for the lock, and
    for ever if the path of the journal is relative: its lock is a symbolic link to that path, which
    then leads nowhere.
    """
    folder.journal.with_name(folder.journal.name + LOCK_FILE_SUFFIX).unlink(missing_ok=True)


def _remove_unfinished_line(folder: StudyFolder) -> None:
    """Remove the last line if the process that wrote it was killed before its end."""
    if not folder.journal.exists():
        return
    content = folder.journal.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(folder.journal, whole)


def _check_lines(folder: StudyFolder) -> None:
    """Raise StudyError if a line of the journal is not JSON."""
    lines = folder.journal.read_bytes().splitlines() if folder.journal.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            json.loads(line)
        except ValueError as error:
            what = f"The study's journal is damaged: {error}."
            raise StudyError(Problem(what, f"{folder.journal}:{number}", NEW_STUDY)) from None


def open_study(
    storage: BaseStorage,
    name: str,
    directions: Sequence[StudyDirection],
    identity: str,
    description: dict[str, Any],
) -> optuna.Study:
    """Create the study, or open the one that is there.

    :param identity: a hash of ``description``; a study is resumed only with the same one
    :param description: the config and the search, flat, to name what is different
    :raises StudyError: if a study of that name was started with a different config, or was created
        elsewhere with other directions
    """
    with optuna_silenced():
        study = optuna.create_study(
            study_name=name,
            storage=storage,
            directions=directions,
            load_if_exists=True,
        )
    # A new study gets its identity; an existing one must have the same.
    known = study.user_attrs.get(IDENTITY)
    is_empty = not study.get_trials(deepcopy=False)
    if known is None and is_empty and study.directions != list(directions):
        raise _other_directions(name, study.directions, directions)
    if known is None and is_empty:
        study.set_user_attr(DESCRIPTION, description)
        study.set_user_attr(IDENTITY, identity)
    elif known != identity:
        before = study.user_attrs.get(DESCRIPTION)
        what = f"The study `{name}` was not created by `rl tune`."
        if before is not None:
            listed = "; ".join(differences(before, description))
            what = f"The study `{name}` was started with a different config: {listed}."
        cure = "Give this study another name with `--study`, or use the earlier config."
        raise StudyError(Problem(what, f"--study {name}", cure))
    return study


def _other_directions(
    name: str, theirs: Sequence[StudyDirection], ours: Sequence[StudyDirection]
) -> StudyError:
    """Return the error for an empty study of another program that would be searched backwards."""
    has, needs = (" ".join(d.name.lower() for d in each) for each in (theirs, ours))
    what = f"The study `{name}` exists with the directions `{has}`; the objectives need `{needs}`."
    cure = (
        "Delete that study, or choose another name with `--study`. `rl tune` creates its studies "
        f"itself; `optuna create-study` needs `--directions {needs}`."
    )
    return StudyError(Problem(what, f"--study {name}", cure))


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return up to five differences between two flat descriptions, in words."""
    missing = object()
    return [
        f"{key} was {before.get(key, 'not set')!r} and is {now.get(key, 'not set')!r}"
        for key in sorted({*before, *now})
        if before.get(key, missing) != now.get(key, missing)
    ][:5]


def queue_abandoned_trials(study: optuna.Study) -> None:
    """Queue trials again whose process has sent no heartbeat for a while (databases only)."""
    with optuna_silenced():
        optuna.storages.fail_stale_trials(study)


def queue_again(study: optuna.Study, storage: BaseStorage, trial: optuna.Trial) -> None:
    """Queue an interrupted trial again, for the process that resumes the study.

    This may happen any number of times, since the trial itself did not fail. Only trials whose
    process died are counted as retries.
    """
    if not isinstance(storage, RDBStorage):
        return  # the trial stays as it is: no other process can be running it
    study.tell(trial, state=TrialState.FAIL)
    stopped = study.get_trials()[trial.number]
    again = optuna.create_trial(
        state=TrialState.WAITING,
        params=stopped.params,
        distributions=stopped.distributions,
        user_attrs=stopped.user_attrs,
        system_attrs={"failed_trial": stopped.number, **stopped.system_attrs},
    )
    with optuna_silenced():
        study.add_trial(again)


def close_storage(storage: BaseStorage) -> None:
    """Close the connections to a database."""
    if isinstance(storage, RDBStorage):
        storage.scoped_session.remove()
        storage.engine.dispose()


def send_heartbeat(storage: BaseStorage, trial: optuna.Trial) -> None:
    """Record in a database that this process is still running the trial."""
    if isinstance(storage, RDBStorage):
        storage.record_heartbeat(trial._trial_id)  # noqa: SLF001 - has no public name
