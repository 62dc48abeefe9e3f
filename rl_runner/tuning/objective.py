"""Objectives: a score for each run of a trial, and one score for the trial."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rl_runner.config import ExperimentConfig
from rl_runner.config.tune import ObjectiveConfig
from rl_runner.envs.specs import find_spec
from rl_runner.errors import ConfigError, Problem, RunFolderError
from rl_runner.evaluation.play.return_bounds import return_bounds
from rl_runner.evaluation.statistics.bounds import Bounds
from rl_runner.evaluation.statistics.ranks import interquartile_mean
from rl_runner.runs.folder import RunFolder
from rl_runner.runs.record import RunRecord

# What a run that never reached the threshold scores, in budgets (PAR2, as in SAT competitions).
NEVER_REACHED = 2.0

Curve = dict[int, float]  # timesteps → mean return of that periodic evaluation


@dataclass(frozen=True)
class RunOutcome:
    """The results of a finished run; mean returns are exact where the environment allows it."""

    last_mean_reward: float
    best_mean_reward: float
    training_seconds: float
    curve: Curve
    is_exact: bool = False

    @classmethod
    def of(cls, run: RunFolder) -> "RunOutcome":
        """Read a finished run's results; raises RunFolderError if they cannot be read."""
        record = run.read_record() or RunRecord()
        last, best = record.last.exact_or_mean_reward, record.best.exact_or_mean_reward
        if last is None or best is None or record.training_seconds is None:
            raise RunFolderError(Problem("This run has no results.", str(run.path)))
        is_exact = record.last.exact_mean_reward is not None
        return cls(last, best, record.training_seconds, load_curve(run), is_exact)


def load_curve(run: RunFolder) -> Curve:
    """Return the mean return of each periodic evaluation after timestep 0 that a run has made."""
    arrays = run.measurements.load_evaluations()
    means = arrays["returns"].mean(axis=1)
    if len(arrays.get("exact", ())) == len(means):
        means = arrays["exact"]
    points = zip(arrays["timesteps"].tolist(), means.tolist(), strict=True)
    return {timesteps: mean for timesteps, mean in points if timesteps > 0}


def score_of_run(objective: ObjectiveConfig, outcome: RunOutcome, total_timesteps: int) -> float:
    """Return a run's score, in the objective's own unit and direction."""
    match objective.measure:
        case "final":
            return outcome.last_mean_reward
        case "best":
            return outcome.best_mean_reward
        case "last_mean":
            return float(np.mean(list(outcome.curve.values())[-objective.last :]))
        case "time_to_threshold":
            threshold = objective.threshold
            reached = (t for t, mean in outcome.curve.items() if mean >= (threshold or 0.0))
            return float(next(reached, NEVER_REACHED * total_timesteps))
        case "wall_time":
            return outcome.training_seconds


def score_bounds(
    objective: ObjectiveConfig, config: ExperimentConfig, *, exact: bool
) -> Bounds | None:
    """Return the bounds of a run's score; None where they are not known.

    :param exact: whether the mean returns are exact, and so those of some policy
    """
    match objective.measure:
        case "final" | "best" | "last_mean":
            return return_bounds(config.env, exact=exact)
        case "time_to_threshold":
            return Bounds(0.0, NEVER_REACHED * config.train.total_timesteps, "budget")
        case "wall_time":
            return None


def over_seeds(objective: ObjectiveConfig, scores: Sequence[float]) -> float:
    """Return one score for several seeds, as ``objective.over_seeds`` says."""
    values = np.asarray(scores, dtype=float)
    match objective.over_seeds:
        case "mean":
            return float(values.mean())
        case "median":
            return float(np.median(values))
        case "iqm":
            return float(interquartile_mean(values))
        case "worst":
            return float(values.min() if objective.maximized else values.max())


def complete_objective(objective: ObjectiveConfig, config: ExperimentConfig) -> ObjectiveConfig:
    """Return the objective with the environment's own reward threshold, if it needs one.

    :raises ConfigError: if a threshold is needed and neither the config nor the environment has one
    """
    if objective.measure != "time_to_threshold" or objective.threshold is not None:
        return objective
    threshold = find_spec(config.env).reward_threshold
    if threshold is None:
        what = f"{config.env.id} has no reward threshold of its own."
        cure = "Write `objective: {measure: time_to_threshold, threshold: …}`."
        raise ConfigError(Problem(what, config.source.locate(("tune", "objective")), cure))
    return objective.model_copy(update={"threshold": threshold})


def describe_objective(objective: ObjectiveConfig) -> str:
    """Return an objective in a few words, for tables and pictures."""
    of_seeds = {"mean": "mean", "median": "median", "iqm": "IQM", "worst": "worst"}
    what = {
        "final": "final return",
        "best": "best agent's return",
        "last_mean": f"return over the last {objective.last} evaluations",
        "time_to_threshold": f"timesteps to {objective.threshold}",
        "wall_time": "training seconds",
    }
    return f"{of_seeds[objective.over_seeds]} {what[objective.measure]} over seeds"
