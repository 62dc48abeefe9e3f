"""Whole experiments: configs in, every seed trained, results out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rl_runner.agents.registry import find_algorithm
from rl_runner.config import ExperimentConfig, dump_config, experiment_hash, load_config
from rl_runner.config.schema import TrainConfig
from rl_runner.config.source import SourceMap
from rl_runner.config.validation import validate_section
from rl_runner.errors import ConfigError, Problem
from rl_runner.evaluation.statistics.summary import Summary, summarize
from rl_runner.runs.folder import ExperimentFolder
from rl_runner.runs.layout import CONFIG
from rl_runner.training.extend import begin_with_end_of, find_shorter
from rl_runner.training.processes.launcher import run_here, run_in_processes
from rl_runner.training.reporting import Reporter
from rl_runner.training.resolve import Resolution, resolve
from rl_runner.training.task import RunResult, RunTask, announce, look_again

RUNS_DIR = Path("runs")


@dataclass(frozen=True)
class ExperimentResult:
    """How an experiment ended."""

    path: Path
    name: str
    hash: str
    runs: tuple[RunResult, ...]

    @property
    def summary(self) -> Summary | None:
        """Mean and interval over the finished runs; None if there are none."""
        means = [run.mean_reward for run in self.runs if run.status == "finished"]
        return summarize([mean for mean in means if mean is not None]) if means else None


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
    tasks: list[RunTask] = []
    for resolution, config, donor in zip(resolutions, configs, donors, strict=True):
        # Write config.yaml and report what was chosen.
        folder = experiment_folder(config, runs_dir)
        folder.write_config(dump_config(_with_earlier_seeds(config, folder, reporter)))
        reporter.experiment_started(config, folder.path, config.train.seeds)
        for note in resolution.notes:
            reporter.note(note)
        # One task per seed, perhaps with the checkpoints of the shorter experiment.
        of_seeds = [RunTask(config, seed, folder.path, fresh) for seed in config.train.seeds]
        if donor is not None:
            for task in of_seeds:
                reporter.note(f"Seed {task.seed}: {begin_with_end_of(donor, task)}.")
        tasks += of_seeds
    result_of = _run_all(tasks, reporter, jobs=jobs, retries=retries)
    return [
        ExperimentResult(
            folder.path,
            config.name,
            experiment_hash(config),
            tuple(result_of[folder.path, seed] for seed in config.train.seeds),
        )
        for config in configs
        for folder in [experiment_folder(config, runs_dir)]
    ]


def _run_all(
    tasks: Sequence[RunTask], reporter: Reporter, *, jobs: int | None, retries: int
) -> dict[tuple[Path, int], RunResult]:
    """Run every task; return the results by experiment folder and seed.

    An experiment that is listed twice is run once.
    """
    distinct = list({(task.experiment, task.seed): task for task in tasks}.values())
    for task in distinct:
        announce(task)
    results = (
        run_here(distinct, reporter)
        if jobs is None
        else run_in_processes(distinct, reporter, jobs=jobs, retries=retries)
    )
    return {
        (task.experiment, task.seed): look_again(result, task)
        for task, result in zip(distinct, results, strict=True)
    }


def _with_earlier_seeds(
    config: ExperimentConfig, folder: ExperimentFolder, reporter: Reporter
) -> ExperimentConfig:
    """Add the seeds that are there already: config.yaml describes all runs of its folder."""
    file = folder.path / CONFIG
    if not file.exists():
        return config
    try:
        earlier = load_config(file).train.seeds
    except ConfigError as error:
        reporter.note(f"{error} The file is written again, with the seeds that have a folder.")
        earlier = folder.seeds()
    seeds = tuple(sorted({*earlier, *config.train.seeds}))
    return config.model_copy(update={"train": config.train.model_copy(update={"seeds": seeds})})


def experiment_folder(config: ExperimentConfig, runs_dir: str | Path) -> ExperimentFolder:
    """Return where a resolved config's results belong."""
    weights_file = find_algorithm(config.algo.name).weights_file
    return ExperimentFolder.place(
        Path(runs_dir), config.name, experiment_hash(config), weights_file
    )
