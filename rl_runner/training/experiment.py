"""A whole experiment, whatever it learns from: its config written, its tasks run, its results."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rl_runner.config import ExperimentConfig, dump_config, experiment_hash, load_config
from rl_runner.config.environment import EnvConfig
from rl_runner.errors import ConfigError
from rl_runner.layout import CONFIG
from rl_runner.local_code import source_files
from rl_runner.runs.folder import ExperimentFolder
from rl_runner.training.processes.launcher import run_here, run_in_processes
from rl_runner.training.recording import announce, refresh_result
from rl_runner.training.reporting import Reporter
from rl_runner.training.task import RunResult, RunTask

if TYPE_CHECKING:
    from rl_runner.evaluation.statistics.summary import Summary


@dataclass(frozen=True)
class ExperimentResult:
    """How an experiment ended."""

    path: Path
    name: str
    hash: str
    runs: tuple[RunResult, ...]
    env: EnvConfig | None = None  # None if it learned from a log, whose results are estimates
    keep: Literal["last", "best"] = "last"  # which agent is used: the config's `train.keep`

    @property
    def summary(self) -> "Summary | None":
        """Mean and interval over finished runs, as in `rl compare`; None if none has finished."""
        from rl_runner.evaluation.comparison.scores import summarize_scores

        results = [run.record.last for run in self.runs if run.status == "finished"]
        summarized = summarize_scores(
            [result.mean_reward for result in results],
            [result.exact_mean_reward for result in results],
            self.env,
        )
        return None if summarized is None else summarized.summary


def begin_experiment(
    config: ExperimentConfig, folder: ExperimentFolder, reporter: Reporter
) -> None:
    """Write a resolved config into its folder, with the seeds that are there already.

    Copies of the user's own modules are kept beside it; data files that they read are not.
    """
    folder.write_config(dump_config(_with_earlier_seeds(config, folder, reporter)))
    if config.code is not None:
        folder.keep_sources(source_files(config.code.modules))
    reporter.experiment_started(config, folder.path, config.train.seeds)


def run_experiments(
    experiments: Sequence[Sequence[RunTask]],
    reporter: Reporter,
    *,
    jobs: int | None,
    retries: int = 0,
) -> list[ExperimentResult]:
    """Run all tasks of several experiments; return one result for each experiment.

    An experiment that is listed twice is run once.

    :param experiments: for each experiment its tasks, at least one
    :param jobs: how many runs at a time, each in a process of its own; None: in this process
    :param retries: how often a failed run is tried again (needs ``jobs``)
    """
    # Announce all runs, so that lists show them before they begin.
    tasks = {(task.experiment, task.seed): task for each in experiments for task in each}
    distinct = list(tasks.values())
    for task in distinct:
        announce(task)
    if jobs is None:
        results = run_here(distinct, reporter)
    else:
        results = run_in_processes(distinct, reporter, jobs=jobs, retries=retries)
    # Another process may have ended meanwhile a run that was left to it.
    result_of = {
        key: refresh_result(result, task)
        for (key, task), result in zip(tasks.items(), results, strict=True)
    }
    return [
        ExperimentResult(
            each[0].experiment,
            each[0].config.name,
            experiment_hash(each[0].config),
            tuple(result_of[task.experiment, task.seed] for task in each),
            each[0].config.env if each[0].config.data is None else None,
            each[0].config.train.keep,
        )
        for each in experiments
    ]


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
