"""More timesteps than before: the experiment whose end a longer one can begin with."""

from dataclasses import replace
from pathlib import Path

from rl_runner.config import ExperimentConfig, experiment_hash, load_config
from rl_runner.errors import ConfigError, Problem, RunFolderError
from rl_runner.runs.folder import ExperimentFolder
from rl_runner.runs.layout import CONFIG, SEED_FOLDERS
from rl_runner.runs.record import ExtendedFrom, RunRecord, read_record
from rl_runner.training.task import RunTask, folder_at, new_record


def find_shorter(config: ExperimentConfig, runs_dir: Path) -> ExperimentFolder:
    """Return the longest experiment that differs from a resolved config by a smaller budget only.

    How often it evaluates and writes checkpoints may differ too, since both default to a share of
    the budget. Schedules follow absolute progress, so that a learning rate that had fallen to the
    end of its schedule begins again where the longer budget puts it.

    :raises ConfigError: if there is none with a finished run
    """
    candidates: list[tuple[int, Path]] = []
    unfinished: list[tuple[int, Path]] = []
    for file in sorted(runs_dir.glob(f"{config.name}-*/{CONFIG}")):
        try:
            other = load_config(file)
        except ConfigError:  # of another version, or edited: not the same experiment anyway
            continue
        steps = other.train.total_timesteps
        if steps < config.train.total_timesteps and _same_but_for_budget(other, config):
            found = candidates if _any_finished(file.parent) else unfinished
            found.append((steps, file.parent))
    if not candidates:
        where = config.source.locate(("train", "total_timesteps"))
        what = f"There is no `{config.name}` with fewer timesteps in {runs_dir} to go on from."
        cure = "Leave `--extend` out to train from the beginning, or check the other values."
        if unfinished:
            what = f"No seed of {max(unfinished)[1]} has finished: it has no end to go on from."
            cure = "Train it to its end first, or leave `--extend` out to train from the beginning."
        raise ConfigError(Problem(what, where, cure))
    return folder_at(max(candidates)[1], config)


def begin_with_end_of(donor: ExperimentFolder, task: RunTask) -> str:
    """Let a run that has not begun go on from the end of the shorter one; say what was done.

    run.json keeps where it came from: its results are not those of a run that began at 0.
    """
    shorter = donor.run(task.seed)
    shorter_record = _finished_record(shorter.path)
    if shorter_record is None:
        return f"is trained by itself, since {shorter.path} is not finished"
    if not shorter.checkpoints.newest_timesteps():
        return f"is trained by itself, since {shorter.path} has lost its checkpoints"
    came_from = ExtendedFrom(str(shorter.path), shorter_record.timesteps)
    if not task.folder.begin_with(shorter, replace(new_record(task), extended_from=came_from)):
        return "goes on by itself, since it has begun"
    return f"goes on from the end of {shorter.path}"


def _any_finished(experiment: Path) -> bool:
    return any(_finished_record(run) is not None for run in experiment.glob(SEED_FOLDERS))


def _finished_record(run: Path) -> RunRecord | None:
    """Return the record of a finished run; None if it is not finished, or damaged."""
    try:
        record = read_record(run)
    except RunFolderError:  # there is nothing to begin with
        return None
    return record if record is not None and record.is_finished else None


def _same_but_for_budget(a: ExperimentConfig, b: ExperimentConfig) -> bool:
    return _without_budget(a) == _without_budget(b)


def _without_budget(config: ExperimentConfig) -> str:
    return experiment_hash(
        config.model_copy(
            update={
                "train": config.train.model_copy(update={"total_timesteps": 1}),
                "eval": config.eval.model_copy(update={"every": 1}),
                "checkpoint": config.checkpoint.model_copy(update={"every": 1}),
            }
        )
    )
