"""Confirmation: the best trials and the starting config, on seeds that nothing selected on.

The best of many noisy numbers is too good on average: the search chose it for its luck as well.
Fresh seeds tell by how much the search has flattered itself.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from rl_runner.config import ExperimentConfig
from rl_runner.config.tune import ObjectiveConfig, TuneConfig
from rl_runner.evaluation.statistics.confidence import LEVEL
from rl_runner.evaluation.statistics.differences import welch
from rl_runner.evaluation.statistics.summary import Summary, summarize
from rl_runner.training.processes.launcher import POLL_SECONDS, Launcher
from rl_runner.training.task import RunResult, RunTask
from rl_runner.tuning.ends import RETRIES, cause_of, disk_full, ended_from_outside
from rl_runner.tuning.objective import RunOutcome, over_seeds, score_of_run
from rl_runner.tuning.study.study_folder import StudyFolder
from rl_runner.tuning.study_reporter import StudyReporter, TrialReport
from rl_runner.tuning.trial_runs import for_confirming, with_values, write_experiment

START = "start"
LOOK_SECONDS = 3.0  # between two looks at a run that another process trains


@dataclass(frozen=True)
class Candidate:
    """A setting to confirm, and what the search thought of it."""

    label: str  # `start`, or `trial-0012`
    config: ExperimentConfig
    trial: TrialReport | None  # None for the starting config

    @property
    def values(self) -> Mapping[str, Any]:
        """What the trial changed; nothing for the starting config."""
        return self.trial.values if self.trial else {}


@dataclass(frozen=True)
class Confirmed:
    """A candidate after training on fresh seeds."""

    candidate: Candidate
    scores: tuple[float, ...]  # per objective, over the seeds; empty if a run failed
    seeds: tuple[tuple[float, ...], ...]  # per objective, one per seed
    causes: tuple[str, ...]  # of runs that failed

    @property
    def summary(self) -> Summary | None:
        """Mean and interval of the first objective; None if a run failed."""
        return summarize(self.seeds[0]) if self.scores else None


@dataclass(frozen=True)
class Improvement:
    """By how much one mean over seeds is better than another (below 0: worse)."""

    mean: float
    ci95: tuple[float, float] | None  # Welch's; None with fewer than two seeds or no spread

    @classmethod
    def of(
        cls,
        objective: ObjectiveConfig,
        better: Sequence[float],
        worse: Sequence[float],
        n_together: int = 1,
    ) -> Self:
        """Compare scores of two settings; the unit is the seed.

        :param n_together: how many such intervals are to hold at once (Bonferroni)
        """
        sign = 1.0 if objective.maximized else -1.0
        a, b = sign * np.asarray(better), sign * np.asarray(worse)
        compared = welch(a, b, 1 - (1 - LEVEL) / n_together)
        ci95 = (compared.low, compared.high) if compared else None
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
        ranked = ranking(tune.objective[0], complete)
    best = [
        Candidate(f"trial-{trial.number:04d}", with_values(start, dict(trial.values)), trial)
        for trial in ranked[: max(1, tune.confirm.trials)]
    ]
    return [Candidate(START, with_values(start, {}), None), *best]


def ranking(objective: ObjectiveConfig, trials: Sequence[TrialReport]) -> list[TrialReport]:
    """Sort trials by the first objective, the best first.

    Several may have the same score, the most that an environment gives: the one whose learning
    curve was better on average, that is, which was there sooner, is then less likely to be luck.
    """
    sign = -1.0 if objective.maximized else 1.0

    def place(trial: TrialReport) -> tuple[float, float, int]:
        on_the_way = float(np.mean(list(trial.curve.values()))) if trial.curve else sign * np.inf
        return sign * trial.scores[0], sign * on_the_way, trial.number

    return sorted(trials, key=place)


def pareto_front(
    objectives: Sequence[ObjectiveConfig], trials: Sequence[TrialReport]
) -> list[TrialReport]:
    """Return the trials that no other is better than in every objective, best first."""
    signs = np.array([1.0 if objective.maximized else -1.0 for objective in objectives])
    points = [signs * np.array(trial.scores) for trial in trials]
    front = [
        trial
        for trial, point in zip(trials, points, strict=True)
        if not any((other >= point).all() and (other > point).any() for other in points)
    ]
    return ranking(objectives[0], front)


def confirm(
    chosen: Sequence[Candidate],
    tune: TuneConfig,
    folder: StudyFolder,
    reporter: StudyReporter,
    jobs: int,
) -> list[Confirmed] | None:
    """Train every candidate on the fresh seeds, all at once; None if it was stopped before."""
    tasks: dict[str, list[RunTask]] = {}
    for candidate in chosen:
        config = for_confirming(candidate.config, tune, candidate.label)
        experiment = write_experiment(config, folder.candidate(candidate.label))
        tasks[candidate.label] = [
            RunTask(config, seed, experiment.path) for seed in config.train.seeds
        ]
    everything = [task for group in tasks.values() for task in group]
    reporter.confirming([candidate.label for candidate in chosen], len(everything))
    results = _run(everything, reporter, jobs)
    if results is None:
        return None
    return [
        _confirmed(candidate, [results[id(task)] for task in tasks[candidate.label]], tune, folder)
        for candidate in chosen
    ]


def _run(
    tasks: Sequence[RunTask], reporter: StudyReporter, jobs: int
) -> dict[int, RunResult] | None:
    launcher = Launcher(reporter, jobs=jobs)
    tries = dict.fromkeys(map(id, tasks), 0)
    elsewhere: list[RunTask] = []  # another process that shares the study is at these
    results: dict[int, RunResult] = {}
    look_again = 0.0
    with launcher.stopping_on_signals(), _ending_runs(launcher):
        for task in tasks:
            launcher.add(task)
        while launcher.busy or (elsewhere and not launcher.stop_requests):
            time.sleep(POLL_SECONDS)
            for task, result in launcher.poll():
                if result.elsewhere:
                    elsewhere.append(task)
                elif result.record.disk_full:
                    raise disk_full(result)
                elif ended_from_outside(result) and tries[id(task)] < RETRIES:
                    tries[id(task)] += 1
                    launcher.add(task)
                else:
                    results[id(task)] = result
            if elsewhere and not launcher.busy and time.monotonic() >= look_again:
                look_again = time.monotonic() + LOOK_SECONDS
                launcher.add(elsewhere.pop(0))
    return None if launcher.stop_requests else results


@contextlib.contextmanager
def _ending_runs(launcher: Launcher) -> Iterator[None]:
    """Leave no run behind when something goes wrong here."""
    try:
        yield
    except BaseException:
        launcher.stop_and_wait()
        raise


def _confirmed(
    candidate: Candidate, results: Sequence[RunResult], tune: TuneConfig, folder: StudyFolder
) -> Confirmed:
    total = candidate.config.train.total_timesteps
    experiment = write_experiment(
        for_confirming(candidate.config, tune, candidate.label), folder.candidate(candidate.label)
    )
    causes = tuple(
        f"seed {result.seed}: {cause_of(result)}"
        for result in results
        if result.status != "finished"
    )
    if causes:
        return Confirmed(candidate, (), (), causes)
    outcomes = [RunOutcome.of(experiment.run(result.seed)) for result in results]
    seeds = tuple(
        tuple(score_of_run(objective, outcome, total) for outcome in outcomes)
        for objective in tune.objective
    )
    pairs = zip(tune.objective, seeds, strict=True)
    scores = tuple(over_seeds(objective, numbers) for objective, numbers in pairs)
    return Confirmed(candidate, scores, seeds, ())


def winner_of(tune: TuneConfig, confirmed: Sequence[Confirmed]) -> Confirmed | None:
    """Return the best on fresh seeds by the first objective; None if none was trained to the end.

    Of equals the starting config wins, then the one that the search preferred.
    """
    whole = [item for item in confirmed if item.scores]
    if not whole:
        return None
    sign = 1.0 if tune.objective[0].maximized else -1.0
    return max(whole, key=lambda item: sign * item.scores[0])


def optimism_of(objective: ObjectiveConfig, item: Confirmed) -> Improvement | None:
    """Return by how much the search flattered a candidate: its mean against the fresh seeds'."""
    trial = item.candidate.trial
    if trial is None or not item.scores:
        return None
    return Improvement.of(objective, trial.seeds[0], item.seeds[0])


def gain_of(
    objective: ObjectiveConfig, item: Confirmed, confirmed: Sequence[Confirmed]
) -> Improvement | None:
    """Return by how much a candidate is better than the starting config, on fresh seeds alone.

    The winner is the best of several, so the intervals of all of them hold together.

    :param confirmed: all candidates, the starting config among them
    """
    start = next((other for other in confirmed if other.candidate.trial is None), None)
    if start is None or item is start or not (item.scores and start.scores):
        return None
    return Improvement.of(objective, item.seeds[0], start.seeds[0], len(confirmed) - 1)
