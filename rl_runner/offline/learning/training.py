"""The side road: a config with a `data` section in, run folders like all others out."""

import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rl_runner.config import ExperimentConfig, dump_config, experiment_hash
from rl_runner.offline.judging.judgement import Judgement, judge
from rl_runner.offline.judging.judgement_plot import draw_judgement
from rl_runner.offline.learning.learners import (
    LogLearner,
    build_learner,
    find_learner,
    policy_table,
)
from rl_runner.offline.learning.log_experiment import LogExperiment, held_out, resolve_on_logs
from rl_runner.offline.logs.interactions import moment
from rl_runner.runs.folder import ExperimentFolder, RunFolder
from rl_runner.runs.provenance import now, with_provenance
from rl_runner.runs.record import AgentResult, Completion, Results, RunRecord

LEAST_INTERACTIONS = 1000  # the checklist before anything goes into production
LEAST_REWARD = 0.3


@dataclass(frozen=True)
class LogRun:
    """How one run on logs ended."""

    seed: int
    path: Path
    record: RunRecord


@dataclass(frozen=True)
class LogResult:
    """How an experiment on logs ended."""

    path: Path
    name: str
    hash: str
    runs: tuple[LogRun, ...]


def train_on_logs(
    config: ExperimentConfig, *, runs_dir: str | Path = "runs", fresh: bool = False
) -> LogResult:
    """Learn from the logs that a config names, one run per seed, unless it is there already.

    :param fresh: learn again even so
    :raises RunnerError: if the config, a log or the folder is at fault; nothing is written then
    """
    experiment = resolve_on_logs(config)
    row, resolved = find_learner(config), experiment.config
    digest = experiment_hash(resolved)
    folder = ExperimentFolder.place(Path(runs_dir), resolved.name, digest, row.weights_file)
    folder.write_config(dump_config(resolved))
    runs = [
        LogRun(seed, run.path, _run(experiment, seed, run, fresh=fresh))
        for seed in resolved.train.seeds
        for run in [folder.run(seed)]
    ]
    return LogResult(folder.path, resolved.name, digest, tuple(runs))


def train_many_on_logs(
    configs: Sequence[ExperimentConfig], *, runs_dir: str | Path, fresh: bool
) -> list[LogResult]:
    """Learn from several experiments' logs, one after another."""
    return [train_on_logs(config, runs_dir=runs_dir, fresh=fresh) for config in configs]


def _run(experiment: LogExperiment, seed: int, run: RunFolder, *, fresh: bool) -> RunRecord:
    """Learn in a claimed folder and keep its run.json true to what happens."""
    if not run.claim():
        return RunRecord(status="running")
    try:
        record = run.read_record()
        if record is not None and record.is_finished and not fresh:
            return record
        run.clear()
        record = with_provenance(replace(_new_record(experiment.config, seed), started=now()))
        run.write_record(record)
        started = time.monotonic()
        try:
            done = _learn(experiment, seed, run)
            record = replace(
                record, status="finished", timesteps=done.timesteps, results=done.results
            )
        except KeyboardInterrupt:
            record = replace(record, status="interrupted")
            raise
        except Exception as error:  # noqa: BLE001 - recorded with its traceback
            trace = traceback.format_exc()
            record = replace(record, status="failed", error=repr(error), traceback=trace)
        finally:
            seconds = round(time.monotonic() - started, 3)
            record = replace(record, finished=now(), seconds=seconds)
            run.write_record(record)
        return record
    finally:
        run.release()


def _new_record(config: ExperimentConfig, seed: int) -> RunRecord:
    return RunRecord(
        status="running",
        name=config.name,
        env=config.env.id,
        algo=config.algo.name,
        seed=seed,
    )


def _learn(experiment: LogExperiment, seed: int, run: RunFolder) -> Completion:
    """Learn, judge on what was held out, save; return timesteps and results for run.json."""
    learner, parts = build_learner(experiment.config), experiment.split
    if experiment.earlier is not None:
        learner.load(experiment.earlier.path / run.weights_file)
    learned = learner.learn(parts.train)
    outside = learner.outside(experiment.weights.bounds)
    if outside and learner.values_are_bounded:
        message = f"{outside} values lie outside what rewards can sum to: this is a bug"
        raise FloatingPointError(message)
    held = held_out(experiment)
    judgement = None if held is None else judge(held, policy_table(learner), seed=seed)

    def save(folder: Path) -> None:
        learner.save(folder / run.weights_file)
        if judgement is not None:
            draw_judgement(judgement, folder)

    run.save_final(save)
    results = Results(
        last=_headline(judgement),
        log={
            **parts.report,
            "learned_until": parts.window.end,
            "newest": moment(int(parts.train.ts[-1])).isoformat(),
            "refusals": experiment.refusals.to_dict(),
            **learned,
        },
        coverage={**learner.coverage(), "values_outside": outside},
        judgement=None if judgement is None else judgement.to_dict(),
        checklist=checklist(learner, len(parts.train), judgement),
    )
    return Completion(len(parts.train), results)


def _headline(judgement: Judgement | None) -> AgentResult:
    """Return what lists of runs show: the doubly robust estimate, or nothing if it was refused."""
    if judgement is None or judgement.headline is None:
        return AgentResult()
    return AgentResult(
        mean_reward=judgement.headline.value,
        ci95=tuple(judgement.headline.ci95),
        n_interactions=judgement.interactions,
    )


def checklist(
    learner: LogLearner, n_interactions: int, judgement: Judgement | None
) -> dict[str, bool | None]:
    """Return what should hold before the policy is deployed; None: it cannot be known."""
    headline = None if judgement is None else judgement.headline
    beyond_rule = None if headline is None else headline.versus_rule_based_ci95
    sessions = None if judgement is None else judgement.sessions
    coverage = learner.coverage()
    lowest = getattr(learner, "eps", (0, 0, coverage["epsilon"]))[2]
    return {
        "at_least_1000_interactions": n_interactions >= LEAST_INTERACTIONS,
        "average_reward_above_0.3": None if headline is None else headline.ci95[0] > LEAST_REWARD,
        "epsilon_at_its_minimum": coverage["epsilon"] <= lowest,
        "better_than_rule_based": (None if beyond_rule is None else beyond_rule[0] > 0),
        "better_than_rule_based_over_sessions": (
            None if sessions is None else sessions.versus_rule_based_ci95[0] > 0
        ),
    }
