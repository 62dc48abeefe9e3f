"""Prints the table of docs/results.md from the runs of its commands.

python benchmarks/results_table.py [runs]
"""

import sys
from collections import defaultdict
from pathlib import Path

from rl_runner.evaluation.statistics.summary import summarize
from rl_runner.runs.index import runs_below
from rl_runner.runs.record import AgentResult, RunRecord, read_record

HEADER = """\
| experiment | timesteps | last agent, by seed | mean | 95 % interval | best agent, by seed |
|---|---|---|---|---|---|"""


def main() -> None:
    """Print one row per experiment whose runs are all finished."""
    experiments: dict[str, list[RunRecord]] = defaultdict(list)
    for run in runs_below(Path(sys.argv[1] if len(sys.argv) > 1 else "runs")):
        experiments[run.experiment].append(read_record(run.path) or RunRecord())
    print(HEADER)
    for name, records in experiments.items():
        if all(record.is_finished for record in records):
            print(row(name, records))


def row(name: str, records: list[RunRecord]) -> str:
    """Describe an experiment; exact returns take the place of sampled ones where there are any."""
    last = [reward(record.last) for record in records]
    best = [reward(record.best) for record in records]
    digits = 3 if max(map(abs, last)) < 10 else 1
    summary = summarize(last)
    interval = "–" if summary.ci95 is None else " to ".join(f"{x:.{digits}f}" for x in summary.ci95)
    cells = (
        name.rpartition("-")[0],
        f"{max(record.timesteps or 0 for record in records):,}",
        ", ".join(f"{value:.{digits}f}" for value in last),
        f"{summary.mean:.{digits}f}",
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
