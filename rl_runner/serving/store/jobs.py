"""What the writer stores: decisions, outcomes, and whether decisions were shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from rl_runner.offline.domains.protocol import Value

if TYPE_CHECKING:
    from asyncio import Future


class StoredDecision(NamedTuple):
    """What was answered to a request, as the store has it."""

    event_id: str
    action: str  # JSON
    pscore: float
    policy_id: str
    model_version: str
    arm: str
    step: int
    request: str  # digest of the request


@dataclass(slots=True)
class DecisionJob:
    """A decision to store. Its step and time are given by the writer."""

    future: "Future[StoredDecision]"
    event_id: str
    is_clients_id: bool  # so that it may be a repeated request
    user_id: str
    session_id: str
    context: str  # JSON
    action: str  # JSON
    pscore: float
    policy_id: str
    model_version: str
    arm: str
    is_deferred: bool
    request: str


class NewOutcome(NamedTuple):
    """One outcome as it was reported."""

    outcome_id: str
    kind: str
    value: Value
    ts: int | None  # microseconds since 1970; None: now


class OutcomeCounts(NamedTuple):
    """How many outcomes of a report were new, and how many were known."""

    stored: int
    repeated: int


@dataclass(slots=True)
class OutcomeJob:
    """Outcomes of one decision: all are stored, or none."""

    future: "Future[OutcomeCounts]"
    event_id: str
    outcomes: Sequence[NewOutcome]


@dataclass(slots=True)
class ShownJob:
    """Whether a decision was shown."""

    future: "Future[bool]"
    event_id: str
    is_shown: bool


Job = DecisionJob | OutcomeJob | ShownJob
