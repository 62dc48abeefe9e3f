"""The results of a study, from which its summary.json is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.trial import TrialState

from rl_runner.config.tune import ObjectiveConfig, TuneConfig
from rl_runner.runs.study_summary import (
    ConfirmedSummary,
    ObjectiveSummary,
    StudySummary,
    TrialSummary,
)
from rl_runner.tuning.confirm import Confirmed, gain_of, optimism_of, pareto_front, rank_trials
from rl_runner.tuning.objective import describe_objective
from rl_runner.tuning.optuna_log import optuna_silenced
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
    def summary(self) -> StudySummary:
        """The results as summary.json has them."""
        front = pareto_front(self.tune.objective, self.complete)
        return StudySummary(
            study=self.study,
            path=str(self.path),
            stopped=self.stopped,
            total_timesteps=self.total_timesteps,
            seeds_per_trial=self.tune.seeds,
            objectives=tuple(_objective(objective) for objective in self.tune.objective),
            search_space={k: p.model_dump() for k, p in self.tune.parameters.items()},
            n_trials=self.counts,
            best_trial=self.complete[0].number if self.complete else None,
            pareto_front=tuple(t.number for t in front) if len(self.tune.objective) > 1 else None,
            winner=self.winner.candidate.label if self.winner else None,
            best_config=str(self.best_config) if self.best_config else None,
            confirmed=tuple(
                confirmed_summary(self.tune, item, self.confirmed) for item in self.confirmed
            ),
            importances=dict(self.importances),
            trials=tuple(_trial(trial) for trial in self.trials),
        )

    @property
    def counts(self) -> dict[str, int]:
        """The number of trials by outcome."""
        outcomes = [trial.outcome for trial in self.trials]
        return {outcome: outcomes.count(outcome) for outcome in dict.fromkeys(outcomes)}


def _objective(objective: ObjectiveConfig) -> ObjectiveSummary:
    return ObjectiveSummary(
        measure=objective.measure,
        last=objective.last,
        threshold=objective.threshold,
        over_seeds=objective.over_seeds,
        direction="maximize" if objective.maximized else "minimize",
        description=describe_objective(objective),
    )


def _trial(trial: TrialReport) -> TrialSummary:
    return TrialSummary(
        number=trial.number,
        outcome=trial.outcome,
        values=dict(trial.values),
        scores=tuple(trial.scores),
        seeds=tuple(map(tuple, trial.seeds)),
        curve=tuple(trial.curve.items()),
        seconds=trial.seconds,
        cause=trial.cause or None,
    )


def confirmed_summary(
    tune: TuneConfig, item: Confirmed, confirmed: Sequence[Confirmed]
) -> ConfirmedSummary:
    """Return a candidate's results in the search and on fresh seeds."""
    trial, summary = item.candidate.trial, item.summary
    gain = gain_of(tune.objective[0], item, confirmed)
    optimism = optimism_of(tune.objective[0], item)
    return ConfirmedSummary(
        candidate=item.candidate.label,
        values=dict(item.candidate.values),
        search_scores=tuple(trial.scores) if trial else None,
        scores=tuple(item.scores),
        seeds=tuple(map(tuple, item.seeds)),
        mean=summary.mean if summary else None,
        ci95=summary.ci95 if summary else None,
        gain=gain.mean if gain else None,
        gain_ci95=gain.ci95 if gain else None,
        optimism=optimism.mean if optimism else None,
        optimism_ci95=optimism.ci95 if optimism else None,
        failures=tuple(item.causes),
    )


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
