"""When a search ends: it has enough trials, or it cannot come to a result."""

from collections.abc import Sequence

import optuna

from rl_runner.config.tune import TuneConfig
from rl_runner.errors import Problem, StudyError
from rl_runner.tuning.search.running_trial import CAUSE, trial_number
from rl_runner.tuning.study.study_folder import StudyFolder
from rl_runner.tuning.study_reporter import Outcome

MOST_INFEASIBLE = 100  # trials in a row, after which the space counts as impossible
MOST_FAILURES = 5  # trials without any result, after which the search gives up


def has_trials_left(
    study: optuna.Study, tune: TuneConfig, outcomes: Sequence[Outcome], n_points: int | None
) -> bool:
    """Whether another trial may begin; infeasible and abandoned ones do not count as begun.

    :param outcomes: of every trial of the study, in Optuna's order
    :param n_points: the size of the grid that is searched; None for other samplers
    """
    if n_points is not None and n_drawn(study) >= n_points:
        return "waiting" in outcomes  # the grid is used up, but an interrupted trial is queued
    n_begun = sum(outcome not in {"infeasible", "waiting", "abandoned"} for outcome in outcomes)
    return n_begun < tune.trials


def n_drawn(study: optuna.Study) -> int:
    """Return how many trials were drawn; those queued again were not drawn again."""
    trials = study.get_trials(deepcopy=False)
    return sum(trial_number(trial) == trial.number for trial in trials)


def refuse_hopeless(
    study: optuna.Study, folder: StudyFolder, outcomes: Sequence[Outcome], n_failed: int
) -> None:
    """Refuse to continue a search without any prospect of a result.

    :param outcomes: of every trial of the study, in Optuna's order
    :param n_failed: how many trials have failed in this process
    :raises StudyError: if every trial fails, or the space seems to be impossible
    """
    # Every trial so far has failed.
    ended = [outcome for outcome in outcomes if outcome in {"complete", "pruned", "failed"}]
    if n_failed >= MOST_FAILURES and set(ended) == {"failed"}:
        what = f"All {len(ended)} trials failed, so there is no result."
        last = [trial for trial in study.get_trials() if trial.user_attrs.get(CAUSE)][-1]
        path = folder.trial(trial_number(last))
        raise StudyError(Problem(what, str(path), f"The last cause: {last.user_attrs[CAUSE]}"))
    # No recent combination could be trained.
    recent = [outcome for outcome in outcomes if outcome != "running"][-MOST_INFEASIBLE:]
    if len(recent) == MOST_INFEASIBLE and set(recent) == {"infeasible"}:
        what = f"The last {MOST_INFEASIBLE} trials were combinations that cannot be trained."
        last = study.get_trials()[-1]
        raise StudyError(Problem(what, "tune.search_space", str(last.user_attrs[CAUSE])))
