"""What reports change about a decision: its outcomes, and whether it was shown.

The rules are here, without a database: the writer reads what is known, applies reports in the order
in which they arrived, and stores what is new.
"""

import json
from dataclasses import dataclass, field

from rl_runner.offline.domains.protocol import Domain, Outcome
from rl_runner.serving.problems import ApiError
from rl_runner.serving.store.jobs import OutcomeJob, OutcomeRow, ShownJob

CLOCK_TOLERANCE = 300_000_000  # microseconds that a client's clock may be ahead


@dataclass(slots=True)
class ReportedDecision:
    """What is known of a decision after it was answered."""

    ts: int  # of the decision
    is_shown: bool | None
    shown_at: int | None
    outcomes: dict[str, OutcomeRow] = field(default_factory=dict)  # by outcome id
    is_changed: bool = False  # whether `is_shown` has to be stored

    def add_outcomes(self, job: OutcomeJob, domain: Domain, now: int) -> list[OutcomeRow]:
        """Add the outcomes of a report, and return those that are new.

        :raises ApiError: if one of them is impossible or contradictory; then nothing is added
        """
        if self.is_shown is False:
            what = f"{job.event_id} was reported as not shown, so it has no outcomes."
            raise ApiError("conflict", what)
        # Tell new outcomes from repeated and contradictory ones.
        new = []
        for outcome in job.outcomes:
            ts = now if outcome.ts is None else outcome.ts
            self._check_time(ts, now)
            known = self.outcomes.get(outcome.outcome_id)
            if known is None:
                value = json.dumps(outcome.value)
                names = job.event_id, outcome.outcome_id, outcome.kind
                new.append(OutcomeRow(*names, value, ts, received=now))
            elif (known.kind, json.loads(known.value)) != (outcome.kind, outcome.value):
                what = f"The outcome {outcome.outcome_id} of {job.event_id} was reported before, "
                raise ApiError("conflict", f"{what}as {known.kind} = {known.value}.")
        self._check_together(new, domain)
        # Whoever sees an outcome has seen the decision.
        self.outcomes.update((row.outcome_id, row) for row in new)
        if self.is_shown is None:
            self._set_shown(now, is_shown=True)
        return new

    def note_shown(self, job: ShownJob, now: int) -> bool:
        """Note a first report of whether it was shown; a repeated one changes nothing.

        :raises ApiError: if the report contradicts an earlier one
        """
        is_reported = self.shown_at is not None or self.is_shown is False
        if is_reported and self.is_shown != job.is_shown:
            known = "shown" if self.is_shown else "not shown"
            raise ApiError("conflict", f"{job.event_id} was reported as {known} before.")
        if not is_reported:
            if self.outcomes and not job.is_shown:
                raise ApiError("conflict", f"{job.event_id} has outcomes, so it was shown.")
            self._set_shown(now, is_shown=job.is_shown)
        return job.is_shown

    def _set_shown(self, now: int, *, is_shown: bool) -> None:
        self.is_shown = is_shown
        self.shown_at = now if is_shown else None
        self.is_changed = True

    def _check_time(self, ts: int, now: int) -> None:
        if ts > now + CLOCK_TOLERANCE:
            raise ApiError("invalid-request", f"ts {ts} is in the future; the server has {now}.")
        if ts < self.ts - CLOCK_TOLERANCE:
            raise ApiError("invalid-request", f"ts {ts} is before the decision, {self.ts}.")

    def _check_together(self, new: list[OutcomeRow], domain: Domain) -> None:
        """Raise ApiError if the outcomes of the decision contradict each other."""
        together = (*self.outcomes.values(), *new)
        try:
            domain.check_outcomes(
                [Outcome(row.kind, json.loads(row.value), row.ts) for row in together]
            )
        except ValueError as error:
            raise ApiError("conflict", f"{error}.") from None
