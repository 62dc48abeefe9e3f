"""From Optuna's record of a trial to a report in this project's terms."""

from optuna.trial import FrozenTrial, TrialState

from rl_runner.tuning.space.search_space import SearchSpace
from rl_runner.tuning.study_reporter import Outcome, TrialReport

OUTCOME, CAUSE, SCORES, SECONDS = "outcome", "cause", "scores", "seconds"
OUTCOME_OF_STATE: dict[TrialState, Outcome] = {  # where no outcome was recorded
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
    TrialState.FAIL: "abandoned",  # its process ended; the trial was queued again
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
