"""Experiments side by side, as data: the source of tables, pictures and the report.

The unit is the seed. Nothing is ranked: each pair comes with the interval of its difference, the
probability of improvement, and what the seeds there are show (:mod:`.pairs`).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from rl_runner.config import EnvConfig
from rl_runner.config.identity import describe_configs
from rl_runner.errors import Problem, RunFolderError
from rl_runner.evaluation.comparison.experiments import AgentName, Experiment
from rl_runner.evaluation.comparison.pairs import Pair, compare_pairs
from rl_runner.evaluation.comparison.scales import Scale
from rl_runner.evaluation.comparison.scores import Measure, Scoring
from rl_runner.evaluation.play.return_bounds import common_bounds
from rl_runner.evaluation.statistics import LEVEL
from rl_runner.evaluation.statistics.bounds import Bounds
from rl_runner.evaluation.statistics.summary import Aggregates, Estimate, aggregate


@dataclass(frozen=True)
class Reached:
    """How many runs' periodic evaluations reached a threshold, and when.

    A run that never reached it counts as later than all others. The medians are therefore None
    unless more than half of the runs did.
    """

    n: int
    of: int
    median_timesteps: float | None
    median_seconds: float | None


@dataclass(frozen=True)
class Row:
    """One experiment's row of the comparison."""

    label: str
    experiment: Experiment
    scores: np.ndarray  # (n,) the runs' mean returns, in the order of the seeds
    aggregates: Aggregates | None  # None if no run has a result
    normalized: Estimate | None  # of the mean; None where the scale has no upper end
    reached: Reached | None  # None if there is no threshold
    selection_optimism: float | None  # mean over the runs
    best_mean_reward: float | None  # of the best agents, mean over the runs
    median_seconds: float | None  # of a whole run


@dataclass(frozen=True)
class Comparison:
    """The results of experiments on one environment, and of each pair of them."""

    environment: EnvConfig
    agent: AgentName
    measure: Measure
    scale: Scale | None
    threshold: float | None
    rows: tuple[Row, ...]
    pairs: tuple[Pair, ...]
    bounds: Bounds | None = None  # of the scores; None where they are not known
    scale_problem: str = ""  # why there is no scale

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "environment": self.environment.model_dump(
                mode="json", include={"id", "kwargs", "wrappers", "time_limit"}
            ),
            "agent": self.agent,
            "measure": self.measure,
            "level": LEVEL,
            "bounds": None if self.bounds is None else asdict(self.bounds),
            "scale": None if self.scale is None else asdict(self.scale),
            "threshold": self.threshold,
            "experiments": [_row_dict(row) for row in self.rows],
            "pairs": [_pair_dict(pair) for pair in self.pairs],
        }


def compare(
    experiments: Sequence[Experiment],
    *,
    scale: Scale | None = None,
    scale_problem: str = "",
    threshold: float | None = None,
    agent: AgentName = "last",
) -> Comparison:
    """Compare experiments on the same environment by the final results of their runs.

    Exact returns are compared if every run has one, means over held-out episodes otherwise.

    :param scale_problem: why there is no scale, for the caveats
    :param threshold: a mean return; the comparison says when each run first reached it. Default:
        the environment's own ``reward_threshold``, if the scale has one
    :raises RunFolderError: if the environments differ, or no run of any experiment has a result
    :raises OutOfBoundsError: if a score lies outside the bounds of the environment's returns
    """
    # Refuse what cannot be compared.
    check_same_environment(experiments)
    runs = [run for experiment in experiments for run in experiment.finished]
    if all(run.result(agent) is None for run in runs):
        where = "\n".join(str(experiment.path) for experiment in experiments)
        cure = "`rl train` runs the seeds that an experiment lacks."
        raise RunFolderError(Problem("No run here has a result yet.", where, cure))
    # Choose the score, its bounds and the threshold for all experiments together.
    scoring = Scoring.for_runs(runs, agent)
    environments = [experiment.config.env for experiment in experiments]
    bounds = common_bounds(environments, exact=scoring.measure == "exact")
    if threshold is None and scale is not None:
        threshold = scale.reward_threshold
    # Summarise each experiment, then compare each pair.
    labels = _labels(experiments)
    rows = tuple(
        _row(label, experiment, scoring, scale, threshold, bounds)
        for label, experiment in zip(labels, experiments, strict=True)
    )
    pairs = compare_pairs([(row.label, row.scores) for row in rows], bounds)
    return Comparison(
        environments[0],
        agent,
        scoring.measure,
        scale,
        threshold,
        rows,
        pairs,
        bounds,
        scale_problem,
    )


def check_same_environment(experiments: Sequence[Experiment]) -> None:
    """Refuse experiments whose environments differ in id, arguments or time limit.

    Wrappers may differ, since one that adds action masks does not change the returns. A difference
    in wrappers is a caveat.

    :raises RunFolderError: with the experiments of each environment
    """
    groups: dict[str, list[str]] = {}
    for experiment in experiments:
        key = _environment_key(experiment.config.env)
        groups.setdefault(key, []).append(experiment.path.name)
    if len(groups) > 1:
        what = "Returns of different environments cannot be compared."
        parts = (f"  {key}: {', '.join(names)}" for key, names in groups.items())
        cure = "\n".join(["Compare the experiments of each environment separately:", *parts])
        raise RunFolderError(Problem(what, "", cure))


def _environment_key(config: EnvConfig) -> str:
    settings = [f"{key}={value!r}" for key, value in sorted(config.kwargs.items())]
    settings += [] if config.time_limit is None else [f"time_limit={config.time_limit}"]
    return f"{config.id} ({', '.join(settings)})" if settings else config.id


def _labels(experiments: Sequence[Experiment]) -> list[str]:
    """Label experiments by their configs' names, and by what differs where names coincide.

    Experiments that differ in nothing a label shows are called by their folders.
    """
    described = describe_configs([experiment.config for experiment in experiments])
    folders = [experiment.path.resolve().name for experiment in experiments]
    labels = [
        folder if described.count(label) > 1 else label
        for label, folder in zip(described, folders, strict=True)
    ]
    if len(set(labels)) < len(labels):  # the same experiment in several runs folders
        return [str(experiment.path) for experiment in experiments]
    return labels


def _row(
    label: str,
    experiment: Experiment,
    scoring: Scoring,
    scale: Scale | None,
    threshold: float | None,
    bounds: Bounds | None,
) -> Row:
    runs = experiment.finished
    # The results: one score per run
    scores = np.array([score for run in runs if (score := scoring.score(run)) is not None])
    aggregates = aggregate(scores.tolist(), bounds) if len(scores) else None
    # How the runs got there
    seconds = [run.seconds for run in runs if run.seconds is not None]
    optimisms = [run.selection_optimism for run in runs if run.selection_optimism is not None]
    best = replace(scoring, agent="best")
    best_scores = [score for run in runs if (score := best.score(run)) is not None]
    return Row(
        label,
        experiment,
        scores,
        aggregates,
        None if aggregates is None else _normalized(aggregates.mean, scale),
        None if threshold is None else reached(experiment, threshold),
        float(np.mean(optimisms)) if optimisms else None,
        float(np.mean(best_scores)) if best_scores else None,
        float(np.median(seconds)) if seconds else None,
    )


def _normalized(mean: Estimate, scale: Scale | None) -> Estimate | None:
    value = None if scale is None else scale.normalized(mean.value)
    if scale is None or value is None:
        return None
    ends = [scale.normalized(end) for end in mean.ci95 or ()]
    low, high = (ends[0], ends[1]) if ends else (None, None)
    return Estimate(value, None if low is None or high is None else (low, high))


def reached(experiment: Experiment, threshold: float) -> Reached:
    """Return when the runs' periodic evaluations first were at or above a threshold."""
    # A run that never reaches the threshold counts as infinitely late.
    timesteps, seconds = [], []
    for curve in (run.curve for run in experiment.finished if run.curve is not None):
        above = np.flatnonzero(curve.returns >= threshold)
        timesteps.append(float(curve.timesteps[above[0]]) if len(above) else np.inf)
        seconds.append(float(curve.seconds[above[0]]) if len(above) else np.inf)
    n = int(np.isfinite(timesteps).sum())
    return Reached(n, len(timesteps), _median(timesteps), _median(seconds))


def _median(values: Sequence[float]) -> float | None:
    """Return the median, infinity allowed among the values; None if it is not a finite number."""
    if not values or np.isnan(values).any():
        return None
    ordered = sorted(values)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return (low + high) / 2 if np.isfinite(high) else None


def _row_dict(row: Row) -> dict[str, Any]:
    experiment = row.experiment
    return {
        "label": row.label,
        "path": str(experiment.path),
        "algo": experiment.config.algo.name,
        "total_timesteps": experiment.config.train.total_timesteps,
        "seeds": [run.seed for run in experiment.finished],
        "scores": row.scores.tolist(),
        "missing": [
            {"seed": run.seed, "status": run.status, "problem": run.problem}
            for run in experiment.missing
        ],
        "aggregates": None if row.aggregates is None else asdict(row.aggregates),
        "normalized": None if row.normalized is None else asdict(row.normalized),
        "reached": None if row.reached is None else asdict(row.reached),
        "selection_optimism": row.selection_optimism,
        "best_mean_reward": row.best_mean_reward,
        "median_seconds": row.median_seconds,
    }


def _pair_dict(pair: Pair) -> dict[str, Any]:
    described = asdict(pair)
    del described["sequential_verdict"]  # the verdict says it
    return {**described, "is_decided": pair.is_decided}
