"""Training as it is watched: live bars in a terminal, a line now and then in a pipe."""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from rl_runner.cli._console import console, duration, number, tell
from rl_runner.config import ExperimentConfig
from rl_runner.training import reporting


class LineReporter(reporting.Reporter):
    """Plain lines on standard error: readable in a pipe and in a CI log."""

    SECONDS = 10.0

    def __init__(self, *, metrics: bool = False) -> None:
        self.metrics_file = sys.stderr if metrics else None
        self._last = 0.0

    def experiment_started(
        self, config: ExperimentConfig, path: Path, seeds: Sequence[int]
    ) -> None:
        """Say what is trained where."""
        listed = ", ".join(map(str, seeds))
        steps = f"{config.train.total_timesteps:,} timesteps"
        tell(f"{config.algo.name} on {config.env.id}, {steps}, seeds {listed} → {path}")

    def note(self, text: str) -> None:
        """Say it."""
        tell(f"Note: {text}")

    def run_started(self, seed: int) -> None:  # noqa: ARG002 - the interface's
        """Start the clock for the next line."""
        self._last = time.monotonic()

    def run_progress(self, progress: reporting.Progress) -> None:
        """Write a line if the last one is a while ago."""
        if time.monotonic() - self._last >= self.SECONDS:
            self._last = time.monotonic()
            done = 100 * progress.timesteps / progress.total_timesteps
            tell(f"seed {progress.seed}: {done:3.0f} %  {_numbers(progress)}")

    def run_ended(self, seed: int, record: Mapping[str, Any]) -> None:
        """Say how it ended."""
        tell(f"seed {seed}: {_ending(record)}")


class LiveReporter(LineReporter):
    """One bar per run in a terminal."""

    def __init__(self) -> None:
        super().__init__()
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[numbers]}"),
            console=console(stderr=True),
        )
        self._tasks: dict[int, TaskID] = {}
        self._total = 0

    def experiment_started(
        self, config: ExperimentConfig, path: Path, seeds: Sequence[int]
    ) -> None:
        """Say what is trained where, and note the budget of each bar."""
        super().experiment_started(config, path, seeds)
        self._total = config.train.total_timesteps

    def run_started(self, seed: int) -> None:
        """Draw a bar."""
        self._bars.start()
        self._tasks[seed] = self._bars.add_task(f"seed {seed}", total=self._total, numbers="")

    def run_progress(self, progress: reporting.Progress) -> None:
        """Move the bar."""
        task = self._tasks[progress.seed]
        self._bars.update(task, completed=progress.timesteps, numbers=_numbers(progress))

    def run_ended(self, seed: int, record: Mapping[str, Any]) -> None:
        """Replace the bar by a line that says how it ended."""
        task = self._tasks.pop(seed, None)
        if task is not None:
            self._bars.remove_task(task)
            self._bars.stop()
        super().run_ended(seed, record)

    def close(self) -> None:
        """Give the terminal back."""
        self._bars.stop()


def reporter(*, quiet: bool, verbose: bool) -> reporting.Reporter:
    """Choose who listens: nobody, lines, lines and every metric, or live bars."""
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


def _ending(record: Mapping[str, Any]) -> str:
    if record.get("status") != "finished":
        return f"{record.get('status')}: {record.get('error', 'no result')}"
    last = record["results"]["last"]
    reward = f"{number(last['mean_reward'])} ± {number(last['std_reward'])}"
    exact = f", exactly {last['exact_mean_reward']:.4f}" if "exact_mean_reward" in last else ""
    took = duration(record["seconds"])
    return f"{reward} over {last['n_episodes']} held-out episodes{exact} ({took})"
