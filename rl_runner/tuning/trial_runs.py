"""The runs of a study: their configs, their seeds, and how they ended.

Three sets of run seeds never meet: those a user trains with (0, 1, 2 …), those of the search and
those that confirm its result. Trial 12's second run in a study with seed 0 is 1_000_012_001.
"""

from pathlib import Path

from rl_runner.config import ExperimentConfig, dump_config
from rl_runner.config.schema import AlgoConfig
from rl_runner.config.tune import TuneConfig
from rl_runner.errors import DiskFullError, Problem
from rl_runner.runs.folder import ExperimentFolder
from rl_runner.training.environment_task import folder_at
from rl_runner.training.resolve import resolve
from rl_runner.training.task import RunResult
from rl_runner.tuning.space.search_space import Values, set_values

FIRST_SEARCH_SEED = 1_000_000_000
FIRST_CONFIRM_SEED = 2_000_000_000
SEEDS_PER_STUDY = 10_000_000_000
SEEDS_PER_TRIAL = 1_000  # `tune.seeds` is at most this
LONGEST_NAME = 80
RETRIES = 2  # of a trial or run that was interrupted


def search_seeds(tune: TuneConfig, number: int) -> tuple[int, ...]:
    """Return the run seeds of a trial."""
    first = SEEDS_PER_STUDY * tune.seed + FIRST_SEARCH_SEED + SEEDS_PER_TRIAL * number
    return tuple(first + i for i in range(tune.seeds))


def confirm_seeds(tune: TuneConfig) -> tuple[int, ...]:
    """Return the fresh run seeds, the same for every candidate."""
    first = SEEDS_PER_STUDY * tune.seed + FIRST_CONFIRM_SEED
    return tuple(first + i for i in range(tune.confirm.seeds))


def resolve_start(loaded: ExperimentConfig) -> ExperimentConfig:
    """Return the config that a search starts from: resolved, except for its engine.

    With ``engine: auto`` every trial gets the engine that supports its values.

    :raises ConfigError: if it cannot be trained
    """
    resolved = resolve(loaded).config
    algo = resolved.algo.model_copy(update={"engine": loaded.algo.engine})
    return resolved.model_copy(update={"algo": algo}).with_source(resolved.source)


def config_with_values(start: ExperimentConfig, values: Values) -> ExperimentConfig:
    """Return the starting config with a trial's values, resolved.

    :raises ConfigError: if the values cannot be combined
    """
    hyperparameters = set_values(start.algo.hyperparameters, values)
    algo = AlgoConfig.model_validate({**start.algo.model_dump(), **hyperparameters})
    changed = start.model_copy(update={"algo": algo, "tune": None})
    return resolve(changed.with_source(start.source)).config


def search_config(
    config: ExperimentConfig, tune: TuneConfig, number: int, values: Values
) -> ExperimentConfig:
    """Return a trial's config: with its seeds, and as many final episodes as a search needs."""
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


def confirm_config(config: ExperimentConfig, tune: TuneConfig, label: str) -> ExperimentConfig:
    """Return a candidate's config with the fresh seeds."""
    return config.model_copy(
        update={
            "name": f"{config.name[:LONGEST_NAME]}-confirm-{label}",
            "train": config.train.model_copy(update={"seeds": confirm_seeds(tune)}),
            "tune": None,
        }
    )


def write_experiment(config: ExperimentConfig, path: Path) -> ExperimentFolder:
    """Create a trial's or a candidate's experiment folder and write its config.yaml."""
    folder = folder_at(path, config)
    folder.write_config(dump_config(config))
    return folder


def was_interrupted(result: RunResult) -> bool:
    """Whether a signal ended the run, or asked it to stop, although the search continues."""
    return result.record.ended_by_signal or result.status == "interrupted"


def disk_full_error(result: RunResult) -> DiskFullError:
    """Return the error for a run that could not continue because the disk is full."""
    what = "The disk or your quota is full, and the run could not continue."
    return DiskFullError(Problem(what, str(result.path)))


def failure_cause(result: RunResult) -> str:
    """Return why a run gave no result, in a few words."""
    if result.status == "interrupted":
        return "the run was asked to stop by SIGTERM"
    return result.record.error or f"the run is {result.status}"
