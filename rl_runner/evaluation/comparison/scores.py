"""One number per run, by which experiments are compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rl_runner.evaluation.comparison.experiments import AgentName, Experiment, SeedRun

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
