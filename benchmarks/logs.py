"""Measures rows per second and memory of each step from a Parquet log to a Q table.

python benchmarks/logs.py log.parquet [1000000 2000000 …]

Without row counts the whole file is read. Each run is a process of its own, so that the peak of
memory is its own too. Compiled functions are compiled before the clock starts.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl


def main() -> None:
    """Print one line per size; with an argument, measure that size."""
    if sys.argv[1] == "--one":
        measure(Path(sys.argv[2]))
        return
    log = Path(sys.argv[1])
    sizes = [int(text) for text in sys.argv[2:]] or [0]
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = log
            if size:
                path = Path(folder) / "log.parquet"
                pl.scan_parquet(log).head(size).sink_parquet(path)
            command = [sys.executable, __file__, "--one", str(path)]
            subprocess.run(command, check=True)  # noqa: S603 - this script


def measure(path: Path) -> None:
    """Read, check, filter, encode and learn; print seconds of the clock and of the processor."""
    from rl_runner.offline.learning.log_q_learning import LogQLearning
    from rl_runner.offline.logs.interactions import read_interactions
    from rl_runner.offline.logs.log_files import LogReader
    from rl_runner.offline.logs.windows import without_rare_users

    with tempfile.TemporaryDirectory() as folder:
        few = Path(folder) / "few.parquet"
        pl.scan_parquet(path).head(1000).sink_parquet(few)
        warm = read_interactions([few], LogReader())
        LogQLearning().learn(warm)
    began, cpu = time.perf_counter(), time.process_time()
    reader = LogReader()
    log = read_interactions([path], reader)
    read, read_cpu = time.perf_counter(), time.process_time()
    train, _ = without_rare_users(log, 5)
    filtered = time.perf_counter()
    learner = LogQLearning()
    learner.learn(train)
    done, done_cpu = time.perf_counter(), time.process_time()
    rows = reader.refusals.n_rows
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # kilobytes on Linux
    print(
        f"{rows:>11,} rows: read, checked, encoded {read - began:.1f} s, filtered "
        f"{filtered - read:.1f} s, learned {done - filtered:.1f} s: {done - began:.1f} s "
        f"({done_cpu - cpu:.1f} s of processor, {read_cpu - cpu:.1f} of it reading), "
        f"{rows / (done - began):,.0f} rows/s, {peak:.2f} GB"
    )


if __name__ == "__main__":
    main()
