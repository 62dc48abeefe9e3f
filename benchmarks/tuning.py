"""`rl tune` measured: against rl-baselines3-zoo, and from deliberately bad starting values.

    python benchmarks/tuning.py zoo [--trials 20] [--timesteps 20000] [--jobs 2] [--zoo DIR]
    python benchmarks/tuning.py bad-start [--trials 30] [--timesteps 50000] [--jobs 2]

`zoo` times whole commands that search PPO's hyperparameters on CartPole, one seed a trial: ours
without confirmation, which rl-baselines3-zoo has not, and its own with as many jobs. It is
installed by name into an environment of its own in DIR, unless it is there already. `--without-zoo`
leaves it out, to be compared with an earlier measurement.

`bad-start` searches from a learning rate of 1e-5 and a gamma of .8, and fails unless the winner
reaches a mean of 475 over five fresh seeds.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "configs/cartpole/ppo.yaml"
SOLVED = 475.0
SAME = ("torch", "stable-baselines3", "sb3-contrib", "gymnasium")  # in both environments
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def main() -> int:
    """Measure and print; 1 if a search from bad values does not find good ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("zoo", "bad-start"))
    parser.add_argument("--trials", type=int)
    parser.add_argument("--timesteps", type=int)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--engine", default="stock", help="stock (SB3 itself), fast or auto")
    parser.add_argument("--zoo", type=Path, default=ROOT / ".zoo", help="its environment")
    parser.add_argument("--without-zoo", action="store_true")
    options = parser.parse_args()
    return against_the_zoo(options) if options.what == "zoo" else from_bad_values(options)


def against_the_zoo(options: argparse.Namespace) -> int:
    """Time both commands, one after the other."""
    trials, timesteps = options.trials or 20, options.timesteps or 20_000
    with tempfile.TemporaryDirectory() as folder:
        ours, document = timed_search(
            folder,
            *("--trials", trials, "--jobs", options.jobs, "--confirm", 0),
            *("--set", f"train.total_timesteps={timesteps}", "--set", "tune.seeds=1"),
            *("--set", f"algo.engine={options.engine}"),
            *("--set", f"eval.every={max(1, timesteps // 10)}"),
        )
    outcomes = ", ".join(f"{n} {outcome}" for outcome, n in document["n_trials"].items())
    best = max(t["scores"][0] for t in document["trials"] if t["outcome"] == "complete")
    print(f"rl tune: {ours:.1f} s, best trial {best:.1f} ({outcomes})", flush=True)
    if options.without_zoo:
        return 0
    python = zoo_python(options.zoo)
    theirs, output = timed_zoo(python, trials, timesteps, options.jobs)
    values = re.findall(r"^\s*Value: *([-\d.]+)", output, flags=re.MULTILINE)
    print(f"rl_zoo3: {theirs:.1f} s, best trial {values[-1] if values else 'unknown'}")
    print(f"ratio {theirs / ours:.2f}")
    return 0


def from_bad_values(options: argparse.Namespace) -> int:
    """Search from values that learn nothing, and confirm on five fresh seeds."""
    trials, timesteps = options.trials or 30, options.timesteps or 50_000
    with tempfile.TemporaryDirectory() as folder:
        seconds, document = timed_search(
            folder,
            *("--trials", trials, "--jobs", options.jobs, "--confirm", 3),
            *("--set", f"train.total_timesteps={timesteps}"),
            *("--set", f"algo.engine={options.engine}"),
            *("--set", f"eval.every={max(1, timesteps // 10)}"),
            *("--set", "algo.learning_rate=1e-5", "--set", "algo.gamma=0.8"),
            *("--set", "tune.seeds=2", "--set", "tune.confirm.seeds=5"),
        )
    print(f"{trials} trials × {timesteps:,} timesteps: {seconds:.0f} s, {document['n_trials']}")
    for item in document["confirmed"]:
        print(
            f"{item['candidate']}: search {item['search_scores']}, fresh seeds {item['mean']} "
            f"{item['ci95']}, optimism {item['optimism']} {item['optimism_ci95']}"
        )
    winner = next(i for i in document["confirmed"] if i["candidate"] == document["winner"])
    print(f"winner {winner['candidate']}: {winner['values']}")
    solved = winner["mean"] >= SOLVED
    print(f"{'reached' if solved else 'MISSED'}: {winner['mean']:.1f} of {SOLVED}")
    return 0 if solved else 1


def timed_search(folder: str, *arguments: object) -> tuple[float, dict[str, Any]]:
    """Return the wall time of an `rl tune` in a fresh folder, and what it found."""
    command = [sys.executable, "-m", "rl_runner", "tune", str(CONFIG), "--json", "-q"]
    began = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - our own command
        [*command, "--runs-dir", folder, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    return time.perf_counter() - began, json.loads(done.stdout)


def zoo_python(folder: Path) -> Path:
    """Return the interpreter that has rl_zoo3, in an environment that is made if it is missing."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    if not has_zoo(python):
        lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
        same = [line for line in lines if line.partition("==")[0].replace("_", "-") in SAME]
        # It needs pandas at the end of a search, and does not say so.
        install = [str(python), "-m", "pip", "install", "-q", *same, "rl_zoo3", "pandas"]
        subprocess.run(install, check=True)  # noqa: S603 - pip, with names from here
    return python


def has_zoo(python: Path) -> bool:
    """Whether the interpreter has what the search needs."""
    probe = [str(python), "-c", "import pandas, rl_zoo3"]
    done = subprocess.run(probe, capture_output=True, check=False)  # noqa: S603 - our own line
    return done.returncode == 0


def timed_zoo(python: Path, trials: int, timesteps: int, jobs: int) -> tuple[float, str]:
    """Return the wall time of rl-baselines3-zoo's own search, and what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(python), "-m", "rl_zoo3.train", "--algo", "ppo", "--env", "CartPole-v1"]
        command += ["-n", str(timesteps), "-optimize", "--n-trials", str(trials)]
        command += ["--n-jobs", str(jobs), "--sampler", "tpe", "--pruner", "median", "-f", folder]
        began = time.perf_counter()
        done = subprocess.run(  # noqa: S603 - rl_zoo3's own command
            command,
            cwd=folder,
            env={**os.environ, **ONE_THREAD},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"rl_zoo3 failed:\n{done.stdout[-2000:]}")
    return seconds, done.stdout


if __name__ == "__main__":
    sys.exit(main())
