"""A trial under way: its seeds are trained one after another, and pruned by their mean curve.

A trial reports the mean of its seeds' learning curves: while the first seed trains, that seed's
evaluations; while the second trains, the mean of both at the same timestep, and so on. Steps count
timesteps through all seeds. One pruner can therefore compare trials both by learning-curve steps
within a seed and by an increasing number of seeds within a trial.
"""

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from rl_runner.config import ExperimentConfig
from rl_runner.config.tune import TuneConfig
from rl_runner.runs.folder import ExperimentFolder
from rl_runner.training.environment_task import EnvironmentTask
from rl_runner.training.reporting import Evaluated, RunId
from rl_runner.training.task import RunTask
from rl_runner.tuning.objective import Curve, RunOutcome, over_seeds, score_of_run
from rl_runner.tuning.optuna_log import optuna_silenced
from rl_runner.tuning.space.search_space import SearchSpace, Values
from rl_runner.tuning.study_reporter import Outcome, TrialReport

OUTCOME, CAUSE, SCORES, SECONDS = "outcome", "cause", "scores", "seconds"
OUTCOME_OF_STATE: dict[TrialState, Outcome] = {  # where no outcome was recorded
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
    TrialState.FAIL: "abandoned",  # its process ended; the trial was queued again
}


@dataclass
class RunningTrial:
    """A trial under way."""

    trial: optuna.Trial
    number: int
    values: Values
    config: ExperimentConfig
    tune: TuneConfig
    folder: ExperimentFolder
    outcomes: list[RunOutcome] = field(default_factory=list)  # of the finished seeds
    curve: Curve = field(default_factory=dict)  # of the current seed, by due timestep
    retries: int = 0  # of the current seed, after it was interrupted
    hopeless: bool = False
    started: float = field(default_factory=time.monotonic)
    task: RunTask | None = None  # the current seed's run

    def __post_init__(self) -> None:
        frozen = self.trial.study.get_trials(deepcopy=False)[self.trial.number]
        self.reported = set(frozen.intermediate_values)  # steps that Optuna has a value for

    @property
    def seed_index(self) -> int:
        """Which of its seeds is being trained, from 0."""
        return len(self.outcomes)

    @property
    def is_complete(self) -> bool:
        """Whether all of its seeds are finished."""
        return len(self.outcomes) == len(self.config.train.seeds)

    @property
    def last_step(self) -> int:
        """The step of the last evaluation of the last seed."""
        return len(self.config.train.seeds) * self.config.train.total_timesteps

    def next_task(self) -> RunTask:
        """Return the run of the current seed."""
        seed = self.config.train.seeds[self.seed_index]
        self.task = EnvironmentTask(self.config, seed, self.folder.path, has_hparams=False)
        return self.task

    def is_training(self, run: RunId) -> bool:
        """Whether a run is the one of the current seed."""
        return self.task is not None and self.task.run == run

    def add_evaluation(self, evaluated: Evaluated) -> bool:
        """Add an evaluation of the current seed; return whether the trial just became hopeless.

        At the end of its last seed a trial is not judged: there is nothing left to save.
        """
        # A resumed run reports its earlier evaluations again; only the first report counts.
        timesteps = self.due_timestep(evaluated.timesteps)
        if self.hopeless or timesteps in self.curve:
            return False
        self.curve[timesteps] = evaluated.mean_reward
        if len(self.tune.objective) > 1:  # Optuna keeps no curves of several objectives
            return False
        # Report the mean of all seeds so far, unless the study has it from an earlier session.
        step = self.seed_index * self.config.train.total_timesteps + timesteps
        if step not in self.reported:
            self.reported.add(step)
            self.trial.report(self._mean_over_seeds(timesteps), step)
        # Ask the pruner, except about old steps and at the very end.
        if step < max(self.reported) or step == self.last_step:
            return False
        with optuna_silenced():
            self.hopeless = self.trial.should_prune()
        return self.hopeless

    def add_missed_evaluations(self, run: RunId, curve: Curve) -> None:
        """Add evaluations of the finished current run that were not received.

        There are some if the search was killed while the run continued.
        """
        for timesteps, mean_reward in curve.items():
            self.add_evaluation(Evaluated(run, timesteps, mean_reward))

    def due_timestep(self, timesteps: int) -> int:
        """Return the timestep at which an evaluation was due, which is the same in all trials.

        It is made a little later, at the end of a step of all environments or of the last rollout.
        """
        every = self.config.eval.every or self.config.train.total_timesteps
        if timesteps >= self.config.train.total_timesteps:
            return self.config.train.total_timesteps
        return max(1, timesteps // every) * every

    def _mean_over_seeds(self, timesteps: int) -> float:
        """Return the mean of the seeds' curves at a timestep, with its sign as the study needs it.

        The study of ``wall_time``, say, minimizes, whereas learning curves are better when higher.
        """
        curves = [self._by_due_timestep(outcome.curve) for outcome in self.outcomes]
        values = [curve[timesteps] for curve in curves if timesteps in curve]
        mean = float(np.mean([*values, self.curve[timesteps]]))
        return mean if self.tune.objective[0].maximized else -mean

    def _by_due_timestep(self, curve: Curve) -> Curve:
        due: Curve = {}
        for timesteps, mean in curve.items():
            due.setdefault(self.due_timestep(timesteps), mean)
        return due

    def add_outcome(self, outcome: RunOutcome) -> None:
        """Add the result of the current seed's finished run; the next seed becomes the current."""
        self.outcomes.append(outcome)
        self.curve = {}
        self.retries = 0

    def scores_of_seeds(self) -> list[list[float]]:
        """Return, per objective, the score of each finished seed."""
        total = self.config.train.total_timesteps
        return [
            [score_of_run(objective, outcome, total) for outcome in self.outcomes]
            for objective in self.tune.objective
        ]

    def scores(self) -> list[float]:
        """Return the trial's score per objective, taken over its finished seeds."""
        pairs = zip(self.tune.objective, self.scores_of_seeds(), strict=True)
        return [over_seeds(objective, scores) for objective, scores in pairs]

    def attributes(self) -> dict[str, Any]:
        """Return what Optuna's storage keeps of the trial besides its parameters and values."""
        return {
            "seeds": list(self.config.train.seeds[: len(self.outcomes)]),
            "scores": self.scores_of_seeds(),
            "seconds": round(time.monotonic() - self.started, 3),
        }


def trial_number(trial: FrozenTrial) -> int:
    """Return the trial's number; for one that was queued again, its first number."""
    number: int = trial.system_attrs.get("failed_trial", trial.number)
    return number


def trial_report(trial: FrozenTrial, space: SearchSpace) -> TrialReport:
    """Return the report of a trial from its state, parameters and user attributes."""
    attributes = trial.user_attrs
    outcome = OUTCOME_OF_STATE.get(trial.state, "pruned")
    if trial.state.is_finished():
        outcome = attributes.get(OUTCOME, outcome)
    return TrialReport(
        number=trial_number(trial),
        values=space.values_of(trial.params),
        outcome=outcome,
        scores=tuple(trial.values or ()) if trial.state is TrialState.COMPLETE else (),
        seeds=tuple(map(tuple, attributes.get(SCORES, ()))),
        curve=dict(sorted(trial.intermediate_values.items())),
        cause=attributes.get(CAUSE, ""),
        seconds=attributes.get(SECONDS, 0.0),
    )
