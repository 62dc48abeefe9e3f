"""One trial under way: its seeds one after another, its learning curves against those of others.

A trial reports the mean of its seeds' learning curves: while the first seed trains, that seed's
evaluations; while the second trains, the mean of both at the same timestep, and so on. Steps count
timesteps through all seeds. So one pruner compares trials by learning-curve steps within a seed,
and by ever more seeds within a trial.
"""

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna

from rl_runner.config import ExperimentConfig
from rl_runner.config.tune import TuneConfig
from rl_runner.runs.folder import ExperimentFolder
from rl_runner.training.reporting import Evaluated, RunId
from rl_runner.training.task import RunTask
from rl_runner.tuning.objective import Curve, RunOutcome, over_seeds, score_of_run
from rl_runner.tuning.search.samplers import quietly
from rl_runner.tuning.space.search_space import Values


@dataclass
class Race:
    """A trial under way."""

    trial: optuna.Trial
    number: int
    values: Values
    config: ExperimentConfig
    tune: TuneConfig
    folder: ExperimentFolder
    outcomes: list[RunOutcome] = field(default_factory=list)  # of the seeds that are through
    curve: Curve = field(default_factory=dict)  # of the present seed, by nominal timestep
    tries: int = 0  # of the present seed that a signal ended
    hopeless: bool = False
    began: float = field(default_factory=time.monotonic)
    task: RunTask | None = None

    def __post_init__(self) -> None:
        frozen = self.trial.study.get_trials(deepcopy=False)[self.trial.number]
        self.reported = set(frozen.intermediate_values)

    @property
    def present(self) -> int:
        """Which of its seeds is being run, from 0."""
        return len(self.outcomes)

    @property
    def last_step(self) -> int:
        """The step of the last evaluation of the last seed."""
        return len(self.config.train.seeds) * self.config.train.total_timesteps

    def next_task(self) -> RunTask:
        """Return the run of the present seed."""
        seed = self.config.train.seeds[self.present]
        self.task = RunTask(self.config, seed, self.folder.path)
        return self.task

    def is_about(self, run: RunId) -> bool:
        """Whether a report is about the run under way."""
        return self.task is not None and self.task.run == run

    def hear(self, evaluated: Evaluated) -> bool:
        """Take an evaluation of the present seed; True if the trial has become hopeless.

        At the end of its last seed a trial is not judged any more: there is nothing left to save.
        """
        timesteps = self.nominal(evaluated.timesteps)
        if self.hopeless or timesteps in self.curve:
            return False
        self.curve[timesteps] = evaluated.mean_reward
        if len(self.tune.objective) > 1:  # Optuna keeps no curves of several objectives
            return False
        step = self.present * self.config.train.total_timesteps + timesteps
        if step not in self.reported:
            self.reported.add(step)
            self.trial.report(self._standing(timesteps), step)
        if step < max(self.reported) or step == self.last_step:
            return False
        with quietly():
            self.hopeless = self.trial.should_prune()
        return self.hopeless

    def catch_up(self, run: RunId, curve: Curve) -> None:
        """Hear what the present seed's finished run told nobody, since the search was killed."""
        for timesteps, mean_reward in curve.items():
            self.hear(Evaluated(run, timesteps, mean_reward))

    def nominal(self, timesteps: int) -> int:
        """Return when an evaluation was due, which is the same in all trials.

        It is made a little later, at the end of a step of all environments, or of the last rollout.
        """
        every = self.config.eval.every or self.config.train.total_timesteps
        if timesteps >= self.config.train.total_timesteps:
            return self.config.train.total_timesteps
        return max(1, timesteps // every) * every

    def _standing(self, timesteps: int) -> float:
        """Return the mean of the seeds' curves at a timestep, turned so that it suits the study."""
        curves = [self._by_due_time(outcome.curve) for outcome in self.outcomes]
        values = [curve[timesteps] for curve in curves if timesteps in curve]
        mean = float(np.mean([*values, self.curve[timesteps]]))
        return mean if self.tune.objective[0].maximized else -mean

    def _by_due_time(self, curve: Curve) -> Curve:
        due: Curve = {}
        for timesteps, mean in curve.items():
            due.setdefault(self.nominal(timesteps), mean)
        return due

    def seed_finished(self, outcome: RunOutcome) -> bool:
        """Take the present seed's result; True if it was the last."""
        self.outcomes.append(outcome)
        self.curve = {}
        self.tries = 0
        return len(self.outcomes) == len(self.config.train.seeds)

    def scores_of_seeds(self) -> list[list[float]]:
        """Return, per objective, the number of each seed that is through."""
        total = self.config.train.total_timesteps
        return [
            [score_of_run(objective, outcome, total) for outcome in self.outcomes]
            for objective in self.tune.objective
        ]

    def scores(self) -> list[float]:
        """Return the trial's number per objective."""
        pairs = zip(self.tune.objective, self.scores_of_seeds(), strict=True)
        return [over_seeds(objective, scores) for objective, scores in pairs]

    def attributes(self) -> dict[str, Any]:
        """Return what Optuna's storage keeps of the trial beside its parameters and values."""
        return {
            "seeds": list(self.config.train.seeds[: len(self.outcomes)]),
            "scores": self.scores_of_seeds(),
            "seconds": round(time.monotonic() - self.began, 3),
        }
