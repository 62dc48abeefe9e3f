"""The table of docs/results.md, from the runs that its commands leave behind.

python benchmarks/results_table.py [runs]
"""

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from rl_runner.evaluation.statistics.summary import summarize
from rl_runner.runs.folder import read_record
from rl_runner.runs.index import runs_below

HEADER = """\
| experiment | timesteps | last agent, by seed | mean | 95 % interval | best agent, by seed |
|---|---|---|---|---|---|"""


def main() -> None:
    """Print one row per experiment whose runs are all finished."""
    experiments: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in runs_below(Path(sys.argv[1] if len(sys.argv) > 1 else "runs")):
        experiments[run.experiment].append(read_record(run.path))
    print(HEADER)
    for name, records in experiments.items():
        if all(record.get("status") == "finished" for record in records):
            print(row(name, records))


def row(name: str, records: list[dict[str, Any]]) -> str:
    """Describe an experiment; exact returns take the place of sampled ones where there are any."""
    last = [reward(record["results"]["last"]) for record in records]
    best = [reward(record["results"]["best"]) for record in records]
    digits = 3 if max(map(abs, last)) < 10 else 1
    summary = summarize(last)
    interval = "–" if summary.ci95 is None else " to ".join(f"{x:.{digits}f}" for x in summary.ci95)
    cells = (
        name.rpartition("-")[0],
        f"{max(record['timesteps'] for record in records):,}",
        ", ".join(f"{value:.{digits}f}" for value in last),
        f"{summary.mean:.{digits}f}",
        interval,
        ", ".join(f"{value:.{digits}f}" for value in best),
    )
    return f"| {' | '.join(cells)} |"


def reward(result: dict[str, Any]) -> float:
    """Return the exact mean return if there is one, else the held-out mean."""
    value: float = result.get("exact_mean_reward", result["mean_reward"])
    return value


if __name__ == "__main__":
    main()
