"""Optuna's storage: a file in the study's folder, or a database that several processes share.

Only `rl tune` itself touches it, never the processes in which runs train. A trial that was under
way when its process died is taken up again: with the file by going on with the very trial, since
nobody else can be at it; with a database by Optuna's heartbeats, since somebody else may be.
"""

import contextlib
import errno
import json
import os
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

from rl_runner.errors import DiskFullError, Problem, StudyError
from rl_runner.runs.disk import is_full_disk
from rl_runner.tuning.ends import RETRIES
from rl_runner.tuning.search.samplers import quietly
from rl_runner.tuning.study.study_folder import StudyFolder

RESUMABLE = "The runs are saved. When this is fixed, run the same command again to resume."
HEARTBEAT_SECONDS = 10
GRACE_SECONDS = 60  # without a heartbeat until a trial counts as abandoned

IDENTITY, DESCRIPTION = "rl_runner:identity", "rl_runner:description"


def open_storage(url: str | None, folder: StudyFolder) -> BaseStorage:
    """Open the database at ``url``, or the journal in the folder, which must be claimed.

    :raises StudyError: if the storage cannot be reached, or the journal is damaged
    """
    if url is None:
        _break_lock(folder)
        _cut_unfinished_line(folder)
        _check_lines(folder)
        return JournalStorage(Journal(folder.journal))
    try:
        return _open_database(url)
    except Exception as error:
        raise unreachable(url, error) from error


def _open_database(url: str) -> RDBStorage:
    """Open a database, and make Optuna's tables in it if there are none.

    Of several processes that begin at once only one can make them; the others try again.
    """
    from sqlalchemy.exc import DBAPIError

    for tries_left in (2, 1, 0):
        try:
            with quietly():
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


def unreachable(url: str, error: Exception) -> StudyError:
    """Say that a database cannot be used, and what to do."""
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    cure = "Is the database running, and are host, name, user and password right?"
    if isinstance(error, ArgumentError | NoSuchModuleError | ValueError):
        cure = "Write it as Optuna does: `postgresql://user:password@host/database`."
    if isinstance(error, ImportError):
        cure = "Install its driver, for PostgreSQL `pip install psycopg[binary]`."
    return StudyError(Problem(f"The storage cannot be used: {_gist(error)}.", _place(url), cure))


def lost(url: str, error: Exception) -> StudyError:
    """Say that the storage failed in the middle of a search."""
    what = f"The storage failed: {_gist(error)}."
    cure = "The runs are saved. When the storage is back, run the same command again to resume."
    return StudyError(Problem(what, _place(url), cure))


def _gist(error: Exception) -> str:
    """Return the first line of what is behind an error, without SQLAlchemy's references."""
    text = str(error.__cause__ or error).strip().partition("\n")[0]
    return text.removesuffix(".")


def _place(url: str) -> str:
    """Return the option with the URL, without the password in it."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return f"--storage {make_url(url).render_as_string(hide_password=True)}"
    except ArgumentError:
        return f"--storage {url}"


class Journal(JournalFileBackend):
    """Optuna's log of a study in a file; what the operating system refuses is explained.

    Optuna would begin an empty file if this one were gone, and write the rest of the study there.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._is = _identity_of(path)

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Yield what was written since."""
        with self._explained():
            yield from super().read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write, and wait until it is on disk."""
        with self._explained():
            super().append_logs(logs)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            self._check_place()
            yield
        except OSError as error:
            what = f"The study's journal cannot be used: {error.strerror or error}."
            kind = DiskFullError if is_full_disk(error) else StudyError
            raise kind(Problem(what, self._file_path, RESUMABLE)) from error

    def _check_place(self) -> None:
        if _identity_of(Path(self._file_path)) != self._is:
            raise OSError(errno.ESTALE, "another file is in its place")


def _identity_of(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _break_lock(folder: StudyFolder) -> None:
    """Remove the lock of a process that was killed while it wrote a line; nobody else writes.

    Optuna would wait for it, and for ever if the path of the journal is relative: its lock is a
    symbolic link with that path, which then leads nowhere.
    """
    folder.journal.with_name(folder.journal.name + LOCK_FILE_SUFFIX).unlink(missing_ok=True)


def _cut_unfinished_line(folder: StudyFolder) -> None:
    """Take back what a process that was killed had begun to write."""
    if not folder.journal.exists():
        return
    content = folder.journal.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(folder.journal, whole)


def _check_lines(folder: StudyFolder) -> None:
    """Refuse a journal with a line in it that nobody wrote so."""
    lines = folder.journal.read_bytes().splitlines() if folder.journal.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            json.loads(line)
        except ValueError as error:
            cure = "Put a copy of it back, or begin another study with `--study`; no run is lost."
            what = f"The study's journal is damaged: {error}."
            raise StudyError(Problem(what, f"{folder.journal}:{number}", cure)) from None


def open_study(
    storage: BaseStorage,
    name: str,
    directions: Sequence[StudyDirection],
    identity: str,
    description: dict[str, Any],
) -> optuna.Study:
    """Create the study, or open the one that is there.

    :param identity: of the config and what is searched; a study goes on only with the same
    :param description: what the identity stands for, to tell what is different
    :raises StudyError: if a study of that name was started with a different config
    """
    with quietly():
        study = optuna.create_study(
            study_name=name,
            storage=storage,
            directions=directions,
            load_if_exists=True,
        )
    known = study.user_attrs.get(IDENTITY)
    if known is None and not study.get_trials(deepcopy=False):
        study.set_user_attr(DESCRIPTION, description)
        study.set_user_attr(IDENTITY, identity)
    elif known != identity:
        before = study.user_attrs.get(DESCRIPTION)
        what = f"The study `{name}` was not created by `rl tune`."
        if before is not None:
            listed = "; ".join(_differences(before, description))
            what = f"The study `{name}` was started with a different config: {listed}."
        cure = "Give this one another name with `--study`, or go back to the earlier config."
        raise StudyError(Problem(what, f"--study {name}", cure))
    return study


def _differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Name what two flat descriptions do not have in common."""
    missing = object()
    return [
        f"{key} was {before.get(key, 'not set')!r} and is {now.get(key, 'not set')!r}"
        for key in sorted({*before, *now})
        if before.get(key, missing) != now.get(key, missing)
    ][:5]


def retire_abandoned(study: optuna.Study) -> None:
    """Queue trials again whose process has not been heard of for a while (databases only)."""
    with quietly():
        optuna.storages.fail_stale_trials(study)


def queue_again(study: optuna.Study, storage: BaseStorage, trial: optuna.Trial) -> None:
    """Give a trial that was interrupted back, for whoever goes on, however often that happens.

    That is no fault of the trial's; only those whose process died are counted.
    """
    if not isinstance(storage, RDBStorage):
        return  # it stays as it is; nobody else can be at it
    study.tell(trial, state=TrialState.FAIL)
    stopped = study.get_trials()[trial.number]
    again = optuna.create_trial(
        state=TrialState.WAITING,
        params=stopped.params,
        distributions=stopped.distributions,
        user_attrs=stopped.user_attrs,
        system_attrs={"failed_trial": stopped.number, **stopped.system_attrs},
    )
    with quietly():
        study.add_trial(again)


def close_storage(storage: BaseStorage) -> None:
    """Close the connections to a database."""
    if isinstance(storage, RDBStorage):
        storage.scoped_session.remove()
        storage.engine.dispose()


def beat(storage: BaseStorage, trial: optuna.Trial) -> None:
    """Say that somebody is at work on the trial."""
    if isinstance(storage, RDBStorage):
        storage.record_heartbeat(trial._trial_id)  # noqa: SLF001 - has no public name
