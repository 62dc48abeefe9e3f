"""Whose a run is: one process at a time has it, and loses it when it ends, however it ends."""

import fcntl
from pathlib import Path

from filelock import FileLock, Timeout

from rl_runner.runs.disk import writing
from rl_runner.runs.layout import LOCK

PEEK_SECONDS = 0.2  # somebody who only looks whether the run is claimed is gone by then


class Claim:
    """This process's claim to a folder, if it has one: a lock that the operating system keeps."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = FileLock(folder / LOCK)

    def take(self) -> bool:
        """Take the folder, which is made if need be; False if another process has it.

        :raises RunFolderError: if nothing can be written there
        """
        try:
            with writing(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
                self._lock.acquire(timeout=PEEK_SECONDS, poll_interval=0.01)
        except Timeout:
            return False
        return True

    def release(self) -> None:
        """Give the folder back."""
        self._lock.release()


def is_claimed(folder: Path) -> bool:
    """Whether a process has the folder now. Looks without writing."""
    try:
        with (folder / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # for a moment
    except BlockingIOError:
        return True
    except OSError:  # nobody has ever trained here
        return False
    return False
