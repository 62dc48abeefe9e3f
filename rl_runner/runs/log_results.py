"""What run.json says of a run that learned from a log: the log, what was learned, the judgement.

:mod:`rl_runner.offline.learning` fills in the first two, :mod:`rl_runner.offline.judging` the last.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from rl_runner.runs.json_objects import JsonObject

Interval = tuple[float, float]
Checklist = Mapping[str, bool | None]  # what should hold before deployment; None: not shown


@dataclass(frozen=True)
class RefusedRow(JsonObject):
    """An example of a row that was refused."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True)
class RefusedRows(JsonObject):
    """How many rows of a log were refused, and why."""

    rows: int  # in all
    refused: int
    reasons: Mapping[str, int]  # the most frequent first
    examples: tuple[RefusedRow, ...]


@dataclass(frozen=True, kw_only=True)
class Learned(JsonObject):
    """What a learner did with a log. What it does not measure is None."""

    transitions: int | None = None  # learned from, also those that waited for their successor
    waiting: int | None = None  # interactions whose successor is not in the log
    mean_abs_td_error: float | None = None
    rmse: float | None = None  # root mean squared error of predicted rewards


@dataclass(frozen=True, kw_only=True)
class LogReport(Learned):
    """What was read from a log, and what was learned from it."""

    window: tuple[str, str]  # after the first time, up to and including the second
    holdout: tuple[str, str] | None  # the same for what was held out
    in_window: int  # interactions
    users_dropped: int  # those with few interactions
    users_dropped_share: float
    interactions_dropped: int
    interactions_dropped_share: float
    interactions: int  # learned from
    users: int
    beyond_budget: int = 0  # interactions older than the newest `train.total_timesteps`
    learned_until: int  # the end of the training window, in microseconds since 1970
    newest: str  # the time of the last interaction learned from
    refusals: RefusedRows


@dataclass(frozen=True)
class LevelCoverage(JsonObject):
    """How much of one level of a table's back-off was seen."""

    states: int
    of_states: int
    state_actions: int
    of_state_actions: int
    visits_per_state_action: float  # of those that were seen


@dataclass(frozen=True, kw_only=True)
class Coverage(JsonObject):
    """How much of the domain was seen, and the mean and extremes of the values."""

    levels: Mapping[str, LevelCoverage] = field(default_factory=dict)  # of a table, coarse to fine
    total_states: int | None = None
    total_state_actions: int | None = None
    cells: int | None = None  # of a regression
    of_cells: int | None = None
    visits_per_cell: float | None = None
    avg_q_value: float
    max_q_value: float
    min_q_value: float
    epsilon: float  # of the deployed policy
    values_outside: int = 0  # values beyond what rewards can sum to


@dataclass(frozen=True)
class Support(JsonObject):
    """How well a log covers a policy. The weights w are P(policy) / P(logging policy)."""

    effective_sample: float  # (Σ w)² / Σ w²
    effective_users: float  # the same with the sum of w of each user
    matching: int  # interactions with a weight above 0
    largest_weight: float
    mean_weight: float  # 1 if the propensities are right and cover every action
    mean_weight_ci95: Interval
    unsupported: float  # the share of the policy's actions that the logging policy never takes
    smallest_pscore: float = 1.0
    mean_weight_ci999: Interval = (0.0, float("inf"))


@dataclass(frozen=True)
class Estimate(JsonObject):
    """One estimate of the mean reward of a recommendation, and differences on the same users."""

    value: float
    ci95: Interval
    versus_logging: float
    versus_logging_ci95: Interval
    versus_rule_based: float | None  # None: the log says nothing about the rule-based policy
    versus_rule_based_ci95: Interval | None
    for_claims: bool = True  # False: it trusts a model's form, and no interval covers that error


@dataclass(frozen=True)
class Rate(JsonObject):
    """How often an outcome occurred in the log, and would under the policy (by SNIPS)."""

    logged: float
    policy: float | None
    policy_ci95: Interval | None


@dataclass(frozen=True)
class SessionJudgement(JsonObject):
    """Estimated rewards of a whole session, and differences on the same users."""

    sessions: int
    value: float
    ci95: Interval
    logging: float
    logging_ci95: Interval
    versus_logging: float
    versus_logging_ci95: Interval
    versus_rule_based: float
    versus_rule_based_ci95: Interval


@dataclass(frozen=True)
class Judgement(JsonObject):
    """What a log says about a policy."""

    ALWAYS: ClassVar = frozenset(
        {"estimates", "rates", "warnings", "switch_threshold", "sessions", "no_sessions"}
    )
    interactions: int
    users: int
    logged_reward: float
    logged_reward_ci95: Interval
    support: Support
    refusal: str | None  # why there are no estimates
    needed: int | None  # interactions, logged like these, that would be enough
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    rates: Mapping[str, Rate] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    switch_threshold: float | None = None
    sessions: SessionJudgement | None = None  # the reward of whole sessions, by a model
    no_sessions: str | None = None  # why there is no such estimate
    # Counts of importance weights, and the edges of their bins.
    weight_histogram: tuple[tuple[int, ...], tuple[float, ...]] = ((), ())

    @property
    def headline(self) -> Estimate | None:
        """The doubly robust estimate; None if it was refused."""
        return self.estimates.get("DR")
