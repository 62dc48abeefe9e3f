"""Continue a finished experiment with a larger budget (``--extend``)."""

from dataclasses import replace
from pathlib import Path

from rl_runner.config import ExperimentConfig, experiment_hash, load_config
from rl_runner.errors import ConfigError, Problem, RunFolderError
from rl_runner.layout import CONFIG, SEED_FOLDERS
from rl_runner.runs.folder import ExperimentFolder
from rl_runner.runs.record import ExtendedFrom, RunRecord, read_record
from rl_runner.training.environment_task import folder_at
from rl_runner.training.task import RunTask


def find_shorter(config: ExperimentConfig, runs_dir: Path) -> ExperimentFolder:
    """Return the longest experiment that differs from a resolved config only by a smaller budget.

    The intervals between evaluations and between checkpoints may differ too, since both default to
    a share of the budget. Schedules follow the progress through the larger budget: a learning rate
    that had reached the end of its schedule is raised to where the larger budget puts it.

    :raises ConfigError: if no such experiment has a finished run
    """
    # Sort the shorter experiments by whether they have a finished run.
    candidates: list[tuple[int, Path]] = []
    unfinished: list[tuple[int, Path]] = []
    for file in sorted(runs_dir.glob(f"{config.name}-*/{CONFIG}")):
        try:
            other = load_config(file)
        except ConfigError:  # written by another version, or edited: not the same experiment
            continue
        steps = other.train.total_timesteps
        if steps < config.train.total_timesteps and _same_but_for_budget(other, config):
            found = candidates if _any_finished(file.parent) else unfinished
            found.append((steps, file.parent))
    # Say why there is nothing to extend.
    if not candidates:
        where = config.source.locate(("train", "total_timesteps"))
        what = f"There is no `{config.name}` with fewer timesteps in {runs_dir} to extend."
        cure = "Leave `--extend` out to train from timestep 0, or check the other values."
        if unfinished:
            what = f"No seed of {max(unfinished)[1]} has finished, so it cannot be extended."
            cure = "Finish it first, or leave `--extend` out to train from timestep 0."
        raise ConfigError(Problem(what, where, cure))
    return folder_at(max(candidates)[1], config)


def begin_with_end_of(donor: ExperimentFolder, task: RunTask) -> str:
    """Give a run that has not begun the last checkpoint of the shorter one; return what was done.

    run.json notes the shorter run: the results are not those of a run that began at timestep 0.

    :return: the rest of a sentence about the seed, for the user
    """
    shorter = donor.run(task.seed)
    shorter_record = _finished_record(shorter.path)
    if shorter_record is None:
        return f"is trained from timestep 0, because {shorter.path} is not finished"
    if not shorter.checkpoints.newest_timesteps():
        return f"is trained from timestep 0, because {shorter.path} has lost its checkpoints"
    came_from = ExtendedFrom(str(shorter.path), shorter_record.timesteps)
    if not task.folder.begin_with(shorter, replace(task.new_record(), extended_from=came_from)):
        return "resumes its own training, because it has begun"
    return f"continues from the end of {shorter.path}"


def _any_finished(experiment: Path) -> bool:
    return any(_finished_record(run) is not None for run in experiment.glob(SEED_FOLDERS))


def _finished_record(run: Path) -> RunRecord | None:
    """Return the record of a finished run; None if it is not finished, or damaged."""
    try:
        record = read_record(run)
    except RunFolderError:  # damaged: it cannot be extended
        return None
    return record if record is not None and record.is_finished else None


def _same_but_for_budget(a: ExperimentConfig, b: ExperimentConfig) -> bool:
    return _hash_without_budget(a) == _hash_without_budget(b)


def _hash_without_budget(config: ExperimentConfig) -> str:
    """Return the experiment's hash with every interval that depends on the budget set to 1."""
    return experiment_hash(
        config.model_copy(
            update={
                "train": config.train.model_copy(update={"total_timesteps": 1}),
                "eval": config.eval.model_copy(update={"every": 1}),
                "checkpoint": config.checkpoint.model_copy(update={"every": 1}),
            }
        )
    )
