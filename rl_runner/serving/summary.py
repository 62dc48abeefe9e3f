"""What a store says of the last days, for the operations page and for monitoring."""

import math
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta

import sqlalchemy as sa

from rl_runner.offline.domains.protocol import Domain
from rl_runner.offline.store.export import Export
from rl_runner.offline.store.tables import decisions, outcomes
from rl_runner.serving.store.setup import Store

WINDOW = timedelta(days=1)
MOST_DECISIONS = 200_000  # of the window; beyond them a summary would take too long
KEPT_SECONDS = 15.0
PAUSE = 20.0  # between two summaries, as a multiple of the time that one takes


@dataclass(frozen=True)
class VersionSummary:
    """The decisions of one version in the window."""

    version: str
    decisions: int
    users: int
    with_outcome: int
    mean_reward: float
    ci95: tuple[float, float]  # over users; infinite with fewer than two of them
    reward_sum: float
    actions: int  # how many different ones


@dataclass(frozen=True)
class Summary:
    """A store, and its decisions in the last day that have waited for their outcomes."""

    versions: tuple[VersionSummary, ...] = ()
    n_decisions: int = 0  # in the store
    n_outcomes: int = 0
    waiting: int = 0
    late_outcomes: int = 0
    is_cut: bool = False  # whether only the first decisions of the window were read

    @property
    def join_rate(self) -> float:
        """The share of decisions that got an outcome in time; NaN without decisions."""
        total = sum(each.decisions for each in self.versions)
        return sum(each.with_outcome for each in self.versions) / total if total else math.nan


@dataclass
class _Tally:
    rewards: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))  # by user
    with_outcome: int = 0
    actions: set[str] = field(default_factory=set)

    def summary(self, version: str) -> VersionSummary:
        n = sum(map(len, self.rewards.values()))
        total = sum(map(sum, self.rewards.values()))
        return VersionSummary(
            version=version,
            decisions=n,
            users=len(self.rewards),
            with_outcome=self.with_outcome,
            mean_reward=total / n,
            ci95=_interval(self.rewards, total / n, n),
            reward_sum=total,
            actions=len(self.actions),
        )


def _interval(rewards: dict[str, list[float]], mean: float, n: int) -> tuple[float, float]:
    """Return a 95 % interval of a mean over decisions, whose users are independent.

    The variance is that of a ratio of sums over users (Taylor linearisation).
    """
    n_users = len(rewards)
    if n_users < 2:
        return -math.inf, math.inf
    residuals = [sum(each) - mean * len(each) for each in rewards.values()]
    variance = sum(r * r for r in residuals) * n_users / (n_users - 1) / n**2
    half = 1.96 * math.sqrt(variance)
    return mean - half, mean + half


class Summaries:
    """Summaries of one store, each kept for a while."""

    def __init__(self, store: Store, domain: Domain) -> None:
        self._store = store
        self._domain = domain
        self._kept = Summary()
        self._until = 0.0

    def get(self) -> Summary:
        """Return a summary that is at most :data:`KEPT_SECONDS` old, or as old as its cost asks.

        Decisions wait while a large store is read, so that may not happen all the time.
        """
        began = time.monotonic()
        if began >= self._until:
            self._kept = self._compute()
            ended = time.monotonic()
            self._until = ended + max(KEPT_SECONDS, (ended - began) * PAUSE)
        return self._kept

    def _compute(self) -> Summary:
        export = Export(self._store.url, WINDOW)
        tallies: dict[str, _Tally] = defaultdict(_Tally)
        is_cut = False
        for batch in export.batches(self._domain):
            for decided, found in batch:
                tally = tallies[decided.model_version]
                reward = self._domain.reward(decided.context, found)
                tally.rewards[decided.user_id].append(reward)
                tally.with_outcome += bool(found)
                tally.actions.add(str(decided.action))
            if export.counts.exported >= MOST_DECISIONS:
                is_cut = True
                break
        with self._store.reading.connect() as connection:
            # Rows are never deleted, so the largest key is their number, without counting them.
            n_decisions, n_outcomes = (
                connection.execute(sa.select(sa.func.max(table.c.id))).scalar() or 0
                for table in (decisions, outcomes)
            )
        return Summary(
            tuple(tally.summary(version) for version, tally in tallies.items()),
            n_decisions,
            n_outcomes,
            export.counts.waiting,
            export.counts.late_outcomes,
            is_cut,
        )
