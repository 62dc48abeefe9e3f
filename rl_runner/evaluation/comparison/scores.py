"""One number per run, by which experiments are compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rl_runner.config import EnvConfig
from rl_runner.evaluation.comparison.experiments import AgentName, Experiment, SeedRun
from rl_runner.evaluation.play.return_bounds import return_bounds
from rl_runner.evaluation.statistics.bounds import Bounds
from rl_runner.evaluation.statistics.summary import Summary, summarize

Measure = Literal["held-out", "exact"]
ROUNDING = 1e-9  # relative to the largest score; smaller differences are rounding errors


@dataclass(frozen=True)
class Scoring:
    """Which agent's mean return is a run's score, and whether it is the exact one."""

    agent: AgentName
    measure: Measure

    @classmethod
    def for_runs(cls, runs: Sequence[SeedRun], agent: AgentName) -> "Scoring":
        """Take exact returns if every run has one, means over held-out episodes otherwise."""
        results = [result for run in runs if (result := run.result(agent)) is not None]
        is_exact = all(result.exact_mean_reward is not None for result in results)
        return cls(agent, "exact" if is_exact else "held-out")

    def score(self, run: SeedRun) -> float | None:
        """Return a run's score; None if it has no result."""
        result = run.result(self.agent)
        if result is None:
            return None
        return result.exact_mean_reward if self.measure == "exact" else result.mean_reward


@dataclass(frozen=True)
class ScoreSummary:
    """The scores of one experiment's runs, and their mean with its interval."""

    measure: Measure
    scores: tuple[float, ...]
    summary: Summary
    bounds: Bounds | None  # of the scores; None where they are not known

    @property
    def remark(self) -> str:
        """What the interval of a mean alone does not say; empty if there is nothing."""
        return describe_equal_scores(self.scores, self.bounds)


def summarize_scores(
    sampled: Sequence[float | None], exact: Sequence[float | None], env: EnvConfig | None
) -> ScoreSummary | None:
    """Summarise an experiment's runs as a comparison does; None if no run has a result.

    :param sampled: each run's mean over held-out episodes; None if it has no finite result
    :param exact: each run's exact mean return; None where it is not known
    :param env: the environment, for the bounds of its returns; None: they are not known
    :raises OutOfBoundsError: if a score lies outside the bounds
    """
    pairs = [(s, e) for s, e in zip(sampled, exact, strict=True) if s is not None]
    if not pairs:
        return None
    known = [e for _, e in pairs if e is not None]
    is_exact = len(known) == len(pairs)
    scores = tuple(known) if is_exact else tuple(s for s, _ in pairs)
    bounds = None if env is None else return_bounds(env, exact=is_exact)
    summary = summarize(scores, bounds)
    return ScoreSummary("exact" if is_exact else "held-out", scores, summary, bounds)


def describe_equal_scores(scores: Sequence[float], bounds: Bounds | None) -> str:
    """Say what runs that all have the same result leave open; empty for any others.

    The share of further runs that may differ is at most 1 − .05^(1/n) (Clopper and Pearson).
    """
    n = len(scores)
    if n < 2 or min(scores) < max(scores):
        return ""
    what, could = f"all {n} runs have the same result", "differ"
    if bounds is not None and scores[0] == bounds.high:
        what, could = f"{n} of {n} seeds reached the highest possible return", "be worse"
    elif bounds is not None and scores[0] == bounds.low:
        what, could = f"{n} of {n} seeds have the lowest possible return", "be better"
    share = 1 - 0.05 ** (1 / n)
    return f"{what}; up to {100 * share:.0f} % of further runs could {could} (95 % confidence)"


def paired_differences(
    first: Experiment, second: Experiment, agent: AgentName = "last"
) -> dict[int, float]:
    """Return first minus second, by seed, for every seed that has a result in both.

    Differences within rounding error of the largest score are zero.
    """
    # Pair the runs by seed, and choose the score that all of them have.
    runs = {run.seed: run for run in second.finished}
    couples = [(run, runs[run.seed]) for run in first.finished if run.seed in runs]
    scoring = Scoring.for_runs([run for couple in couples for run in couple], agent)
    # Subtract, and remove rounding errors.
    differences: dict[int, float] = {}
    largest = 0.0
    for a, b in couples:
        of_first, of_second = scoring.score(a), scoring.score(b)
        if of_first is not None and of_second is not None:
            differences[a.seed] = of_first - of_second
            largest = max(largest, abs(of_first), abs(of_second))
    return {s: d if abs(d) > ROUNDING * largest else 0.0 for s, d in differences.items()}
