"""run.json as typed data: what a run is, its status, what it runs on, and what it measured.

:func:`read_record` reads every run.json that rl_runner has ever written and refuses a damaged one.
A key that this version does not know is kept in ``extra`` and written back unchanged.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, get_args

from rl_runner.errors import Problem, RunFolderError
from rl_runner.layout import RECORD
from rl_runner.runs.disk import parse_json, read_text, write_aside, writing
from rl_runner.runs.json_objects import JsonObject
from rl_runner.runs.log_results import Checklist, Coverage, Judgement, LogReport

FORMAT = 1  # of run.json; raise it when an older version could misread what is written
Status = Literal["pending", "running", "finished", "failed", "interrupted", "pruned"]
STATUSES: tuple[Status, ...] = get_args(Status)
EDITED = "It was edited or damaged: `rl train … --fresh` trains this seed again."


@dataclass(frozen=True)
class AgentResult(JsonObject):
    """What was measured of one agent on held-out episodes (or, for logs, estimated from a log)."""

    ALWAYS: ClassVar = frozenset({"mean_reward", "std_reward"})
    mean_reward: float | None = None  # None: an estimate from a log that was refused
    std_reward: float | None = None
    mean_ep_length: float | None = None  # timesteps
    n_episodes: int = 0
    success_rate: float | None = None  # where the environment reports successes
    # Means of the environment's own numbers
    info: Mapping[str, float] = field(default_factory=dict)
    # Computed from the transition table, where the environment has one
    exact_mean_reward: float | None = None
    optimal_mean_reward: float | None = None
    regret: float | None = None
    # Of the best agent only
    timesteps: int | None = None  # when it was evaluated as the best
    periodic_mean_reward: float | None = None
    selection_optimism: float | None = None  # its periodic mean less its held-out mean
    # Estimated from a log only
    ci95: tuple[float, ...] | None = None
    n_interactions: int | None = None

    @property
    def exact_or_mean_reward(self) -> float | None:
        """The exact mean return where it is known, else the mean over episodes."""
        return self.mean_reward if self.exact_mean_reward is None else self.exact_mean_reward

    def selected_for(self, periodic_mean_reward: float, timesteps: int) -> "AgentResult":
        """Return the result of the agent that a periodic evaluation selected at ``timesteps``."""
        mean = self.mean_reward
        return replace(
            self,
            timesteps=timesteps,
            periodic_mean_reward=periodic_mean_reward,
            selection_optimism=None if mean is None else periodic_mean_reward - mean,
        )


@dataclass(frozen=True)
class Results(JsonObject):
    """What a finished run measured; the last four only if it learned from a log."""

    last: AgentResult | None = None
    best: AgentResult | None = None
    log: LogReport | None = None
    coverage: Coverage | None = None
    judgement: Judgement | None = None
    checklist: Checklist | None = None


@dataclass(frozen=True)
class GitState(JsonObject):
    """The commit that a run ran on."""

    ALWAYS: ClassVar = frozenset({"dirty"})
    commit: str | None = None
    dirty: bool = False  # whether there were uncommitted changes
    of: str | None = "working directory"  # or rl_runner's own code


@dataclass(frozen=True)
class ExtendedFrom(JsonObject):
    """The end of a shorter run, with which a run began."""

    path: str | None = None
    timesteps: int | None = None


class NewerFormatError(ValueError):
    """A newer version of rl_runner wrote this run.json."""


@dataclass(frozen=True, kw_only=True)
class RunRecord(JsonObject):
    """Everything that run.json says. Times are UTC in ISO 8601, durations in seconds."""

    format: int = FORMAT
    status: Status = "pending"
    name: str | None = None  # of the experiment
    config_hash: str | None = None  # of the experiment too
    env: str | None = None
    algo: str | None = None
    engine: str | None = None
    seed: int | None = None
    extended_from: ExtendedFrom | None = None
    # What it runs on
    started: str | None = None
    command: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)  # of Python and the packages
    git: GitState | None = None
    code: Mapping[str, str] = field(default_factory=dict)  # hashes of local modules' sources
    # The same of modules that were imported by a computed name, and are not in ``code``; and of
    # files that the arguments of the environment name
    unlisted_code: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, str | int | None] = field(default_factory=dict)
    vec: str | None = None  # how the copies of the environment are stepped
    vec_reason: str | None = None  # why not as a batch
    # How far it has come
    heartbeat: str | None = None  # the last time it noted that it is training
    timesteps: int | None = None  # trained, or from which an interrupted run will resume
    stopped_at: int | None = None  # timesteps at which an interrupted run stopped
    training_seconds: float | None = None  # of all sessions, without what was repeated
    results: Results | None = None
    # How it ended
    error: str | None = None
    traceback: str | None = None
    log_tail: tuple[str, ...] = ()  # the end of log.txt
    disk_full: bool = False  # which is no fault of the run
    ended_by_signal: bool = False
    finished: str | None = None
    seconds: float | None = None  # of the last session

    @property
    def is_finished(self) -> bool:
        """Whether the run finished and has results."""
        return self.status == "finished"

    @property
    def last(self) -> AgentResult:
        """The agent at the end of training; without numbers if the run is not finished."""
        return (self.results and self.results.last) or AgentResult()

    @property
    def best(self) -> AgentResult:
        """The agent with the best periodic evaluation; without numbers if there is none."""
        return (self.results and self.results.best) or AgentResult()

    @classmethod
    def from_json(cls, raw: Any, where: str = "") -> Self:
        """Read the contents of a run.json.

        :raises ValueError: naming the first thing that is wrong
        """
        if not isinstance(raw, dict):
            message = "It does not hold a JSON object."
            raise ValueError(message)
        # Refuse other formats before anything else is read.
        written = raw.get("format")
        if isinstance(written, int) and written > FORMAT:
            message = f"A newer version of rl_runner wrote it, in format {written}."
            raise NewerFormatError(message)
        if (status := raw.get("status", "pending")) not in STATUSES:
            message = f"`{status}` is not a valid run status."
            raise ValueError(message)
        # Read it. What is finished must have results.
        record = super().from_json(raw, where)
        if record.is_finished and (record.results is None or record.results.last is None):
            message = "Its status is `finished`, but it has no results."
            raise ValueError(message)
        return record

    def to_json(self) -> dict[str, Any]:
        """Return the contents of run.json."""
        raw = super().to_json()
        if self.versions:
            raw.setdefault("git", None)  # looked for and not found
        if self.results is not None and self.results.log is not None:
            raw["results"].setdefault("judgement", None)  # nothing was held out to judge by
        return raw


@dataclass(frozen=True)
class Completion:
    """What a run adds to its record when it finishes."""

    timesteps: int
    results: Results
    training_seconds: float | None = None
    unlisted_code: Mapping[str, str] = field(default_factory=dict)  # as in RunRecord


def read_record(run: Path) -> RunRecord | None:
    """Return the run.json in a run's folder; None if there is none.

    :raises RunFolderError: if it cannot be read, is damaged, or a newer version wrote it
    """
    text = read_text(run / RECORD)
    if text is None:
        return None
    try:
        return RunRecord.from_json(parse_json(text))
    except NewerFormatError as error:
        cure = "Update rl_runner, or train in another folder (`--runs-dir`)."
        problem = Problem(str(error), str(run / RECORD), cure)
    except ValueError as error:
        problem = Problem(str(error), str(run / RECORD), EDITED)
    raise RunFolderError(problem) from None


# A text that UTF-8 cannot encode becomes an escape, which JSON reads as the same text.
UNENCODABLE = "backslashreplace"


def write_record(run: Path, record: RunRecord) -> None:
    """Replace the run.json in a run's folder, all or nothing."""
    text = _json_text(record)
    write_aside(
        run / RECORD, lambda path: path.write_text(text, encoding="utf-8", errors=UNENCODABLE)
    )


def write_record_into(spare: Path, record: RunRecord) -> None:
    """Write a run.json into a file that takes up space already, then rename the file to run.json.

    Overwriting needs no free space. A record that is longer than the file loses its traceback and
    the end of its log.

    :param spare: a file in the run's folder
    :raises RunFolderError: if that is not possible either
    """
    content = _json_text(record).encode(errors=UNENCODABLE)
    with writing(spare), spare.open("r+b") as file:
        if len(content) > spare.stat().st_size:
            short = replace(record, traceback=None, log_tail=())
            content = _json_text(short).encode(errors=UNENCODABLE)
        file.write(content)
        file.truncate()
    with writing(spare):
        spare.replace(spare.with_name(RECORD))


def _json_text(record: RunRecord) -> str:
    return json.dumps(record.to_json(), indent=2, ensure_ascii=False) + "\n"
