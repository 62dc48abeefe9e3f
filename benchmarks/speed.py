"""Compares the time, memory and results of rl_runner with those of other programs.

    python benchmarks/speed.py ppo a2c dqn [--rounds 3] [--peers rl_zoo3 cleanrl sb3]
    python benchmarks/speed.py ppo a2c dqn --seeds 5 --rounds 2 --peers rl_zoo3
    python benchmarks/speed.py tabular arithmetic memory
    python benchmarks/speed.py returns [--seeds 10] [--runs-dir DIR]

The first two compare whole processes, from the command to its end, on CartPole-v1 with the zoo's
own hyperparameters: ours and each peer's in turns, medians and their ratio in a table. Of several
seeds ours is one command, which takes as many cores as there are; a peer's is one command a seed,
``--peer-jobs`` of them at a time: one, as their documentations have it and as the targets are
meant, unless told otherwise. All have one thread. ``--share`` scales the budgets.

``tabular`` compares Q-learning on FrozenLake's table with the loop that everybody writes;
``arithmetic`` says how near an update is to what the processor could do; ``memory`` compares the
memory of training with stock SB3's, one seed and five of them on two cores (Linux only).
``returns`` trains with both engines and says what `rl compare` says of them; called again, it goes
on.
"""

import argparse
import concurrent.futures
import functools
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from speed_memory import Memory, print_memory, watch
from speed_peers import PEERS, Peer, zoo_config
from speed_updates import print_arithmetic, print_tabular

ROOT = Path(__file__).parent.parent
BUDGETS = {"ppo": 100_000, "a2c": 500_000, "dqn": 50_000}
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass
class Measured:
    """What one program took for one work in each round, and what its agents reached."""

    work: str
    program: str
    seconds: list[float] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the rounds' seconds."""
        return statistics.median(self.seconds)


def main() -> None:
    """Run the requested measurements and print their tables."""
    options = parse()
    os.environ.update(THREADS)  # for what is measured in this process; numpy comes later
    facts = machine()
    print(facts, flush=True)
    measured: list[Measured] = []
    documents: dict[str, Any] = {"machine": facts}
    for work in options.work:
        if work == "tabular":
            documents[work] = print_tabular()
        elif work == "arithmetic":
            documents[work] = print_arithmetic()
        elif work == "memory":
            documents[work] = print_memory(measure_memory(options))
        elif work == "returns":
            documents[work] = print_returns(options)
        else:
            measured += compare(work, options)
            documents["whole processes"] = print_measured(measured)
        if options.json is not None:
            options.json.write_text(json.dumps(documents, indent=1) + "\n")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = [*BUDGETS, "tabular", "arithmetic", "memory", "returns"]
    parser.add_argument("work", nargs="+", choices=kinds, metavar=f"WORK ({', '.join(kinds)})")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, help="default: 1, and 10 for returns")
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--peer-jobs", type=int, default=1)
    parser.add_argument("--environments", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/engines"))
    parser.add_argument("--json", type=Path, help="also write all measurements to this file")
    return parser.parse_args()


def machine() -> str:
    """Describe the machine and the versions."""
    packages = ("stable-baselines3", "torch", "numpy", "numba", "gymnasium")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{os.cpu_count()} cores, {platform.platform(terse=True)}, Python "
        f"{platform.python_version()}, {versions}; load before: {load}\n"
    )


def compare(algo: str, options: argparse.Namespace) -> list[Measured]:
    """Train with us and with each peer, in turns."""
    timesteps, n_seeds = int(BUDGETS[algo] * options.share), options.seeds or 1
    work = f"{algo.upper()}, {timesteps:,} timesteps, {n_seeds} seed{'s' * (n_seeds > 1)}"
    peers = [PEERS[name] for name in options.peers if algo in PEERS[name].algorithms]
    pythons = {peer.name: peer.python(options.environments) for peer in peers}
    ours = Measured(work, "rl_runner")
    theirs = [Measured(work, peer.name) for peer in peers]
    for round_ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            ours.seconds.append(seconds_of([our_command(algo, timesteps, n_seeds, folder)], folder))
            ours.returns += our_final_returns(Path(folder))
        seeds = range(round_ * n_seeds, (round_ + 1) * n_seeds)
        for peer, told in zip(peers, theirs, strict=True):
            with tempfile.TemporaryDirectory() as folder:
                commands = [
                    peer.command(pythons[peer.name], algo, timesteps, seed, folder)
                    for seed in seeds
                ]
                told.seconds.append(seconds_of(commands, folder, options.peer_jobs))
                told.returns += final_returns(peer, algo, folder)
        print(", ".join(f"{m.program} {m.seconds[-1]:.1f} s" for m in [ours, *theirs]), flush=True)
    return [ours, *theirs]


def final_returns(peer: Peer, algo: str, folder: str) -> list[float]:
    """Judge what a peer has trained."""
    return peer.final_returns(algo, Path(folder))


def our_command(algo: str, timesteps: int, seeds: int, folder: str) -> list[str]:
    """Return our command: all seeds at once."""
    config = str(zoo_config(algo))
    budget = f"train.total_timesteps={timesteps}"
    often = f"eval.every={max(1, timesteps // 10)}"
    command = [sys.executable, "-m", "rl_runner", "train", config, "--runs-dir", folder, "-q"]
    return [*command, "--seeds", str(seeds), "--set", budget, "--set", often]


def seconds_of(commands: Sequence[Sequence[str]], folder: str, at_once: int = 1) -> float:
    """Run the commands, so many at once; return the seconds by the clock on the wall."""
    started = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(at_once) as threads:
        for done in threads.map(lambda command: run(command, folder), commands):
            if done.returncode:
                raise SystemExit(done.stdout + done.stderr)
    return time.perf_counter() - started


def run(command: Sequence[str], folder: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in a folder of its own."""
    environment = {**os.environ, **THREADS, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(  # noqa: S603 - our own commands
        command, env=environment, cwd=folder, check=False, capture_output=True, text=True
    )


def measure_memory(options: argparse.Namespace) -> Iterator[tuple[str, Memory, Memory]]:
    """Train with us and with stock SB3, one seed and then several; yield what memory it took."""
    stock = PEERS["sb3"]
    for algo, budget in BUDGETS.items():
        timesteps = int(budget * options.share)
        for n_seeds, jobs in ((1, 1), (options.seeds or 5, 2)):
            with tempfile.TemporaryDirectory() as folder:
                command = [*our_command(algo, timesteps, n_seeds, folder), "--jobs", str(jobs)]
                ours = peaks_of([command], folder)
            with tempfile.TemporaryDirectory() as folder:
                commands = [
                    stock.command(sys.executable, algo, timesteps, seed, folder)
                    for seed in range(n_seeds)
                ]
                theirs = peaks_of(commands, folder, jobs)
            many = "1 seed" if n_seeds == 1 else f"{n_seeds} seeds, {jobs} at a time"
            yield f"{algo.upper()}, {timesteps:,} timesteps, {many}", ours, theirs


def peaks_of(commands: Sequence[Sequence[str]], folder: str, at_once: int = 1) -> Memory:
    """Run the commands, so many at once; return the memory they took at most."""
    return watch(functools.partial(seconds_of, commands, folder, at_once), os.getpid())


def our_final_returns(folder: Path) -> list[float]:
    """Return each seed's mean return over its held-out episodes."""
    records = [json.loads(file.read_text()) for file in folder.glob("*/seed-*/run.json")]
    return [record["results"]["last"]["mean_reward"] for record in records]


def print_measured(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """Print the table so far; return it."""
    print("\n| work | program | median | range | ratio to ours | mean return |")
    print("|---|---|---|---|---|---|")
    ours = {item.work: item.median for item in measured if item.program == "rl_runner"}
    rows = []
    for item in measured:
        ratio = item.median / ours[item.work]
        reached = statistics.mean(item.returns) if item.returns else None
        rows.append({**asdict(item), "median": item.median, "ratio": ratio})
        print(
            f"| {item.work} | {item.program} | {item.median:.1f} s "
            f"| {min(item.seconds):.1f} to {max(item.seconds):.1f} s | {ratio:.1f} × "
            f"| {'–' if reached is None else f'{reached:.1f}'} |",
            flush=True,
        )
    return rows


def print_returns(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Train with both engines and print what `rl compare` says of what they reached."""
    from rl_runner.config import load_config
    from rl_runner.evaluation.comparison.compare import compare as compare_experiments
    from rl_runner.evaluation.comparison.experiments import load_experiments
    from rl_runner.training.resolve import resolve
    from rl_runner.training.train import experiment_folder

    seeds, rows = options.seeds or 10, []
    print("| algorithm | seeds | fast: mean | stock: mean | difference, 95 % | p | verdict |")
    print("|---|---|---|---|---|---|---|")
    for algo, budget in BUDGETS.items():
        folders = []
        for engine in ("fast", "stock"):
            file = str(zoo_config(algo))
            changes = [
                f"algo.engine={engine}",
                f"train.total_timesteps={int(budget * options.share)}",
            ]
            config = resolve(load_config(file, changes)).config
            folders.append(experiment_folder(config, options.runs_dir.absolute()).path)
            command = [sys.executable, "-m", "rl_runner", "train", file, "-q"]
            command += ["--runs-dir", str(options.runs_dir.absolute()), "--seeds", str(seeds)]
            command += [word for change in changes for word in ("--set", change)]
            seconds_of([command], ".")
        comparison = compare_experiments(load_experiments(folders)).to_dict()
        (pair,) = comparison["pairs"]
        cells = [algo.upper(), str(seeds)]
        for row in comparison["experiments"]:
            mean = row["aggregates"]["mean"]
            cells.append(f"{mean['value']:.1f} ({interval(mean['ci95'])})")
        p = pair["p_value"]
        cells.append(f"{pair['difference']:+.1f} ({interval(pair['ci95'])})")
        cells += [
            "–" if p is None else f"{p:.2f}",
            "differ" if pair["is_decided"] else "not decided",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)
        rows.append({"algorithm": algo, **comparison})
    return rows


def interval(ends: Sequence[float] | None) -> str:
    """Write an interval; there is none if the seeds agree, or there is only one."""
    return "–" if ends is None else f"{ends[0]:.1f} to {ends[1]:.1f}"


if __name__ == "__main__":
    main()
