"""Train more seeds of two experiments until their difference is decided or the budget is used."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path
from typing import Literal

import numpy as np

from rl_runner.errors import Problem, RunFolderError
from rl_runner.evaluation.comparison.compare import check_same_environment
from rl_runner.evaluation.comparison.experiments import (
    AgentName,
    Experiment,
    SeedRun,
    load_experiments,
)
from rl_runner.evaluation.comparison.scores import paired_differences
from rl_runner.evaluation.play.return_bounds import common_bounds
from rl_runner.evaluation.statistics.bounds import Bounds
from rl_runner.evaluation.statistics.sequential import FEWEST_PAIRS, Look, look_at
from rl_runner.training.environment_task import experiment_folder
from rl_runner.training.reporting import Reporter
from rl_runner.training.resolve import Resolution, resolve
from rl_runner.training.train import train_resolved, with_seeds

Outcome = Literal["decided", "undecided", "failed", "interrupted"]
UNFINISHED = {"pending", "running", "interrupted", "crashed"}


@dataclass(frozen=True)
class Decision:
    """The outcome of :func:`train_until_decided` and the evidence for it."""

    outcome: Outcome
    error_rate: float
    max_seeds: int
    looks: tuple[Look, ...]  # one after each batch of seeds, the latest last
    without_result: tuple[str, ...]  # the runs that failed or were interrupted, with their reasons
    experiments: tuple[Experiment, Experiment]  # after the last batch
    bounds: Bounds | None = None  # of the returns; None: differences are assumed to be normal


def train_until_decided(  # noqa: PLR0913 - the options of `rl compare --until-decided`
    first: Path,
    second: Path,
    *,
    agent: AgentName = "last",
    max_seeds: int = 30,
    batch: int = 5,
    error_rate: float = 0.05,
    jobs: int | None = None,
    reporter: Reporter | None = None,
) -> Decision:
    """Train more seeds of two experiments until the sign of their difference is decided.

    Seeds that either experiment already has are paired first. A seed that fails ends the search:
    leaving it out would favour the experiment whose bad seeds crash.

    :param agent: whose results are compared
    :param max_seeds: the largest number of seeds per experiment, including those already there
    :param batch: seeds per experiment between two looks at the difference; with fewer than five
        and unknown bounds, the error rate is less certain if returns are very skewed
    :param error_rate: the largest probability of calling equal means different
    :raises RunnerError: if the experiments cannot be compared, or seeds cannot be added to them
    """
    experiments = _load(first, second)
    check_same_environment(experiments)
    resolutions = [resolve(experiment.config) for experiment in experiments]
    # The bounds of sampled returns hold for exact ones as well.
    bounds = common_bounds([experiment.config.env for experiment in experiments])
    runs_dir = _runs_dir(experiments, resolutions)
    looks: list[Look] = []
    # Begin with the seeds that either experiment has, and enough new ones for a first look.
    seeds = sorted({run.seed for experiment in experiments for run in experiment.runs})
    seeds += _new_seeds(seeds, min(FEWEST_PAIRS, max_seeds) - len(seeds))
    while True:
        # Train the seeds that lack a result in either experiment.
        if lacking := [
            seed for seed in seeds if seed not in paired_differences(*experiments, agent)
        ]:
            train_resolved(
                [replace(r, config=with_seeds(r.config, lacking)) for r in resolutions],
                runs_dir=runs_dir,
                jobs=jobs,
                reporter=reporter or Reporter(),
            )
            experiments = _load(first, second)
        # Look at the paired differences; stop if they decide, or if a run has no result.
        differences = paired_differences(*experiments, agent)
        looks.append(look_at(np.array(list(differences.values())), error_rate, bounds))
        stopped = [run for experiment in experiments for run in experiment.missing]
        outcome = _outcome(looks[-1], stopped, n_left=max_seeds - len(seeds))
        if outcome is not None:
            reasons = tuple(f"{run.path}: {run.problem}" for run in stopped)
            return Decision(
                outcome, error_rate, max_seeds, tuple(looks), reasons, experiments, bounds
            )
        seeds += _new_seeds(seeds, min(batch, max_seeds - len(seeds)))


def _load(first: Path, second: Path) -> tuple[Experiment, Experiment]:
    one, other = load_experiments([first, second])
    return one, other


def _runs_dir(experiments: Sequence[Experiment], resolutions: Sequence[Resolution]) -> Path:
    """Return the folder that holds both experiments; check that new seeds would join the old ones.

    :raises RunFolderError: if they are in different folders, or a folder's name does not belong to
        its config
    """
    # Both must be in one folder of runs …
    parents = {experiment.path.resolve().parent for experiment in experiments}
    if len(parents) > 1:
        where = "\n".join(str(experiment.path) for experiment in experiments)
        cure = "Move them into one runs folder."
        raise RunFolderError(Problem("The two experiments are in different folders.", where, cure))
    runs_dir = parents.pop()
    # … and under the names that their present configs lead to.
    for experiment, resolution in zip(experiments, resolutions, strict=True):
        place = experiment_folder(resolution.config, runs_dir).path
        if place != experiment.path.resolve():
            what = f"New seeds of this experiment would go to {place.name}."
            cure = "It was renamed, edited or written by another version. Train it again."
            raise RunFolderError(Problem(what, str(experiment.path), cure))
    return runs_dir


def _new_seeds(taken: Sequence[int], n: int) -> list[int]:
    """Return the ``n`` smallest seeds that are not taken."""
    return list(islice((seed for seed in count() if seed not in taken), max(0, n)))


def _outcome(look: Look, stopped: Sequence[SeedRun], n_left: int) -> Outcome | None:
    """Return why to stop; None to continue."""
    if any(run.status in UNFINISHED for run in stopped):
        return "interrupted"
    if stopped:
        return "failed"
    if look.is_decided:
        return "decided"
    return "undecided" if n_left <= 0 else None
