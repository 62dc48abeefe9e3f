"""The claim to a run: one process at a time holds it, and it is lost when that process ends."""

import fcntl
from pathlib import Path

from filelock import FileLock, Timeout

from rl_runner.runs.disk import writing
from rl_runner.runs.layout import LOCK

PEEK_SECONDS = 0.2  # a process that only checks the claim holds the lock for less


class Claim:
    """This process's claim to a folder: a file lock, which the operating system releases."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = FileLock(folder / LOCK)

    def take(self) -> bool:
        """Claim the folder, which is created if needed; False if another process holds the claim.

        :raises RunFolderError: if the folder cannot be written
        """
        try:
            with writing(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
                self._lock.acquire(timeout=PEEK_SECONDS, poll_interval=0.01)
        except Timeout:
            return False
        return True

    def release(self) -> None:
        """Release the claim."""
        self._lock.release()


def is_claimed(folder: Path) -> bool:
    """Whether a process holds the claim to a folder now; writes nothing."""
    try:
        with (folder / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # for a moment
    except BlockingIOError:
        return True
    except OSError:  # no process has ever trained here
        return False
    return False
