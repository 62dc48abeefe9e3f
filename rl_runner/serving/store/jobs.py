"""What the writer stores: decisions, outcomes, and whether decisions were shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

from rl_runner.offline.domains.protocol import Value
from rl_runner.serving.problems import ApiError

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

    def answer_to(self, request: str) -> Self:
        """Return this, as the answer to a request with its event id.

        :param request: the digest of that request
        :raises ApiError: if this answers another request
        """
        if self.request == request:
            return self
        what = f"The event id {self.event_id} was used before, with another request."
        raise ApiError("conflict", f"{what} Use a new id for each decision.")


class DecisionRow(NamedTuple):
    """A row of the table ``decisions``, as it is inserted."""

    event_id: str
    ts: int
    user_id: str
    session_id: str
    step: int
    context: str
    action: str
    pscore: float
    policy_id: str
    model_version: str
    arm: str
    arm_share: float
    rollout_id: str | None
    mode: str
    request: str
    is_shown: bool | None
    shown_at: int | None


class OutcomeRow(NamedTuple):
    """A row of the table ``outcomes``."""

    event_id: str
    outcome_id: str
    kind: str
    value: str  # JSON
    ts: int
    received: int


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

    def row(self, step: int, ts: int) -> DecisionRow:
        """Return a row of the table. There is one arm until there are rollouts."""
        return DecisionRow(
            event_id=self.event_id,
            ts=ts,
            user_id=self.user_id,
            session_id=self.session_id,
            step=step,
            context=self.context,
            action=self.action,
            pscore=self.pscore,
            policy_id=self.policy_id,
            model_version=self.model_version,
            arm=self.arm,
            arm_share=1.0,
            rollout_id=None,
            mode="live",
            request=self.request,
            is_shown=None if self.is_deferred else True,
            shown_at=None,  # until it is reported
        )

    def stored(self, step: int) -> StoredDecision:
        """Return what is answered once the row is stored."""
        return StoredDecision(
            self.event_id,
            self.action,
            self.pscore,
            self.policy_id,
            self.model_version,
            self.arm,
            step,
            self.request,
        )


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


Report = OutcomeJob | ShownJob
Job = DecisionJob | Report


def no_decision(event_id: str) -> ApiError:
    """Return what is said of a report about a decision that does not exist."""
    what = f"There is no decision {event_id}. Report the `event_id` of the answer."
    return ApiError("not-found", what)
