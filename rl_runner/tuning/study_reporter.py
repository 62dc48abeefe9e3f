"""What a search reports, in addition to the reports of its runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rl_runner.runs.record import RunRecord
from rl_runner.training.reporting import Evaluated, Progress, Reporter, RunId

Outcome = Literal["complete", "pruned", "failed", "infeasible", "running", "waiting", "abandoned"]


@dataclass(frozen=True)
class TrialReport:
    """The state of a trial: which values were tried, and what came of them."""

    number: int
    values: Mapping[str, Any]
    outcome: Outcome
    scores: tuple[float, ...] = ()  # one per objective, of a complete trial
    seeds: tuple[tuple[float, ...], ...] = ()  # scores per objective, one per finished seed
    curve: Mapping[int, float] = field(default_factory=dict)  # as the pruner saw it
    cause: str = ""  # why it failed or is infeasible
    seconds: float = 0.0


@dataclass(frozen=True)
class StudyPlan:
    """What a search is going to do."""

    path: Path
    study: str
    n_trials: int
    n_seeds: int
    total_timesteps: int
    objectives: tuple[str, ...]
    maximized: bool  # the first objective
    done: Sequence[TrialReport] = field(default_factory=tuple)  # in earlier sessions


class StudyReporter(Reporter):
    """Receives the reports of a search and ignores them; override the methods that you need."""

    def search_started(self, plan: StudyPlan) -> None:
        """Receive the plan and the trials of earlier sessions, before the search starts."""

    def trial_started(self, number: int, values: Mapping[str, Any]) -> None:
        """Receive the number and the hyperparameters of a trial that begins."""

    def trial_ended(self, trial: TrialReport) -> None:
        """Receive the outcome and the scores of a trial that has ended."""

    def confirming(self, labels: Sequence[str], n_runs: int) -> None:
        """Receive the candidates before they are trained on fresh seeds, in ``n_runs`` runs."""


class EvaluationRelay(StudyReporter):
    """Forwards the reports of runs to another reporter, and keeps evaluations for the search."""

    def __init__(self, inner: StudyReporter) -> None:
        self.inner = inner
        self.metrics_file = inner.metrics_file
        self._evaluations: list[Evaluated] = []

    def take_evaluations(self) -> list[Evaluated]:
        """Return the evaluations since the last call."""
        taken, self._evaluations = self._evaluations, []
        return taken

    def run_evaluated(self, evaluated: Evaluated) -> None:
        """Forward an evaluation, and keep it for the search."""
        self.inner.run_evaluated(evaluated)
        self._evaluations.append(evaluated)

    def note(self, text: str) -> None:
        """Pass a note of a run on to the reporter of the study."""
        self.inner.note(text)

    def run_started(self, run: RunId) -> None:
        """Forward that a run begins."""
        self.inner.run_started(run)

    def run_progress(self, progress: Progress) -> None:
        """Forward how far a run is."""
        self.inner.run_progress(progress)

    def run_ended(self, run: RunId, record: RunRecord) -> None:
        """Forward that a run ended."""
        self.inner.run_ended(run, record)
