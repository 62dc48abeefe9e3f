"""Progress of `rl tune`: live bars and curves in a terminal, one line per trial in a pipe."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from rl_runner.cli.display.characters import visible
from rl_runner.cli.display.console import console, duration, number, show_message
from rl_runner.cli.display.tables import WrappedText
from rl_runner.errors import count
from rl_runner.runs.record import RunRecord
from rl_runner.training.reporting import Evaluated, RunId
from rl_runner.training.reporting import Progress as RunProgress
from rl_runner.tuning.study_reporter import StudyPlan, StudyReporter, TrialReport

BLOCKS = "▁▂▃▄▅▆▇█"


class LineReporter(StudyReporter):
    """Plain lines on standard error, one per trial: readable in a pipe and in a CI log."""

    def __init__(self) -> None:
        self.plan: StudyPlan | None = None
        self.n_ended = 0
        self.best: TrialReport | None = None

    def search_started(self, plan: StudyPlan) -> None:
        """Announce the study; count the trials that it has already."""
        self.plan = plan
        self.say(
            f"{plan.n_trials} trials on up to {plan.n_seeds} seeds, {plan.total_timesteps:,} "
            f"timesteps each; objective: {' and '.join(plan.objectives)} → {plan.path}"
        )
        for trial in plan.done:
            self.count(trial)
        if self.n_ended:
            self.say(f"{count(self.n_ended, 'trial')} completed earlier.")

    def note(self, text: str) -> None:
        """Print something that the user should know, with a prefix."""
        self.say(f"Note: {text}")

    def trial_ended(self, trial: TrialReport) -> None:
        """Print how the trial ended."""
        star = "  ← best so far" if self.count(trial) else ""
        self.say(f"trial {trial.number}: {ending(trial)}  {settings(trial.values)}{star}")

    def confirming(self, labels: Sequence[str], n_runs: int) -> None:
        """Announce the confirmation on fresh seeds."""
        self.say(f"Confirming {', '.join(labels)} on fresh seeds ({count(n_runs, 'run')})")

    def count(self, trial: TrialReport) -> bool:
        """Count an ended trial; True if it is the best so far."""
        self.n_ended += trial.outcome in {"complete", "pruned", "failed"}
        if trial.outcome != "complete" or self.plan is None:
            return False
        sign = 1 if self.plan.maximized else -1
        if self.best is not None and sign * trial.scores[0] <= sign * self.best.scores[0]:
            return False
        self.best = trial
        return True

    def say(self, text: str) -> None:
        """Print a line on standard error, which may be a terminal or a file."""
        show_message(text)


class LiveReporter(LineReporter):
    """The active runs with their learning curves, and a total bar, at the bottom of a terminal."""

    def __init__(self) -> None:
        super().__init__()
        self.began = time.monotonic()
        self.done_before = 0
        self.n_runs = 0  # of the confirmation
        self.runs_ended = 0
        self.progress: dict[RunId, RunProgress] = {}
        self.curves: dict[RunId, list[float]] = {}
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.completed:.0f} of {task.total:.0f}"),
            TextColumn("{task.fields[rest]}"),
        )
        self.total: TaskID | None = None
        self.live = Live(console=console(stderr=True), refresh_per_second=4, transient=True)

    def search_started(self, plan: StudyPlan) -> None:
        """Announce the study and start the live display."""
        super().search_started(plan)
        self.done_before = self.n_ended
        self.total = self.bar.add_task("trials", total=plan.n_trials, rest="")
        self.live.start()
        self.draw()

    def trial_ended(self, trial: TrialReport) -> None:
        """Print how the trial ended, above the display."""
        super().trial_ended(trial)
        self.draw()

    def confirming(self, labels: Sequence[str], n_runs: int) -> None:
        """Announce the confirmation and restart the total bar for it."""
        super().confirming(labels, n_runs)
        self.n_runs, self.began, self.done_before = n_runs, time.monotonic(), 0
        if self.total is not None:
            self.bar.update(self.total, description="fresh seeds", total=n_runs)
        self.draw()

    def run_started(self, run: RunId) -> None:
        """Start an empty learning curve for the run."""
        self.curves[run] = []

    def run_evaluated(self, evaluated: Evaluated) -> None:
        """Add a point to the run's learning curve."""
        self.curves.setdefault(evaluated.run, []).append(evaluated.mean_reward)

    def run_progress(self, progress: RunProgress) -> None:
        """Update the run's line."""
        self.progress[progress.run] = progress
        self.draw()

    def run_ended(self, run: RunId, record: RunRecord) -> None:
        """Remove the run's line."""
        del record
        self.runs_ended += self.n_runs > 0
        self.progress.pop(run, None)
        self.curves.pop(run, None)
        self.draw()

    def say(self, text: str) -> None:
        """Print a line above the display, which stays at the bottom of the terminal."""
        self.live.console.print(WrappedText(Text(visible(text))), crop=False)

    def close(self) -> None:
        """Remove the display from the terminal."""
        self.live.stop()

    def draw(self) -> None:
        """Redraw the runs, the total bar and the best trial so far."""
        done = self.runs_ended if self.n_runs else self.n_ended
        if self.total is not None:
            self.bar.update(self.total, completed=done, rest=self._rest(done))
        lines = Table.grid(padding=(0, 2))
        for run, progress in self.progress.items():
            share = progress.timesteps / progress.total_timesteps
            curve = self.curves.get(run, [])
            lines.add_row(
                f"{run.experiment} seed {run.seed}",
                f"{share:4.0%}",
                sparkline(curve),
                number(curve[-1]) if curve else "",
            )
        best = Text()
        if self.best is not None:
            best.append(f"best: trial {self.best.number} with {number(self.best.scores[0])}")
        self.live.update(Group(lines, self.bar, best))

    def _rest(self, done: int) -> str:
        """Estimate the remaining time from the mean time per trial (or run) so far."""
        total = self.n_runs or (self.plan.n_trials if self.plan else 0)
        if done <= self.done_before or done >= total:
            return ""
        per_trial = (time.monotonic() - self.began) / (done - self.done_before)
        return f"about {duration(per_trial * (total - done))} left"


def choose_reporter(*, quiet: bool) -> StudyReporter:
    """Return the reporter for this option: silent, lines, or a live display."""
    if quiet:
        return StudyReporter()
    return LiveReporter() if console(stderr=True).is_terminal else LineReporter()


def sparkline(values: Sequence[float]) -> str:
    """Draw numbers as a line of block characters, scaled from their minimum to their maximum."""
    if not values:
        return ""
    low, high = min(values), max(values)
    height = (high - low) or 1.0
    return "".join(BLOCKS[round((value - low) / height * (len(BLOCKS) - 1))] for value in values)


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
    """Write a value, a number in four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
