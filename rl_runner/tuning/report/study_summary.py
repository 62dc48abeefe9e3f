"""The results of a study, as objects and as plain data (summary.json)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from rl_runner.config.tune import ObjectiveConfig, TuneConfig
from rl_runner.tuning.confirm import Confirmed, gain_of, optimism_of, pareto_front, rank_trials
from rl_runner.tuning.objective import describe_objective
from rl_runner.tuning.optuna_log import optuna_silenced
from rl_runner.tuning.study.study_folder import FORMAT
from rl_runner.tuning.study_reporter import TrialReport

FEWEST_FOR_IMPORTANCES = 4  # complete trials; with fewer, importances would be noise


@dataclass(frozen=True)
class TuneResult:
    """The state of a study and its results so far."""

    path: Path
    study: str
    tune: TuneConfig
    total_timesteps: int  # of one run
    trials: Sequence[TrialReport]
    confirmed: Sequence[Confirmed]
    winner: Confirmed | None
    best_config: Path | None  # ready for `rl train`
    stopped: bool  # interrupted before its end; the same call resumes it
    importances: Mapping[str, float]  # by hyperparameter, for the first objective; they sum to 1

    @property
    def complete(self) -> list[TrialReport]:
        """The complete trials, the best first."""
        trials = [trial for trial in self.trials if trial.outcome == "complete"]
        return rank_trials(self.tune.objective[0], trials)

    @property
    def summary(self) -> dict[str, Any]:
        """The results as plain data, for JSON."""
        front = pareto_front(self.tune.objective, self.complete)
        return {
            "format": FORMAT,
            "study": self.study,
            "path": str(self.path),
            "stopped": self.stopped,
            "total_timesteps": self.total_timesteps,
            "seeds_per_trial": self.tune.seeds,
            "objectives": [_objective(objective) for objective in self.tune.objective],
            "search_space": {k: p.model_dump() for k, p in self.tune.parameters.items()},
            "n_trials": self.counts,
            "best_trial": self.complete[0].number if self.complete else None,
            "pareto_front": [t.number for t in front] if len(self.tune.objective) > 1 else None,
            "winner": self.winner.candidate.label if self.winner else None,
            "best_config": str(self.best_config) if self.best_config else None,
            "confirmed": [
                confirmed_document(self.tune, item, self.confirmed) for item in self.confirmed
            ],
            "importances": dict(self.importances),
            "trials": [_trial(trial) for trial in self.trials],
        }

    @property
    def counts(self) -> dict[str, int]:
        """The number of trials by outcome."""
        outcomes = [trial.outcome for trial in self.trials]
        return {outcome: outcomes.count(outcome) for outcome in dict.fromkeys(outcomes)}


def _objective(objective: ObjectiveConfig) -> dict[str, Any]:
    return {
        **objective.model_dump(),
        "direction": "maximize" if objective.maximized else "minimize",
        "description": describe_objective(objective),
    }


def _trial(trial: TrialReport) -> dict[str, Any]:
    return {
        "number": trial.number,
        "outcome": trial.outcome,
        "values": dict(trial.values),
        "scores": list(trial.scores),
        "seeds": [list(scores) for scores in trial.seeds],
        "curve": [list(point) for point in trial.curve.items()],
        "seconds": trial.seconds,
        **({"cause": trial.cause} if trial.cause else {}),
    }


def confirmed_document(
    tune: TuneConfig, item: Confirmed, confirmed: Sequence[Confirmed]
) -> dict[str, Any]:
    """Return a confirmed candidate as plain data: its scores in the search and on fresh seeds."""
    trial, summary = item.candidate.trial, item.summary
    gain = gain_of(tune.objective[0], item, confirmed)
    optimism = optimism_of(tune.objective[0], item)
    return {
        "candidate": item.candidate.label,
        "values": dict(item.candidate.values),
        "search_scores": list(trial.scores) if trial else None,
        "scores": list(item.scores),
        "seeds": [list(scores) for scores in item.seeds],
        "mean": summary.mean if summary else None,
        "ci95": list(summary.ci95) if summary and summary.ci95 else None,
        "gain": gain.mean if gain else None,
        "gain_ci95": list(gain.ci95) if gain and gain.ci95 else None,
        "optimism": optimism.mean if optimism else None,
        "optimism_ci95": list(optimism.ci95) if optimism and optimism.ci95 else None,
        "failures": list(item.causes),
    }


def importances_of(study: optuna.Study, tune: TuneConfig) -> dict[str, float]:
    """Return each hyperparameter's share of the first objective's variance, the largest first.

    By functional ANOVA over a random forest (Hutter et al. 2014). Empty with too few complete
    trials, or if all of them have the same score.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    scores = {trial.values[0] for trial in complete}
    if len(complete) < FEWEST_FOR_IMPORTANCES or len(scores) < 2:
        return {}
    # With one objective Optuna takes its value itself.
    several = len(tune.objective) > 1
    with optuna_silenced():
        found = optuna.importance.get_param_importances(
            study,
            evaluator=optuna.importance.FanovaImportanceEvaluator(seed=tune.seed),
            target=(lambda trial: trial.values[0]) if several else None,
        )
    return {name: float(share) for name, share in found.items()}
