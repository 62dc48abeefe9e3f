"""The claim to a run: one process at a time holds it, and it is lost when that process ends."""

import contextlib
import fcntl
import os
import socket
from pathlib import Path

from filelock import FileLock, Timeout

from rl_runner.layout import LOCK
from rl_runner.runs.disk import writing

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

    def sign(self) -> None:
        """Write into the lock which process has it, for users who wait for a run that hangs."""
        with writing(self._folder):
            (self._folder / LOCK).write_text(_holder(), encoding="utf-8")

    def release(self) -> None:
        """Release the claim."""
        self._lock.release()


def holder_of(folder: Path) -> str:
    """Return which process has a claimed folder, e.g. ``process 4711``; empty if it is unknown."""
    text = ""
    with contextlib.suppress(OSError, UnicodeDecodeError):  # an older version wrote nothing
        text = (folder / LOCK).read_text(encoding="utf-8")[:300].strip()
    return text.removesuffix(f" on {socket.gethostname()}")


def _holder() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


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
