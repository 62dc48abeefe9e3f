"""From a trial's values to the config that is trained, and the seeds of the search.

Three sets of run seeds never meet: those a person trains with (0, 1, 2 …), those of the search and
those that confirm its result. Trial 12's second run in a study with seed 0 is 1_000_012_001.
"""

from pathlib import Path

from rl_runner.agents.registry import find_algorithm
from rl_runner.config import ExperimentConfig, dump_config
from rl_runner.config.schema import AlgoConfig
from rl_runner.config.tune import TuneConfig
from rl_runner.runs.folder import ExperimentFolder
from rl_runner.training.resolve import resolve
from rl_runner.tuning.space.search_space import Values, put

SEARCH, CONFIRM, STUDY = 1_000_000_000, 2_000_000_000, 10_000_000_000
PER_TRIAL = 1_000  # seeds; `tune.seeds` is at most this
LONGEST_NAME = 80


def search_seeds(tune: TuneConfig, number: int) -> tuple[int, ...]:
    """Return the run seeds of a trial."""
    first = STUDY * tune.seed + SEARCH + PER_TRIAL * number
    return tuple(first + i for i in range(tune.seeds))


def confirm_seeds(tune: TuneConfig) -> tuple[int, ...]:
    """Return the fresh run seeds, the same for every candidate."""
    first = STUDY * tune.seed + CONFIRM
    return tuple(first + i for i in range(tune.confirm.seeds))


def complete_start(loaded: ExperimentConfig) -> ExperimentConfig:
    """Return the config that a search begins with: resolved, but for the engine that it asks for.

    With ``engine: auto`` every trial gets the one that can do its values.

    :raises ConfigError: if it cannot be trained
    """
    resolved = resolve(loaded).config
    algo = resolved.algo.model_copy(update={"engine": loaded.algo.engine})
    return resolved.model_copy(update={"algo": algo}).with_source(resolved.source)


def with_values(start: ExperimentConfig, values: Values) -> ExperimentConfig:
    """Return the starting config with a trial's values, resolved.

    :raises ConfigError: if the values cannot go together
    """
    hyperparameters = put(start.algo.hyperparameters, values)
    algo = AlgoConfig.model_validate({**start.algo.model_dump(), **hyperparameters})
    changed = start.model_copy(update={"algo": algo, "tune": None})
    return resolve(changed.with_source(start.source)).config


def for_search(
    config: ExperimentConfig, tune: TuneConfig, number: int, values: Values
) -> ExperimentConfig:
    """Return a trial's config: its seeds, and as many held-out episodes as a search needs."""
    seeds = search_seeds(tune, number)
    episodes = tune.final_episodes or config.eval.n_episodes
    listed = ", ".join(f"{name}={value}" for name, value in values.items())
    return config.model_copy(
        update={
            "name": f"{config.name[:LONGEST_NAME]}-trial-{number}",
            "description": f"Trial {number} of a search: {listed}.",
            "train": config.train.model_copy(update={"seeds": seeds}),
            "eval": config.eval.model_copy(update={"final_episodes": episodes}),
        }
    )


def for_confirming(config: ExperimentConfig, tune: TuneConfig, label: str) -> ExperimentConfig:
    """Return a candidate's config on the fresh seeds."""
    return config.model_copy(
        update={
            "name": f"{config.name[:LONGEST_NAME]}-confirm-{label}",
            "train": config.train.model_copy(update={"seeds": confirm_seeds(tune)}),
            "tune": None,
        }
    )


def write_experiment(config: ExperimentConfig, path: Path) -> ExperimentFolder:
    """Make a trial's or a candidate's experiment folder and write its config.yaml."""
    folder = ExperimentFolder(path, find_algorithm(config.algo.name).weights_file)
    folder.write_config(dump_config(config))
    return folder
