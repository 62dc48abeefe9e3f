"""What a service and the exporter of its log need to know of a domain.

A domain has no state: it names the parts of a context, checks what people report, and turns
decisions and outcomes into rows of a log. :mod:`rl_runner.offline.domains.recommender` is one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import polars as pl
    from pydantic import BaseModel

Value = bool | float | str


@dataclass(frozen=True)
class OutcomeKind:
    """The values that outcomes of one kind may have: flags, words, or numbers in a range.

    :param words: the allowed words; empty for numbers and flags
    """

    name: str
    is_flag: bool = False
    words: tuple[str, ...] = ()
    low: float = -math.inf
    high: float = math.inf

    def check(self, value: Value) -> None:
        """Raise ValueError, with what was expected, if ``value`` is not one of this kind."""
        if self.is_flag:
            fits, wanted = isinstance(value, bool), "true or false"
        elif self.words:
            fits, wanted = value in self.words, f"one of {', '.join(self.words)}"
        else:
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            fits = is_number and math.isfinite(value) and self.low <= value <= self.high  # type: ignore[operator,arg-type]  # a number, by the line above
            is_bounded = math.isfinite(self.low) and math.isfinite(self.high)
            wanted = f"a number from {self.low:g} to {self.high:g}" if is_bounded else "a number"
        if not fits:
            message = f"{self.name} is {value!r}, not {wanted}"
            raise ValueError(message)


class Outcome(NamedTuple):
    """One part of what happened after a decision."""

    kind: str
    value: Value
    ts: int  # microseconds since 1970, when it happened


class Decided(NamedTuple):
    """A stored decision, as the exporter reads it."""

    event_id: str
    ts: int  # microseconds since 1970
    user_id: str
    session_id: str
    step: int
    context: dict[str, Any]
    action: Any
    pscore: float
    policy_id: str
    model_version: str
    is_last: bool  # whether no later decision of its session is in the store


class Domain(Protocol):
    """What contexts, actions and outcomes are."""

    @property
    def name(self) -> str:
        """Its name in configs and stores."""

    @property
    def context_model(self) -> "type[BaseModel]":
        """A strict model of contexts; its fields are the names of their parts."""

    @property
    def kinds(self) -> Mapping[str, OutcomeKind]:
        """What can be reported, by name."""

    @property
    def example(self) -> tuple[Any, tuple[str, Value]]:
        """A context, and an outcome's kind and value."""

    def parameters(self, action: Any) -> dict[str, Any]:
        """Return what the caller's system needs to carry out an action."""

    def check_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Raise ValueError if the outcomes of one decision contradict each other."""

    def reward(self, context: Mapping[str, Any], outcomes: Sequence[Outcome]) -> float:
        """Return the reward of a decision by the domain's default weights."""

    def rows(self, decisions: Sequence[tuple[Decided, Sequence[Outcome]]]) -> "pl.DataFrame":
        """Return one row of the domain's log per decision, with defaults for missing outcomes."""


def check_value(domain: Domain, kind: str, value: Value) -> None:
    """Raise ValueError if a domain has no such kind of outcome, or the value is not one of it."""
    from rl_runner.errors import did_you_mean

    if kind not in domain.kinds:
        known = f"known: {', '.join(domain.kinds)}"
        message = f"there is no outcome `{kind}`; {did_you_mean(kind, domain.kinds) or known}"
        raise ValueError(message)
    domain.kinds[kind].check(value)


def latest(outcomes: Sequence[Outcome], kind: str) -> Value | None:
    """Return the value of the latest outcome of a kind; None if there is none."""
    found = [(outcome.ts, i) for i, outcome in enumerate(outcomes) if outcome.kind == kind]
    return outcomes[max(found)[1]].value if found else None
