"""What travels over the network, in both directions; used by the server and by the client."""

import re
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from rl_runner.offline.logs.column_types import why_not_an_identity

MOST_IN_A_BATCH = 100
MOST_OUTCOMES = 50
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Message(BaseModel):
    """A JSON object without unknown fields, in which nothing is converted."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


@lru_cache(maxsize=10_000)  # people come back
def _checked_identity(text: str) -> str:
    reason = "contains control characters" if _CONTROL.search(text) else why_not_an_identity(text)
    if reason:
        message = f"the text {reason}"
        raise ValueError(message)
    return text


Identity = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_checked_identity)]
# In the path of a URL, so only characters that need no escape there.
EVENT_ID = re.compile(r"[A-Za-z0-9_.:\-]{1,100}")
EventId = Annotated[str, Field(pattern=f"^{EVENT_ID.pattern}$"), AfterValidator(_checked_identity)]
Eligible = Annotated[
    tuple[Annotated[int, Field(ge=0, le=10**6)], ...], Field(min_length=1, max_length=10_000)
]
Value = bool | Annotated[float, Field(allow_inf_nan=False)] | Annotated[str, Field(max_length=200)]
Microseconds = Annotated[int, Field(ge=0, le=2**53)]


class DecisionRequest(Message):
    """A request for an action. With an ``event_id`` of the client it can be repeated safely."""

    context: Any  # of the service's domain, or an observation
    user_id: Identity
    session_id: Identity
    event_id: EventId | None = None
    eligible: Eligible | None = None  # actions to choose from, by number; default: all
    deferred: bool = False  # whether it counts only after it was reported as shown


class Decision(Message):
    """The answer to a :class:`DecisionRequest`."""

    event_id: str
    action: Any
    parameters: dict[str, Any]
    probability: float  # with which the action was drawn
    policy_id: str
    model_version: str
    arm: str
    step: int  # 0, 1, 2 … within the session


class DecisionBatch(Message):
    """Several requests, answered together."""

    decisions: Annotated[list[Any], Field(min_length=1, max_length=MOST_IN_A_BATCH)]


class Decisions(Message):
    """The answers to a :class:`DecisionBatch`, in its order."""

    decisions: list[Decision]


class OutcomeReport(Message):
    """One part of what happened after a decision."""

    kind: Annotated[str, Field(min_length=1, max_length=100)]
    value: Value
    outcome_id: EventId | None = None  # default: the kind, which can then be reported once
    ts: Microseconds | None = None  # when it happened, since 1970; default: now


class OutcomeReports(Message):
    """One or many outcomes of one decision: all are stored, or none."""

    outcomes: Annotated[list[OutcomeReport], Field(min_length=1, max_length=MOST_OUTCOMES)]


class Stored(Message):
    """How many outcomes were new; the others had been reported before."""

    event_id: str
    stored: int
    repeated: int


class Shown(Message):
    """Whether a decision was shown to the person."""

    event_id: str
    shown: bool


class VersionInfo(Message):
    """A registered version."""

    version: str
    policy_id: str
    algorithm: str
    registered: str
    run: str
    aliases: list[str]
    note: str = ""  # of a promotion: that the code behind it has changed since it was trained
    metrics: dict[str, Any] = Field(default_factory=dict)
    provenance: dict[str, Any] = Field(default_factory=dict)


class Versions(Message):
    """All registered versions, newest first."""

    versions: list[VersionInfo]


class AliasChange(Message):
    """One entry of the history of the aliases."""

    alias: str
    version: str
    before: str | None
    ts: str
    reason: str


class AuditEntry(Message):
    """What an administrator changed."""

    ts: str
    actor: str  # the name of an API key, or "command line"
    action: str
    subject: str  # a version, or a task's number


class AuditEntries(Message):
    """The latest changes by administrators, newest first."""

    entries: list[AuditEntry]


class RegisterRequest(Message):
    """A run to register, by its folder on the server's machine."""

    run: Annotated[str, Field(min_length=1, max_length=1000)]


class ScheduledJob(Message):
    """A job that runs by itself."""

    id: str
    name: str
    next_run_time: str
    trigger: str


class SystemHealth(Message):
    """How a service is, for administrators."""

    status: Literal["healthy", "unhealthy"]
    reason: str
    champion: str
    scheduled_jobs: list[ScheduledJob]
    tasks: list[dict[str, Any]]  # the latest executions


class Triggered(Message):
    """A task that was started."""

    task_id: int
    task_name: str
    status: str


class Health(Message):
    """Whether a server is alive, or ready to decide."""

    status: Literal["ok", "not ready"]
    reason: str = ""
