"""The errors that a user can cause. Each says what is wrong, where, and what to do.

RunnerError                     anything that rl_runner refuses to do; exit code 2
├── ConfigError                 the YAML file, an override or a hyperparameter
├── EnvError                    the environment cannot be found, built or driven by the algorithm
│   └── CodeError               a module that a config names cannot be imported, or has changed
├── RunFolderError              the results folder is missing, unreadable or in use
│   └── DiskFullError           there is no space left to write
├── CheckpointError             a saved agent is missing or damaged
├── OutOfBoundsError            a return lies outside the range declared for it
├── StudyError                  a study's storage is unreachable, or holds another study
└── DataError                   a log is missing, damaged, too small, or has another schema

A failure *inside* a run (the environment raises, the loss is NaN) is not one of these: it is
recorded in the run's run.json with its traceback, the other runs continue, and the exit code is 1.
"""

import difflib
import os
import signal
import sysconfig
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rl_runner.redaction import redacted

MOST_CHARACTERS = 2_000  # of an error's text


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: what, where (file, line, key) and what to do about it."""

    what: str
    where: str = ""
    cure: str = ""

    def __str__(self) -> str:
        return "\n".join(line for line in (self.where, self.what, self.cure) if line)


class RunnerError(Exception):
    """A mistake that the user can correct, described by one or more :class:`Problem`."""

    title = "Error"

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n\n".join(str(problem) for problem in problems))
        self.problems = problems

    def __reduce__(self) -> tuple[Any, ...]:
        """Let the problems travel to another process, not only their text."""
        return type(self), self.problems


class ConfigError(RunnerError):
    """A config, or an option of a command, is wrong; nothing was built or written."""

    title = "Invalid config or option"


class EnvError(RunnerError):
    """The environment cannot be found, built, or driven by the chosen algorithm."""

    title = "Environment problem"


class CodeError(EnvError):
    """A module that a config names cannot be found or imported, or its source has changed."""


class RunFolderError(RunnerError):
    """A results folder is missing, damaged, not writable or in use."""

    title = "Run folder problem"


class DiskFullError(RunFolderError):
    """The disk or the user's quota is full."""


class CheckpointError(RunnerError):
    """A saved agent is missing or damaged."""

    title = "Checkpoint problem"


class StudyError(RunnerError):
    """A study's storage is unreachable, or holds another study than the requested one."""

    title = "Study problem"


class DataError(RunnerError):
    """A log of interactions is missing, damaged, too small, or has another schema."""

    title = "Log problem"


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return ``Did you mean `x`?`` for the closest known word, or an empty string."""
    matches = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f"Did you mean `{matches[0]}`?" if matches else ""


def count(n: int, noun: str) -> str:
    """Write a number with its noun: ``1 run``, ``2 runs``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def bounded(text: str, limit: int = MOST_CHARACTERS) -> str:
    r"""Return text in a form that can be stored and shown.

    Passwords and tokens are replaced by ``***``. If it is longer than ``limit`` characters, its
    middle is left out. What UTF-8 cannot encode (a file name in another encoding, for example) is
    written as an escape: ``\udcff``.
    """
    length = len(text)
    if length > 8 * limit:  # of the rest nothing is shown, so its secrets need not be found
        text = text[: 4 * limit] + text[-4 * limit :]
    text = redacted(text)
    if len(text) > limit:
        half = limit // 2
        left_out = f" … [{length - 2 * half:,} characters left out] … "
        text = text[:half] + left_out + text[-half:]
    return text.encode("utf-8", "backslashreplace").decode()


def describe_exception(error: BaseException) -> str:
    """Say on one line what went wrong, even if the exception cannot be turned into text.

    An error of ours reads as its problems do; of any other exception, the type comes first.
    """
    if isinstance(error, RunnerError):
        return " ".join(bounded(" ".join(map(_on_one_line, error.problems))).split())
    kind = type(error).__name__
    try:
        text = " ".join(bounded(str(error)).split())
    except Exception:  # noqa: BLE001 - an exception's own `__str__` may raise anything
        return f"{kind} (its text is not available: `__str__` raised an exception)"
    return f"{kind}: {text}" if text else kind


def _on_one_line(problem: Problem) -> str:
    where = f"({problem.where})" if problem.where else ""
    return " ".join(part for part in (problem.what, where, problem.cure) if part)


def place_of(error: BaseException) -> str:
    """Return file, line and function where an exception was raised, in the user's code if any."""
    if place := users_place_of(error):
        return place
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename]
    return _shown_frame((own or frames)[-1]) if frames else ""


def users_place_of(error: BaseException) -> str:
    """Return file, line and function of the user's code that raised an exception; else no text.

    That is the innermost code that belongs neither to an installed package, nor to Python, nor to
    rl_runner.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = frame.filename
        if not file.startswith(("<", *_NOT_THE_USERS)) and "-packages" not in file:
            return _shown_frame(frame)
    return ""


def _shown_frame(frame: traceback.FrameSummary) -> str:
    return f"{frame.filename}:{frame.lineno}, in {frame.name}"


_NOT_THE_USERS = (sysconfig.get_path("stdlib"), os.path.dirname(__file__))  # noqa: PTH120 - a text


def describe_exit(exitcode: int | None) -> str:
    """Say how a process ended without a message of its own, as the end of a sentence."""
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = "; was it out of memory?" if name == "SIGKILL" else ""
        return f"was ended by {name}{hint}"
    return f"ended with exit code {exitcode}"
