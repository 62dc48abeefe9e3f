"""What a search tells whoever watches, beside what its runs tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rl_runner.runs.record import RunRecord
from rl_runner.training.reporting import Evaluated, Progress, Reporter, RunId

Outcome = Literal["complete", "pruned", "failed", "infeasible", "running", "waiting", "abandoned"]


@dataclass(frozen=True)
class TrialReport:
    """A trial as it stands: what was tried, and what became of it."""

    number: int
    values: Mapping[str, Any]
    outcome: Outcome
    scores: tuple[float, ...] = ()  # one per objective, of a complete trial
    seeds: tuple[tuple[float, ...], ...] = ()  # per objective, one per finished seed
    curve: Mapping[int, float] = field(default_factory=dict)  # as the pruner saw it
    cause: str = ""  # of a failure, or why it is infeasible
    seconds: float = 0.0


@dataclass(frozen=True)
class StudyPlan:
    """What a search is about to do."""

    path: Path
    study: str
    n_trials: int
    n_seeds: int
    total_timesteps: int
    objectives: tuple[str, ...]
    maximized: bool  # the first of them
    done: Sequence[TrialReport] = field(default_factory=tuple)


class StudyReporter(Reporter):
    """Listens to a search; this one says nothing. Override what you want to hear."""

    def search_started(self, plan: StudyPlan) -> None:
        """Hear what is about to be searched, and which trials are there already."""

    def trial_started(self, number: int, values: Mapping[str, Any]) -> None:
        """Hear that a trial begins."""

    def trial_ended(self, trial: TrialReport) -> None:
        """Hear how a trial ended."""

    def confirming(self, labels: Sequence[str], n_runs: int) -> None:
        """Hear that candidates are about to be trained on fresh seeds."""


class Relay(StudyReporter):
    """Passes the reports of runs on, and the evaluations to the search too."""

    def __init__(self, inner: StudyReporter) -> None:
        self.inner = inner
        self.metrics_file = inner.metrics_file
        self.evaluations: list[Evaluated] = []  # not yet taken by the search

    def note(self, text: str) -> None:
        """Pass it on."""
        self.inner.note(text)

    def run_started(self, run: RunId) -> None:
        """Pass it on."""
        self.inner.run_started(run)

    def run_progress(self, progress: Progress) -> None:
        """Pass it on."""
        self.inner.run_progress(progress)

    def run_evaluated(self, evaluated: Evaluated) -> None:
        """Pass it on, and keep it for the search."""
        self.inner.run_evaluated(evaluated)
        self.evaluations.append(evaluated)

    def run_ended(self, run: RunId, record: RunRecord) -> None:
        """Pass it on."""
        self.inner.run_ended(run, record)
