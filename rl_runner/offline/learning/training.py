"""Learning from logs: a config with a `data` section in, run folders like all others out."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rl_runner.config import ExperimentConfig, experiment_hash
from rl_runner.offline.judging.judgement import judge
from rl_runner.offline.judging.judgement_plot import write_judgement
from rl_runner.offline.learning import MODULES
from rl_runner.offline.learning.learners import (
    LogLearner,
    build_learner,
    find_learner,
    policy_table,
)
from rl_runner.offline.learning.log_experiment import LogExperiment, held_out, resolve_on_logs
from rl_runner.offline.logs.interactions import moment
from rl_runner.runs.folder import ExperimentFolder, RunFolder
from rl_runner.runs.log_results import Checklist, Judgement, Learned, LogReport
from rl_runner.runs.record import AgentResult, Completion, Results
from rl_runner.training.experiment import ExperimentResult, begin_experiment, run_experiments
from rl_runner.training.reporting import Interrupted, Reporter, StopRequest
from rl_runner.training.task import RunTask

LEAST_INTERACTIONS = 1000  # the checklist before anything goes into production
LEAST_REWARD = 0.3


@dataclass(frozen=True)
class LogTask(RunTask):
    """One seed of an experiment that learns from logs.

    :param loaded: its logs, if this process has read them; another process reads them again
    """

    loaded: LogExperiment | None = field(default=None, compare=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the logs out of what is sent to another process."""
        return {**vars(self), "loaded": None}

    @property
    def weights_file(self) -> str:
        """The file name of what was learned, which the learner decides."""
        return find_learner(self.config).weights_file

    @property
    def modules(self) -> Sequence[str]:
        """What can be imported before a fork: polars starts threads, which a fork loses."""
        return MODULES

    def train(self, run: RunFolder, reporter: Reporter, stop: StopRequest) -> Completion:
        """Learn from the beginning: what an interrupted session learned is not kept.

        :raises Interrupted: if it was asked to stop before it had learned
        """
        del reporter
        run.clear()
        experiment = self.loaded or resolve_on_logs(self.config)
        if stop.is_set():
            raise Interrupted(0)
        return _learn(experiment, self.seed, run)


def train_many_on_logs(
    configs: Sequence[ExperimentConfig],
    *,
    runs_dir: str | Path,
    fresh: bool,
    jobs: int | None,
    reporter: Reporter,
    retries: int = 0,
) -> list[ExperimentResult]:
    """Learn from the logs that each config names, one run per seed, unless it is there already.

    All configs and logs are checked before anything is written.

    :param fresh: learn again what is learned already
    :param jobs: how many seeds at a time, each in a process of its own; None: in this process
    :param retries: how often a failed run is tried again (needs ``jobs``)
    :raises RunnerError: if a config, a log or a folder is at fault; nothing is written then
    """
    # Check every config and its logs. Only runs in this process can use the logs once more.
    loaded = []
    for config in configs:
        experiment = resolve_on_logs(config)
        loaded.append((experiment.config, experiment if jobs is None else None))
    # Write each config.yaml, and make one task per seed.
    experiments = []
    for config, logs in loaded:
        weights_file = find_learner(config).weights_file
        digest = experiment_hash(config)
        folder = ExperimentFolder.place(Path(runs_dir), config.name, digest, weights_file)
        begin_experiment(config, folder, reporter)
        seeds = config.train.seeds
        experiments.append([LogTask(config, seed, folder.path, fresh, logs) for seed in seeds])
    return run_experiments(experiments, reporter, jobs=jobs, retries=retries)


def _learn(experiment: LogExperiment, seed: int, run: RunFolder) -> Completion:
    """Learn, judge on what was held out, save; return timesteps and results for run.json."""
    # Learn, on top of an earlier table if there is one.
    learner, parts = build_learner(experiment.config), experiment.split
    if experiment.earlier is not None:
        learner.load(experiment.earlier.path / run.weights_file)
    learned = learner.learn(parts.train)
    outside = learner.outside(experiment.weights.bounds)
    if outside and learner.values_are_bounded:
        message = f"{outside} values lie outside what rewards can sum to: this is a bug"
        raise FloatingPointError(message)
    # Judge by what was held out.
    held = held_out(experiment)
    judgement = None
    if held is not None:
        bounds = experiment.weights.bounds
        judgement = judge(held, policy_table(learner), seed=seed, reward_bounds=bounds)

    def save(folder: Path) -> None:
        learner.save(folder / run.weights_file)
        if judgement is not None:
            write_judgement(judgement, folder)

    run.agents.save_final(save)
    # Describe all of it for run.json.
    results = Results(
        last=_headline(judgement),
        log=_log_report(experiment, learned),
        coverage=replace(learner.coverage(), values_outside=outside),
        judgement=judgement,
        checklist=checklist(learner, len(parts.train), judgement),
    )
    return Completion(len(parts.train), results)


def _log_report(experiment: LogExperiment, learned: Learned) -> LogReport:
    """Return what run.json says of the log, and of learning from it."""
    parts = experiment.split
    return LogReport(
        window=parts.window.ends,
        holdout=None if parts.holdout is None else parts.holdout.ends,
        in_window=parts.in_window,
        users_dropped=parts.rare.users,
        users_dropped_share=parts.rare.users_share,
        interactions_dropped=parts.rare.interactions,
        interactions_dropped_share=parts.rare.interactions_share,
        interactions=len(parts.train),
        users=parts.train.n_users,
        beyond_budget=parts.beyond_budget,
        learned_until=parts.window.end,
        newest=moment(int(parts.train.ts[-1])).isoformat(),
        refusals=experiment.refusals.report(),
        transitions=learned.transitions,
        waiting=learned.waiting,
        mean_abs_td_error=learned.mean_abs_td_error,
        rmse=learned.rmse,
    )


def _headline(judgement: Judgement | None) -> AgentResult:
    """Return what lists of runs show: the doubly robust estimate, or nothing if it was refused."""
    if judgement is None or judgement.headline is None:
        return AgentResult()
    return AgentResult(
        mean_reward=judgement.headline.value,
        ci95=tuple(judgement.headline.ci95),
        n_interactions=judgement.interactions,
    )


def checklist(learner: LogLearner, n_interactions: int, judgement: Judgement | None) -> Checklist:
    """Return what should hold before the policy is deployed; None: not shown either way."""
    headline = None if judgement is None else judgement.headline
    beyond_rule = None if headline is None else headline.versus_rule_based_ci95
    sessions = None if judgement is None else judgement.sessions
    return {
        "at_least_1000_interactions": n_interactions >= LEAST_INTERACTIONS,
        "average_reward_above_0.3": (
            None if headline is None else _is_above(headline.ci95, LEAST_REWARD)
        ),
        "epsilon_at_its_minimum": learner.epsilon <= learner.lowest_epsilon,
        "better_than_rule_based": None if beyond_rule is None else _is_above(beyond_rule, 0.0),
        "better_than_rule_based_over_sessions": (
            None if sessions is None else _is_above(sessions.versus_rule_based_ci95, 0.0)
        ),
    }


def _is_above(interval: Sequence[float], least: float) -> bool | None:
    """Return whether an interval lies above a number; None if it contains the number."""
    low, high = interval
    if low > least:
        return True
    return False if high < least else None
