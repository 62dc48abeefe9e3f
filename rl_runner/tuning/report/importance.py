"""Which hyperparameters made the difference between the trials."""

import optuna
from optuna.trial import TrialState

from rl_runner.config.tune import TuneConfig
from rl_runner.tuning.search.samplers import quietly

FEWEST = 4  # complete trials below which an importance would be noise


def importances_of(study: optuna.Study, tune: TuneConfig) -> dict[str, float]:
    """Return each hyperparameter's share of the first objective's variance, the largest first.

    By functional ANOVA over a random forest (Hutter et al. 2014). Empty with too few complete
    trials, or if all of them scored the same.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    scores = {trial.values[0] for trial in complete}
    if len(complete) < FEWEST or len(scores) < 2:
        return {}
    several = len(tune.objective) > 1
    with quietly():
        found = optuna.importance.get_param_importances(
            study,
            evaluator=optuna.importance.FanovaImportanceEvaluator(seed=tune.seed),
            target=(lambda trial: trial.values[0]) if several else None,
        )
    return {name: float(share) for name, share in found.items()}
