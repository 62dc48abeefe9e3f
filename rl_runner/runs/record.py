"""run.json as typed data: what a run is, its status, what it runs on, and what it measured.

:func:`read_record` reads every run.json that rl_runner has ever written and refuses a damaged one.
A key that this version does not know is kept in ``extra`` and written back unchanged.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from rl_runner.errors import Problem, RunFolderError
from rl_runner.runs.disk import parse_json, read_text, write_aside, writing
from rl_runner.runs.layout import RECORD

FORMAT = 1  # of run.json; raise it when an older version could misread what is written
Status = Literal["pending", "running", "finished", "failed", "interrupted", "pruned"]
STATUSES: tuple[Status, ...] = get_args(Status)
EDITED = "It was edited or damaged: `rl train … --fresh` trains this seed again."


@dataclass(frozen=True)
class AgentResult:
    """What was measured of one agent on held-out episodes (or, for logs, estimated from a log)."""

    mean_reward: float | None = None  # None: an estimate from a log that was refused
    std_reward: float | None = None
    mean_ep_length: float | None = None  # timesteps
    n_episodes: int = 0
    success_rate: float | None = None  # where the environment reports successes
    info: Mapping[str, float] = field(
        default_factory=dict
    )  # means of the environment's own numbers
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
    extra: Mapping[str, Any] = field(default_factory=dict)

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
class Results:
    """What a finished run measured; the last four only if it learned from a log."""

    last: AgentResult | None = None
    best: AgentResult | None = None
    log: Mapping[str, Any] | None = None  # what was read and learned
    coverage: Mapping[str, Any] | None = None
    judgement: Mapping[str, Any] | None = None
    checklist: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class GitState:
    """The commit that a run ran on."""

    commit: str | None = None
    dirty: bool = False  # whether there were uncommitted changes
    of: str | None = "working directory"  # or rl_runner's own code
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ExtendedFrom:
    """The end of a shorter run, with which a run began."""

    path: str | None = None
    timesteps: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RunRecord:
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
    machine: Mapping[str, Any] = field(default_factory=dict)
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
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its end and has results."""
        return self.status == "finished"

    @property
    def last(self) -> AgentResult:
        """The agent at the end of training; without numbers if the run is not finished."""
        return (self.results and self.results.last) or AgentResult()

    @property
    def best(self) -> AgentResult:
        """The agent with the best periodic evaluation; without numbers if there is none."""
        return (self.results and self.results.best) or AgentResult()

    def to_json(self) -> dict[str, Any]:
        """Return the contents of run.json."""
        raw: dict[str, Any] = _write(self)
        if self.versions:
            raw.setdefault("git", None)  # looked for and not found
        if self.results is not None and self.results.log is not None:
            raw["results"].setdefault("judgement", None)  # nothing was held out to judge by
        return raw


@dataclass(frozen=True)
class Completion:
    """What a run adds to its record when it has come to its end."""

    timesteps: int
    results: Results
    training_seconds: float | None = None


def read_record(run: Path) -> RunRecord | None:
    """Return the run.json in a run's folder; None if there is none.

    :raises RunFolderError: if it cannot be read, is damaged, or a newer version wrote it
    """
    text = read_text(run / RECORD)
    if text is None:
        return None
    try:
        return record_from_json(parse_json(text))
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


class NewerFormatError(ValueError):
    """A newer version of rl_runner wrote this run.json."""


def record_from_json(raw: Any) -> RunRecord:
    """Turn the contents of a run.json into a record.

    :raises ValueError: naming the first thing that is wrong
    """
    if not isinstance(raw, dict):
        message = "It does not hold a JSON object."
        raise ValueError(message)
    written = raw.get("format")
    if isinstance(written, int) and written > FORMAT:
        message = f"A newer version of rl_runner wrote it, in format {written}."
        raise NewerFormatError(message)
    if (status := raw.get("status", "pending")) not in STATUSES:
        message = f"`{status}` is not a valid run status."
        raise ValueError(message)
    record: RunRecord = _read(RunRecord, raw)
    if record.is_finished and (record.results is None or record.results.last is None):
        message = "Its status is `finished`, but it has no results."
        raise ValueError(message)
    return record


# --- from JSON and back ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plain:
    """A plain JSON value: which Python types it may have, and what to call them in an error."""

    types: tuple[type, ...]
    noun: str
    inside: tuple[type, ...] | None = None  # of a list's elements, or an object's values

    def accepts(self, value: Any) -> bool:
        """Whether the value has the type, exactly: True is not a number, and 10**400 is too big."""
        if type(value) not in self.types:
            return False
        if type(value) is int:
            return abs(value) < BIGGEST
        if self.inside is None:
            return True
        values = value.values() if type(value) is dict else value
        return all(type(each) in self.inside for each in values)


_NUMBER = _Plain((int, float), "a number")
_TEXT = _Plain((str,), "a text")
_WHOLE = _Plain((int,), "a whole number")
_OBJECT = _Plain((dict,), "an object")
BIGGEST = 2**63
_PLAIN: dict[Any, _Plain] = {
    float | None: _NUMBER,
    int | None: _WHOLE,
    int: _WHOLE,
    str | None: _TEXT,
    Status: _TEXT,
    bool: _Plain((bool,), "true or false"),
    tuple[str, ...]: _Plain((list,), "a list of texts", (str,)),
    tuple[float, ...] | None: _Plain((list,), "a list of numbers", (int, float)),
    Mapping[str, str]: _Plain((dict,), "an object of texts", (str,)),
    Mapping[str, float]: _Plain((dict,), "an object of numbers", (int, float)),
    Mapping[str, Any]: _OBJECT,
    Mapping[str, Any] | None: _OBJECT,
}
_NESTED: dict[Any, type] = {
    AgentResult | None: AgentResult,
    Results | None: Results,
    GitState | None: GitState,
    ExtendedFrom | None: ExtendedFrom,
}
_FIELDS: dict[type, dict[str, _Plain | type]] = {
    of: {
        each.name: _NESTED.get(each.type) or _PLAIN[each.type]
        for each in fields(of)
        if each.name != "extra"
    }
    for of in (RunRecord, Results, AgentResult, GitState, ExtendedFrom)
}
_ALWAYS = {"mean_reward", "std_reward", "dirty"}  # written even if they are None or False


def _read(of: type, raw: Any, where: str = "") -> Any:
    """Build a dataclass from a JSON object; an absent key and null both leave a field's default.

    :param where: the keys that lead to the object, each followed by a dot
    """
    if type(raw) is not dict:
        message = f"`{where.rstrip('.')}` is not an object."
        raise ValueError(message)
    kinds = _FIELDS[of]
    known: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in raw.items():
        kind = kinds.get(key)
        if kind is None:
            extra[key] = value
        elif value is None:
            continue
        elif isinstance(kind, type):
            known[key] = _read(kind, value, f"{where}{key}.")
        elif kind.accepts(value):
            known[key] = tuple(value) if type(value) is list else value
        else:
            message = f"`{where}{key}` is not {kind.noun}."
            raise ValueError(message)
    return of(**known, extra=extra)


def _write(value: Any) -> Any:
    """Return a dataclass as a JSON object, without the fields that say nothing."""
    if isinstance(value, tuple):
        return list(value)
    if not is_dataclass(value):
        return value
    raw: dict[str, Any] = {}
    for each in fields(value):
        inside = getattr(value, each.name)
        says_nothing = inside is None or inside is False or inside in ((), {})
        if each.name in _ALWAYS or not (says_nothing or each.name == "extra"):
            raw[each.name] = _write(inside)
    return raw | value.extra  # type: ignore[union-attr]
