"""A search as it is watched, and what it found."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rl_runner.cli._console import duration, number, show, table, tell
from rl_runner.tuning.reporting import StudyPlan, StudyReporter, TrialReport

if TYPE_CHECKING:
    from rl_runner.tuning.summary import TuneResult


class LineReporter(StudyReporter):
    """Plain lines on standard error, one per trial: readable in a pipe and in a CI log."""

    def __init__(self) -> None:
        self.objectives: tuple[str, ...] = ()

    def search_started(self, plan: StudyPlan) -> None:
        """Say what is searched."""
        self.objectives = plan.objectives
        self.say(
            f"{plan.n_trials} trials on up to {plan.n_seeds} seeds, {plan.total_timesteps:,} "
            f"timesteps each, for {' and '.join(plan.objectives)} → {plan.path}"
        )
        if plan.done:
            self.say(f"{len(plan.done)} trials are there already.")

    def note(self, text: str) -> None:
        """Say it."""
        self.say(f"Note: {text}")

    def trial_ended(self, trial: TrialReport) -> None:
        """Say how it ended."""
        self.say(f"trial {trial.number}: {ending(trial)}  {settings(trial.values)}")

    def confirming(self, labels: Sequence[str], n_runs: int) -> None:
        """Say what is confirmed."""
        self.say(f"Confirming {', '.join(labels)} on fresh seeds: {n_runs} runs.")

    def say(self, text: str) -> None:
        """Write one line."""
        tell(text)


def reporter(*, quiet: bool) -> StudyReporter:
    """Choose who listens."""
    return StudyReporter() if quiet else LineReporter()


def ending(trial: TrialReport) -> str:
    """Say in a few words how a trial ended."""
    if trial.outcome == "complete":
        scores = ", ".join(number(score) for score in trial.scores)
        return f"{scores} ({duration(trial.seconds)})"
    return f"{trial.outcome}{': ' + trial.cause if trial.cause else ''}"


def settings(values: Mapping[str, Any]) -> str:
    """Write hyperparameters on one line."""
    return "  ".join(f"{name}={short(value)}" for name, value in values.items())


def short(value: Any) -> str:
    """Write a value in four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def show_result(result: "TuneResult") -> None:
    """Draw what a study found."""
    document = result.summary
    rows = [
        [
            item["candidate"],
            number(item["search_scores"][0]) if item["search_scores"] else "—",
            number(item["mean"]),
            interval(item["ci95"]),
            number(item["optimism"]),
            interval(item["optimism_ci95"]),
        ]
        for item in document["confirmed"]
    ]
    columns = ("candidate", ">search", ">fresh seeds", ">95 %", ">optimism", ">95 %")
    show(table(columns, rows, result.study))


def interval(ends: Sequence[float] | None) -> str:
    """Write an interval."""
    return f"{number(ends[0])} to {number(ends[1])}" if ends else "—"
