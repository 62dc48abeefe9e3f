"""The errors that a user can cause. Each says what is wrong, where, and what to do.

RunnerError                     anything that rl_runner refuses to do; exit code 2
├── ConfigError                 the YAML file, an override or a hyperparameter
├── EnvError                    the environment cannot be found, built or driven by the algorithm
├── RunFolderError              the results folder is missing, unreadable or in use
│   └── DiskFullError           there is no space left to write
├── CheckpointError             a saved agent is missing or damaged
├── StudyError                  a study's storage is unreachable, or holds another study
└── DataError                   a log is missing, damaged, too small, or has another schema

A failure *inside* a run (the environment raises, the loss is NaN) is not one of these: it is
recorded in the run's run.json with its traceback, the other runs continue, and the exit code is 1.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


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


class ConfigError(RunnerError):
    """A config, or an option of a command, is wrong; nothing was built or written."""

    title = "Invalid config or option"


class EnvError(RunnerError):
    """The environment cannot be found, built, or driven by the chosen algorithm."""

    title = "Environment problem"


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
