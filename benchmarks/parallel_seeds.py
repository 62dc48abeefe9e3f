"""Compares the time of five seeds in parallel with the same five one after another.

    python benchmarks/parallel_seeds.py [CONFIG] [--seeds 5] [--jobs 2] [--repeat 1]

The ratio is wall time of one `rl train` with all seeds, divided by the sum of the wall times of
one `rl train` a seed. With two cores .5 is the least that the cores allow.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIG = Path(__file__).parent.parent / "configs/cartpole/ppo.yaml"


def main() -> None:
    """Time both ways in turns and print their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", nargs="?", type=Path, default=CONFIG)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=1)
    options = parser.parse_args()
    ratios = []
    for _ in range(options.repeat):
        single = [
            seconds(options.config, "--seeds", f"{seed},", "--jobs", "1")
            for seed in range(options.seeds)
        ]
        together = seconds(
            options.config, "--seeds", str(options.seeds), "--jobs", str(options.jobs)
        )
        ratios.append(together / sum(single))
        print(
            f"one by one {' + '.join(f'{s:.1f}' for s in single)} = {sum(single):.1f} s, "
            f"together {together:.1f} s, ratio {ratios[-1]:.3f}",
            flush=True,
        )
    print(f"median ratio {statistics.median(ratios):.3f}")


def seconds(config: Path, *arguments: str) -> float:
    """Return the wall time of an `rl train` in a fresh folder."""
    with tempfile.TemporaryDirectory() as runs_dir:
        command = [sys.executable, "-m", "rl_runner", "train", str(config), "-q"]
        command += ["--runs-dir", runs_dir, *arguments]
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
