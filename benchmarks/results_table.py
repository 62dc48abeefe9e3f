"""Prints the table of docs/results.md from the runs of its commands.

python benchmarks/results_table.py [runs]
"""

import sys
from collections import defaultdict
from pathlib import Path

from rl_runner.config import EnvConfig, load_config
from rl_runner.evaluation.comparison.scores import summarize_scores
from rl_runner.runs.index import runs_below
from rl_runner.runs.record import AgentResult, RunRecord, read_record

HEADER = """\
| experiment | timesteps | last agent, by seed | mean | 95 % interval | best agent, by seed |
|---|---|---|---|---|---|"""


def main() -> None:
    """Print one row per experiment whose runs are all finished."""
    experiments: dict[str, list[RunRecord]] = defaultdict(list)
    environments: dict[str, EnvConfig] = {}
    for run in runs_below(Path(sys.argv[1] if len(sys.argv) > 1 else "runs")):
        experiments[run.experiment].append(read_record(run.path) or RunRecord())
        environments[run.experiment] = load_config(run.path.parent).env
    print(HEADER)
    for name, records in experiments.items():
        if all(record.is_finished for record in records):
            print(row(name, records, environments[name]))


def row(name: str, records: list[RunRecord], env: EnvConfig) -> str:
    """Describe an experiment; exact returns take the place of sampled ones where there are any."""
    last = [reward(record.last) for record in records]
    best = [reward(record.best) for record in records]
    digits = 3 if max(map(abs, last)) < 10 else 1
    found = summarize_scores(
        [record.last.mean_reward for record in records],
        [record.last.exact_mean_reward for record in records],
        env,
    )
    ends = None if found is None else found.summary.ci95
    interval = "–" if ends is None else " to ".join(f"{x:.{digits}f}" for x in ends)
    cells = (
        name.rpartition("-")[0],
        f"{max(record.timesteps or 0 for record in records):,}",
        ", ".join(f"{value:.{digits}f}" for value in last),
        f"{sum(last) / len(last):.{digits}f}",
        interval,
        ", ".join(f"{value:.{digits}f}" for value in best),
    )
    return f"| {' | '.join(cells)} |"


def reward(result: AgentResult) -> float:
    """Return the exact mean return if there is one, else the held-out mean."""
    value = result.exact_or_mean_reward
    return float("nan") if value is None else value


if __name__ == "__main__":
    main()
