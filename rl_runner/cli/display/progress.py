"""Progress of `rl train`: live bars in a terminal, a line now and then in a pipe."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from rl_runner.cli.display.characters import visible
from rl_runner.cli.display.console import console, duration, number, show_message
from rl_runner.cli.display.tables import WrappedText
from rl_runner.config import ExperimentConfig
from rl_runner.runs.record import RunRecord
from rl_runner.training import reporting
from rl_runner.training.reporting import RunId


class LineReporter(reporting.Reporter):
    """Plain lines on standard error: readable in a pipe and in a CI log."""

    SECONDS = 15.0

    def __init__(self, *, metrics: bool = False) -> None:
        self.metrics_file = sys.stderr if metrics else None
        self._last: dict[RunId, float] = {}
        self._experiments: set[str] = set()

    def experiment_started(
        self, config: ExperimentConfig, path: Path, seeds: Sequence[int]
    ) -> None:
        """Announce an experiment, its seeds and its folder."""
        self._experiments.add(config.name)
        listed = ", ".join(map(str, seeds))
        # Learning from logs plays no timesteps.
        steps = "" if config.data else f", {config.train.total_timesteps:,} timesteps"
        self.say(f"{config.algo.name} on {config.env.id}{steps}, seeds {listed} → {path}")

    def note(self, text: str) -> None:
        """Print something that the user should know, with a prefix."""
        self.say(f"Note: {text}")

    def run_started(self, run: RunId) -> None:
        """Start the clock for the run's next line."""
        self._last[run] = time.monotonic()

    def run_progress(self, progress: reporting.Progress) -> None:
        """Print a line if the run's last one is at least ``SECONDS`` old."""
        run = progress.run
        if time.monotonic() - self._last.get(run, 0.0) >= self.SECONDS:
            self._last[run] = time.monotonic()
            done = 100 * progress.timesteps / progress.total_timesteps
            self.say(f"{self.label(run)}: {done:3.0f} %  {_numbers(progress)}")

    def run_ended(self, run: RunId, record: RunRecord) -> None:
        """Print how the run ended; one that never started had finished before."""
        before = "already finished: " if record.is_finished and run not in self._last else ""
        self.say(f"{self.label(run)}: {before}{_ending(record)}")

    def label(self, run: RunId) -> str:
        """Name a run by its seed, and by its experiment if there are several."""
        return (
            f"{run.experiment} seed {run.seed}"
            if len(self._experiments) > 1
            else f"seed {run.seed}"
        )

    def say(self, text: str) -> None:
        """Print a line on standard error, which may be a terminal or a file."""
        show_message(text)


class LiveReporter(LineReporter):
    """One bar per run under way, and one for all of them, at the bottom of a terminal."""

    def __init__(self) -> None:
        super().__init__()
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[numbers]}"),
            console=console(stderr=True),
            transient=True,
        )
        self._tasks: dict[RunId, TaskID] = {}
        self._totals: dict[str, int] = {}
        self._done: dict[RunId, float] = {}
        self._all: TaskID | None = None
        self._n_runs = 0

    def experiment_started(
        self, config: ExperimentConfig, path: Path, seeds: Sequence[int]
    ) -> None:
        """Announce an experiment, and add its seeds to the total bar."""
        super().experiment_started(config, path, seeds)
        total = self._totals[config.name] = config.train.total_timesteps
        self._n_runs += len(seeds)
        before = self._bars.tasks[0].total or 0 if self._all is not None else 0
        if self._all is None:
            self._all = self._bars.add_task("all", total=0, numbers="")
        self._bars.update(self._all, total=before + total * len(seeds))
        self._bars.start()

    def run_started(self, run: RunId) -> None:
        """Add a bar for the run."""
        super().run_started(run)
        total = self._totals.get(run.experiment)
        self._tasks[run] = self._bars.add_task(self.label(run), total=total, numbers="")

    def run_progress(self, progress: reporting.Progress) -> None:
        """Move the run's bar and the total bar."""
        task = self._tasks.get(progress.run)
        if task is not None:
            self._bars.update(task, completed=progress.timesteps, numbers=_numbers(progress))
        self._move_total(progress.run, progress.timesteps)

    def run_ended(self, run: RunId, record: RunRecord) -> None:
        """Replace the run's bar by a line that says how it ended."""
        task = self._tasks.pop(run, None)
        if task is not None:
            self._bars.remove_task(task)
        if record.is_finished:
            self._move_total(run, self._totals.get(run.experiment, 0))
        super().run_ended(run, record)

    def say(self, text: str) -> None:
        """Print a line above the bars, which stay at the bottom of the terminal."""
        self._bars.console.print(WrappedText(Text(visible(text))), crop=False)

    def close(self) -> None:
        """Remove the bars from the terminal."""
        self._bars.stop()

    def _move_total(self, run: RunId, timesteps: float) -> None:
        self._done[run] = timesteps
        if self._all is not None:
            running = f"{len(self._tasks)} of {self._n_runs} runs active"
            self._bars.update(self._all, completed=sum(self._done.values()), numbers=running)


def choose_reporter(*, quiet: bool, verbose: bool) -> reporting.Reporter:
    """Return the reporter for these options: silent, lines, lines with every metric, or bars."""
    if quiet:
        return reporting.Reporter()
    if verbose or not console(stderr=True).is_terminal:
        return LineReporter(metrics=verbose)
    return LiveReporter()


def _numbers(progress: reporting.Progress) -> str:
    parts = [f"{progress.steps_per_second:,.0f} steps/s"]
    if progress.mean_return is not None:
        parts.append(f"return {number(progress.mean_return)}")
    if progress.mean_evaluation is not None:
        parts.append(f"evaluation {number(progress.mean_evaluation)}")
    return "  ".join(parts)


def _ending(record: RunRecord) -> str:
    if not record.is_finished:
        return record.status if record.error is None else f"{record.status}: {record.error}"
    last, took = record.last, duration(record.seconds)
    if record.results is not None and record.results.log is not None:
        return f"learned from {record.timesteps or 0:,} interactions ({took})"
    reward = f"{number(last.mean_reward)} ± {number(last.std_reward)}"
    exactly = last.exact_mean_reward
    exact = "" if exactly is None else f", exact mean {number(exactly, 4)}"
    return f"{reward} over {last.n_episodes} held-out episodes{exact} ({took})"
