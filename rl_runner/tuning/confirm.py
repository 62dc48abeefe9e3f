"""Confirmation: the best trials and the starting config are trained on fresh seeds.

The best of many noisy scores is too good on average, since the search also selects for luck. Fresh
seeds, which nothing was selected on, show how optimistic the search was.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from rl_runner.config import ExperimentConfig
from rl_runner.config.tune import ObjectiveConfig, TuneConfig
from rl_runner.evaluation.statistics import LEVEL
from rl_runner.evaluation.statistics.bounds import Bounds
from rl_runner.evaluation.statistics.differences import difference_interval
from rl_runner.evaluation.statistics.summary import Summary, summarize
from rl_runner.training.environment_task import EnvironmentTask
from rl_runner.training.processes.launcher import POLL_SECONDS, Launcher
from rl_runner.training.task import RunResult, RunTask
from rl_runner.tuning.objective import RunOutcome, over_seeds, score_bounds, score_of_run
from rl_runner.tuning.study.study_folder import StudyFolder
from rl_runner.tuning.study_reporter import StudyReporter, TrialReport
from rl_runner.tuning.trial_runs import (
    RETRIES,
    config_with_values,
    confirm_config,
    disk_full_error,
    failure_cause,
    was_interrupted,
    write_experiment,
)

START = "start"
CHECK_SECONDS = 3.0  # between two checks of a run that another process trains


@dataclass(frozen=True)
class Candidate:
    """A config to confirm, and its score in the search."""

    label: str  # `start`, or `trial-0012`
    config: ExperimentConfig
    trial: TrialReport | None  # None for the starting config

    @property
    def values(self) -> Mapping[str, Any]:
        """The hyperparameters that the trial changed; none for the starting config."""
        return self.trial.values if self.trial else {}


@dataclass(frozen=True)
class Confirmed:
    """A candidate's results on fresh seeds."""

    candidate: Candidate
    scores: tuple[float, ...]  # per objective, over the seeds; empty if a run failed
    seeds: tuple[tuple[float, ...], ...]  # scores per objective, one per seed
    causes: tuple[str, ...]  # of failed runs
    bounds: Bounds | None = None  # of the first objective, if they are known

    @property
    def summary(self) -> Summary | None:
        """Mean and interval of the first objective; None if a run failed."""
        return summarize(self.seeds[0], self.bounds) if self.scores else None


@dataclass(frozen=True)
class Improvement:
    """By how much one mean over seeds is better than another; below 0 it is worse."""

    mean: float
    ci95: tuple[float, float] | None  # None with fewer than five seeds of either

    @classmethod
    def of(
        cls,
        objective: ObjectiveConfig,
        better: Sequence[float],
        worse: Sequence[float],
        bounds: Bounds | None,
        n_together: int = 1,
    ) -> Self:
        """Compare the scores of two configs, one score per seed.

        :param bounds: of the scores, if they are known
        :param n_together: how many such intervals hold jointly (Bonferroni)
        """
        a, b = np.asarray(better, dtype=float), np.asarray(worse, dtype=float)
        if not objective.maximized:
            a, b = b, a  # the smaller mean is the better one
        ci95 = difference_interval(a, b, bounds, 1 - (1 - LEVEL) / n_together)
        return cls(float(a.mean() - b.mean()), ci95)


def candidates(
    start: ExperimentConfig, tune: TuneConfig, trials: Sequence[TrialReport]
) -> list[Candidate]:
    """Return the starting config and the best trials, as ``tune.confirm`` says.

    With several objectives the trials come from the Pareto front.
    """
    complete = [trial for trial in trials if trial.outcome == "complete"]
    ranked = pareto_front(tune.objective, complete)
    if len(tune.objective) == 1:
        ranked = rank_trials(tune.objective[0], complete)
    best = [
        Candidate(f"trial-{trial.number:04d}", config_with_values(start, dict(trial.values)), trial)
        for trial in ranked[: max(1, tune.confirm.trials)]
    ]
    return [Candidate(START, config_with_values(start, {}), None), *best]


def rank_trials(objective: ObjectiveConfig, trials: Sequence[TrialReport]) -> list[TrialReport]:
    """Sort trials by the first objective, the best first.

    Several trials may have the same score, such as the maximum of an environment. Then the one
    whose learning curve was better on average comes first: it reached the score sooner, which is
    less likely to be luck.
    """
    sign = -1.0 if objective.maximized else 1.0

    def sort_key(trial: TrialReport) -> tuple[float, float, int]:
        mean_curve = float(np.mean(list(trial.curve.values()))) if trial.curve else sign * np.inf
        return sign * trial.scores[0], sign * mean_curve, trial.number

    return sorted(trials, key=sort_key)


def pareto_front(
    objectives: Sequence[ObjectiveConfig], trials: Sequence[TrialReport]
) -> list[TrialReport]:
    """Return the trials that no other trial dominates, best by the first objective first."""
    signs = np.array([1.0 if objective.maximized else -1.0 for objective in objectives])
    points = [signs * np.array(trial.scores) for trial in trials]
    front = [
        trial
        for trial, point in zip(trials, points, strict=True)
        if not any((other >= point).all() and (other > point).any() for other in points)
    ]
    return rank_trials(objectives[0], front)


def confirm(
    chosen: Sequence[Candidate],
    tune: TuneConfig,
    folder: StudyFolder,
    reporter: StudyReporter,
    jobs: int,
) -> list[Confirmed] | None:
    """Train every candidate on the fresh seeds; return None if that was interrupted.

    The runs of all candidates share the processes, ``jobs`` at a time.

    :raises DiskFullError: if a run cannot be written
    """
    # Write each candidate's experiment folder, and list its runs.
    tasks: dict[str, list[RunTask]] = {}
    for candidate in chosen:
        config = confirm_config(candidate.config, tune, candidate.label)
        experiment = write_experiment(config, folder.candidate(candidate.label))
        tasks[candidate.label] = [
            EnvironmentTask(config, seed, experiment.path, has_hparams=False)
            for seed in config.train.seeds
        ]
    # Train them all.
    all_tasks = [task for group in tasks.values() for task in group]
    reporter.confirming([candidate.label for candidate in chosen], len(all_tasks))
    results = _train_all(all_tasks, reporter, jobs)
    if results is None:
        return None
    return [
        _confirmed(candidate, [results[id(task)] for task in tasks[candidate.label]], tune, folder)
        for candidate in chosen
    ]


def _train_all(
    tasks: Sequence[RunTask], reporter: StudyReporter, jobs: int
) -> dict[int, RunResult] | None:
    """Return the result of each task by its ``id``; None if the user asked to stop."""
    launcher = Launcher(reporter, jobs=jobs)
    retries = dict.fromkeys(map(id, tasks), 0)
    held_elsewhere: list[RunTask] = []  # another process that shares the study trains these
    results: dict[int, RunResult] = {}
    next_check = 0.0
    with launcher.session(), _stopping_runs_on_error(launcher):
        for task in tasks:
            launcher.add(task)
        while launcher.busy or (held_elsewhere and not launcher.stop_requests):
            time.sleep(POLL_SECONDS)
            # Keep results; try interrupted runs again.
            for task, result in launcher.poll():
                if result.elsewhere:
                    held_elsewhere.append(task)
                elif result.record.disk_full:
                    raise disk_full_error(result)
                elif was_interrupted(result) and retries[id(task)] < RETRIES:
                    retries[id(task)] += 1
                    launcher.add(task)
                else:
                    results[id(task)] = result
            # With nothing else to do, check one of the runs that another process holds.
            if held_elsewhere and not launcher.busy and time.monotonic() >= next_check:
                next_check = time.monotonic() + CHECK_SECONDS
                launcher.add(held_elsewhere.pop(0))
    return None if launcher.stop_requests else results


@contextlib.contextmanager
def _stopping_runs_on_error(launcher: Launcher) -> Iterator[None]:
    """Stop all runs if an exception leaves the block."""
    try:
        yield
    except BaseException:
        launcher.stop_and_wait()
        raise


def _confirmed(
    candidate: Candidate, results: Sequence[RunResult], tune: TuneConfig, folder: StudyFolder
) -> Confirmed:
    """Return the scores of a candidate's runs, or the causes of those that failed."""
    total = candidate.config.train.total_timesteps
    # A candidate with a failed run has no scores.
    experiment = write_experiment(
        confirm_config(candidate.config, tune, candidate.label), folder.candidate(candidate.label)
    )
    causes = tuple(
        f"seed {result.seed}: {failure_cause(result)}"
        for result in results
        if result.status != "finished"
    )
    if causes:
        return Confirmed(candidate, (), (), causes)
    # One score per objective and seed, and over all seeds.
    outcomes = [RunOutcome.of(experiment.run(result.seed)) for result in results]
    seeds = tuple(
        tuple(score_of_run(objective, outcome, total) for outcome in outcomes)
        for objective in tune.objective
    )
    pairs = zip(tune.objective, seeds, strict=True)
    scores = tuple(over_seeds(objective, numbers) for objective, numbers in pairs)
    is_exact = all(outcome.is_exact for outcome in outcomes)
    bounds = score_bounds(tune.objective[0], candidate.config, exact=is_exact)
    return Confirmed(candidate, scores, seeds, (), bounds)


def winner_of(tune: TuneConfig, confirmed: Sequence[Confirmed]) -> Confirmed | None:
    """Return the best candidate on fresh seeds by the first objective; None if all of them failed.

    Of candidates with the same score the starting config wins, then the search's preference.
    """
    finished = [item for item in confirmed if item.scores]
    if not finished:
        return None
    sign = 1.0 if tune.objective[0].maximized else -1.0
    return max(finished, key=lambda item: sign * item.scores[0])


def optimism_of(objective: ObjectiveConfig, item: Confirmed) -> Improvement | None:
    """Return by how much a candidate's mean in the search was better than on fresh seeds."""
    trial = item.candidate.trial
    if trial is None or not item.scores:
        return None
    return Improvement.of(objective, trial.seeds[0], item.seeds[0], item.bounds)


def gain_of(
    objective: ObjectiveConfig, item: Confirmed, confirmed: Sequence[Confirmed]
) -> Improvement | None:
    """Return by how much a candidate is better than the starting config, on fresh seeds only.

    The winner is the best of several candidates, so their intervals hold jointly.

    :param confirmed: all candidates, including the starting config
    """
    start = next((other for other in confirmed if other.candidate.trial is None), None)
    if start is None or item is start or not (item.scores and start.scores):
        return None
    return Improvement.of(objective, item.seeds[0], start.seeds[0], item.bounds, len(confirmed) - 1)
