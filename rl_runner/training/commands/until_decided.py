"""More seeds, in batches, until two experiments' difference is decided or the budget is used."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Literal

import numpy as np

from rl_runner.errors import Problem, RunFolderError
from rl_runner.evaluation.comparison.compare import check_same_environment
from rl_runner.evaluation.comparison.experiments import Experiment, SeedRun, load_experiments
from rl_runner.evaluation.comparison.scores import paired_differences
from rl_runner.evaluation.statistics.sequential import FEWEST_PAIRS, Look, look_at
from rl_runner.training.reporting import Reporter
from rl_runner.training.resolve import resolve
from rl_runner.training.train import experiment_folder, train_many, with_seeds

Outcome = Literal["decided", "undecided", "failed", "interrupted"]
UNFINISHED = {"pending", "running", "interrupted", "crashed"}


@dataclass(frozen=True)
class Decision:
    """How the search for a decision went."""

    outcome: Outcome
    error_rate: float
    max_seeds: int
    looks: tuple[Look, ...]  # one after each batch; the last says what is known now
    without_result: tuple[str, ...]  # the runs that failed or were stopped, with their reasons
    experiments: tuple[Experiment, Experiment]  # as they stand now


def train_until_decided(
    first: Path,
    second: Path,
    *,
    max_seeds: int = 30,
    batch: int = 5,
    error_rate: float = 0.05,
    jobs: int | None = None,
    reporter: Reporter | None = None,
) -> Decision:
    """Train more seeds of two experiments until the sign of their difference is decided.

    Seeds that either experiment has already are paired first. A seed that fails ends the search:
    to leave it out would favour the experiment whose bad seeds crash.

    :param max_seeds: of each experiment, the seeds there already included
    :param batch: seeds of each between two looks; fewer than five weaken the promise for very
        skewed returns
    :param error_rate: how often, at most, equal means may be called different
    :raises RunnerError: if the experiments cannot be compared, or cannot be added to
    """
    experiments = _load(first, second)
    check_same_environment(experiments)
    runs_dir = _runs_dir(experiments)
    looks: list[Look] = []
    seeds = sorted({run.seed for experiment in experiments for run in experiment.runs})
    seeds += _new_seeds(seeds, min(FEWEST_PAIRS, max_seeds) - len(seeds))
    while True:
        if lacking := [seed for seed in seeds if seed not in paired_differences(*experiments)]:
            train_many(
                [with_seeds(experiment.config, lacking) for experiment in experiments],
                runs_dir=runs_dir,
                fresh=False,
                jobs=jobs,
                reporter=reporter or Reporter(),
            )
            experiments = _load(first, second)
        differences = paired_differences(*experiments)
        looks.append(look_at(np.array(list(differences.values())), error_rate))
        stopped = [run for experiment in experiments for run in experiment.missing]
        outcome = _outcome(looks[-1], stopped, n_left=max_seeds - len(seeds))
        if outcome is not None:
            reasons = tuple(f"{run.path}: {run.problem}" for run in stopped)
            return Decision(outcome, error_rate, max_seeds, tuple(looks), reasons, experiments)
        seeds += _new_seeds(seeds, min(batch, max_seeds - len(seeds)))


def _load(first: Path, second: Path) -> tuple[Experiment, Experiment]:
    one, other = load_experiments([first, second])
    return one, other


def _runs_dir(experiments: Sequence[Experiment]) -> Path:
    """Return the folder both experiments lie in, if new seeds would join the old ones there.

    :raises RunFolderError: if they lie apart, or under a name that is not their config's
    """
    parents = {experiment.path.resolve().parent for experiment in experiments}
    if len(parents) > 1:
        where = "\n".join(str(experiment.path) for experiment in experiments)
        cure = "Move them into one runs folder."
        raise RunFolderError(Problem("The two experiments lie in different folders.", where, cure))
    runs_dir = parents.pop()
    for experiment in experiments:
        place = experiment_folder(resolve(experiment.config), runs_dir).path
        if place != experiment.path.resolve():
            what = f"New seeds of this experiment would go to {place.name}."
            cure = "It was renamed, edited or made by another version: train it anew."
            raise RunFolderError(Problem(what, str(experiment.path), cure))
    return runs_dir


def _new_seeds(taken: Sequence[int], n: int) -> list[int]:
    """Return the n smallest seeds that are not taken."""
    return list(islice((seed for seed in count() if seed not in taken), max(0, n)))


def _outcome(look: Look, stopped: Sequence[SeedRun], n_left: int) -> Outcome | None:
    """Say why to stop; None to go on."""
    if any(run.status in UNFINISHED for run in stopped):
        return "interrupted"
    if stopped:
        return "failed"
    if look.is_decided:
        return "decided"
    return "undecided" if n_left <= 0 else None
