"""Experiment folders as data: the results of every seed, or the reason why there are none.

Nothing is left out silently. A seed that failed, was interrupted or has a return that is not a
finite number is included without a score, and with the reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from rl_runner.config import ExperimentConfig, load_config
from rl_runner.envs.code import use_code
from rl_runner.errors import Problem, RunFolderError, RunnerError
from rl_runner.layout import CONFIG, RECORD, seed_name, seed_number
from rl_runner.runs.find import find_runs
from rl_runner.runs.folder import RunFolder
from rl_runner.runs.record import AgentResult, RunRecord

AgentName = Literal["last", "best"]


@dataclass(frozen=True)
class Curve:
    """The periodic evaluations of one run, n of them."""

    timesteps: np.ndarray  # (n,) int64, increasing
    returns: np.ndarray  # (n,) float64: the exact mean return if it is known, or over episodes
    seconds: np.ndarray  # (n,) float64 of training and evaluation; NaN if they were not recorded


@dataclass(frozen=True)
class FinalResult:
    """One agent's result on the held-out episodes."""

    mean_reward: float
    n_episodes: int
    exact_mean_reward: float | None  # where the environment has a transition table


@dataclass(frozen=True)
class SeedRun:
    """One seed of an experiment, as it is on disk."""

    seed: int
    path: Path
    status: str
    problem: str  # why it has no result; empty if it has one
    last: FinalResult | None
    best: FinalResult | None
    selection_optimism: float | None  # the best agent's periodic mean less its held-out mean
    timesteps: int | None
    seconds: float | None
    curve: Curve | None
    versions: Mapping[str, str] = field(default_factory=dict)  # of Python and the packages
    unlisted_code: Mapping[str, str] = field(default_factory=dict)  # as in run.json

    def result(self, agent: AgentName) -> FinalResult | None:
        """Return the result of the last or of the best agent."""
        return self.last if agent == "last" else self.best


@dataclass(frozen=True)
class Experiment:
    """One config and all of its seeds, in order."""

    path: Path
    config: ExperimentConfig
    runs: tuple[SeedRun, ...]

    @property
    def finished(self) -> tuple[SeedRun, ...]:
        """The runs that have a result."""
        return tuple(run for run in self.runs if not run.problem)

    @property
    def missing(self) -> tuple[SeedRun, ...]:
        """The runs without a result: failed, interrupted, running, not started, or not finite."""
        return tuple(run for run in self.runs if run.problem)


def load_experiments(paths: Sequence[str | Path]) -> list[Experiment]:
    """Read several experiments; see :func:`load_experiment`.

    :raises RunFolderError: if one is named twice
    """
    places = [Path(path).resolve() for path in paths]
    for path, place in zip(paths, places, strict=True):
        if places.count(place) > 1:
            cure = "Name each experiment once."
            raise RunFolderError(Problem("This experiment is named twice.", str(path), cure))
    return [load_experiment(path) for path in paths]


def load_experiment(path: str | Path) -> Experiment:
    """Read an experiment's folder: every seed that its config lists or that has a folder.

    :raises RunFolderError: if ``path`` is not an experiment, or is one of its seeds, or is empty,
        or learned from logs (then its results are estimates, not returns of episodes)
    :raises ConfigError: if its config.yaml is damaged
    """
    path = Path(path)
    places = find_runs(path)
    if places == [path]:
        cure = f"Name the experiment it belongs to: {path.parent}"
        raise RunFolderError(Problem("This is a single run.", str(path), cure))
    config = load_config(path / CONFIG)
    use_code(config)
    if config.data is not None:
        what = "This experiment learned from logs, so it has no episode returns to compare."
        cure = "Evaluate it on a log: `rl eval RUN --data LOG`."
        raise RunFolderError(Problem(what, str(path), cure))
    seeds = {seed_number(place.name) for place in places} | set(config.train.seeds)
    runs = tuple(_load_run(path / seed_name(seed), seed) for seed in sorted(seeds))
    return Experiment(path, config, runs)


def _load_run(path: Path, seed: int) -> SeedRun:
    run = RunFolder(path)
    try:
        record = run.read_record() or RunRecord()
    except RunnerError as error:
        why = " ".join(problem.what for problem in error.problems)
        return SeedRun(
            seed, path, "unreadable", f"{RECORD}: {why}", None, None, None, None, None, None
        )
    # A run that claims to be running while no process trains it has crashed.
    last, best = _final_result(record.last), _final_result(record.best)
    status: str = record.status
    if status == "running" and not run.is_claimed():
        status = "crashed"
    # A run with a problem takes part in no comparison.
    problem = _problem(status, record, last)
    return SeedRun(
        seed,
        path,
        status,
        problem,
        None if problem else last,
        None if problem else best,
        _finite(record.best.selection_optimism),
        record.timesteps,
        _finite(record.seconds),
        None if problem else _load_curve(run),
        record.versions,
        record.unlisted_code,
    )


def _problem(status: str, record: RunRecord, last: FinalResult | None) -> str:
    """Say why a run has no result; an empty text if it has one."""
    if status == "failed":
        return f"failed: {record.error or 'no reason was recorded'}"
    if status != "finished":
        return {"pending": "not started", "running": "still running"}.get(status, status)
    return "" if last is not None else "finished, but its returns are not finite numbers"


def _final_result(result: AgentResult) -> FinalResult | None:
    """Return how one agent did; None if its mean is not a finite number."""
    mean = _finite(result.mean_reward)
    if mean is None:
        return None
    return FinalResult(mean, result.n_episodes, _finite(result.exact_mean_reward))


def _finite(value: float | None) -> float | None:
    """Return a finite number as it is, None for any other."""
    return float(value) if value is not None and np.isfinite(value) else None


def _load_curve(run: RunFolder) -> Curve | None:
    """Read the periodic evaluations; None if there are none, or they cannot be read."""
    try:
        arrays = run.measurements.load_evaluations()
        timesteps, returns = arrays["timesteps"], arrays["returns"].mean(axis=1)
        exact = arrays.get("exact")
        if exact is not None and len(exact) == len(returns) and np.isfinite(exact).all():
            returns = exact
    except (RunFolderError, KeyError, ValueError):
        return None
    if len(timesteps) == 0 or len(timesteps) != len(returns) or not np.isfinite(returns).all():
        return None
    return Curve(timesteps, returns, _seconds_at(run, timesteps))


def _seconds_at(run: RunFolder, timesteps: np.ndarray) -> np.ndarray:
    """Return the wall-clock seconds at these timesteps, from the times at which episodes ended."""
    import polars as pl

    types = {"timestep": pl.Float64, "wall_time": pl.Float64}
    try:
        episodes = pl.read_csv(
            run.measurements.episodes_file, columns=[*types], schema_overrides=types
        )
        made, seconds = (episodes[column].to_numpy() for column in types)
    except (OSError, pl.exceptions.PolarsError):
        return np.full(len(timesteps), np.nan)
    if len(made) == 0:
        return np.full(len(timesteps), np.nan)
    return np.asarray(np.interp(timesteps, np.append(0.0, made), np.append(0.0, seconds)))
