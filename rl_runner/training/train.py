"""Whole experiments: configs in, every seed trained, results out."""

from collections.abc import Sequence
from pathlib import Path

from rl_runner.config import ExperimentConfig, experiment_hash, load_config
from rl_runner.config.schema import TrainConfig
from rl_runner.config.section import validate_section
from rl_runner.config.yaml_text import SourceMap
from rl_runner.envs.code import describe_changes
from rl_runner.errors import ConfigError, Problem
from rl_runner.layout import CONFIG
from rl_runner.training.environment_task import EnvironmentTask, experiment_folder
from rl_runner.training.experiment import ExperimentResult, begin_experiment, run_experiments
from rl_runner.training.extend import begin_with_end_of, find_shorter
from rl_runner.training.reporting import Reporter
from rl_runner.training.resolve import Resolution, resolve

RUNS_DIR = Path("runs")


def train(
    config: ExperimentConfig | str | Path,
    *,
    runs_dir: str | Path = RUNS_DIR,
    seeds: Sequence[int] | None = None,
    fresh: bool = False,
    extend: bool = False,
    jobs: int | None = None,
    reporter: Reporter | None = None,
) -> ExperimentResult:
    """Train every seed of an experiment that is not finished yet; resume those that have begun.

    :param config: a config, or the YAML file to load it from
    :param seeds: train these seeds instead of the config's ``train.seeds``
    :param fresh: train from timestep 0, also the seeds that are finished
    :param extend: continue the same experiment with a smaller budget from its end
    :param jobs: how many seeds to train at a time, each in its own process; None trains them one
        after another in this process. (A script that passes ``jobs`` needs Python's usual
        ``if __name__ == "__main__":``, because the processes import it.)
    :raises RunnerError: if the config is wrong or the folder cannot be written. An exception
        inside a run is recorded in its run.json instead, and the other seeds are trained
    """
    loaded = config if isinstance(config, ExperimentConfig) else load_config(config)
    if seeds is not None:
        loaded = with_seeds(loaded, seeds)
    return train_many(
        [loaded],
        runs_dir=runs_dir,
        fresh=fresh,
        extend=extend,
        jobs=jobs,
        reporter=reporter or Reporter(),
    )[0]


def with_seeds(config: ExperimentConfig, seeds: Sequence[int]) -> ExperimentConfig:
    """Return the same experiment with other seeds to train.

    :raises ConfigError: if there are none, or one is negative or listed twice
    """
    raw = {**config.to_dict()["train"], "seeds": list(seeds)}
    train_section = validate_section(TrainConfig, raw, SourceMap("seeds"))
    return config.model_copy(update={"train": train_section}).with_source(config.source)


def train_many(
    configs: Sequence[ExperimentConfig],
    *,
    runs_dir: str | Path,
    fresh: bool,
    jobs: int | None,
    reporter: Reporter,
    retries: int = 0,
    extend: bool = False,
) -> list[ExperimentResult]:
    """Train every seed of several experiments; check all configs before anything is written.

    The parameters are those of :func:`train_resolved`.

    :raises RunnerError: as :func:`train` does
    """
    if fresh and extend:
        what = "`--fresh` trains from timestep 0, `--extend` continues a finished run."
        raise ConfigError(Problem(what, "--fresh --extend", "Leave one of them out."))
    return train_resolved(
        [resolve(config) for config in configs],
        runs_dir=runs_dir,
        fresh=fresh,
        jobs=jobs,
        reporter=reporter,
        retries=retries,
        extend=extend,
    )


def other_code_note(config: ExperimentConfig, place: Path) -> str:
    """Return a sentence if the same config has an experiment that ran other code; else no text."""
    if config.code is None:
        return ""
    for file in sorted(place.parent.glob(f"{config.name}-*/{CONFIG}")):
        try:
            other = load_config(file)
        except ConfigError:  # written by another version, or edited
            continue
        repinned = other.model_copy(update={"code": config.code})
        if other.code != config.code and experiment_hash(repinned) == experiment_hash(config):
            before = {} if other.code is None else other.code.modules
            changes = describe_changes(before, config.code.modules)
            if changes:
                listed = "; ".join(changes)
                own = "This is an experiment of its own."
                return f"The code differs from {file.parent}: {listed}. {own}"
    return ""


def train_resolved(
    resolutions: Sequence[Resolution],
    *,
    runs_dir: str | Path,
    jobs: int | None,
    reporter: Reporter,
    fresh: bool = False,
    retries: int = 0,
    extend: bool = False,
) -> list[ExperimentResult]:
    """Train every seed of several resolved experiments.

    :param fresh: train from timestep 0, also the seeds that are finished
    :param jobs: how many seeds to train at a time; None trains them in this process
    :param retries: how often a failed run is tried again (needs ``jobs``)
    :param extend: continue the same experiment with a smaller budget from its end
    :raises RunnerError: as :func:`train` does
    """
    configs = [resolution.config for resolution in resolutions]
    # Find every shorter experiment before anything is written: one may be missing.
    donors = [find_shorter(config, Path(runs_dir)) if extend else None for config in configs]
    experiments: list[Sequence[EnvironmentTask]] = []
    for resolution, config, donor in zip(resolutions, configs, donors, strict=True):
        # Write config.yaml and report what was chosen.
        folder = experiment_folder(config, runs_dir)
        begin_experiment(config, folder, reporter)
        for note in resolution.notes:
            reporter.note(note)
        if note := other_code_note(config, folder.path):
            reporter.note(note)
        # One task per seed, perhaps with the checkpoints of the shorter experiment.
        of_seeds = [
            EnvironmentTask(config, seed, folder.path, fresh) for seed in config.train.seeds
        ]
        if donor is not None:
            for task in of_seeds:
                reporter.note(f"Seed {task.seed}: {begin_with_end_of(donor, task)}.")
        experiments.append(of_seeds)
    return run_experiments(experiments, reporter, jobs=jobs, retries=retries)
