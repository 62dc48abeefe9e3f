"""Compares `rl tune` with rl-baselines3-zoo, and searches from deliberately bad values.

    python benchmarks/tuning.py zoo [--trials 20] [--timesteps 20000] [--jobs 2]
                                    [--confirm 3] [--confirm-seeds 2] [--seed 0] [--studies 1]
                                    [--engine stock [fast …]] [--environments DIR]
    python benchmarks/tuning.py bad-start [--trials 30] [--timesteps 100000] [--jobs 2]

`zoo` times whole commands that search PPO's hyperparameters on CartPole, one seed a trial: ours
with its confirmation, which rl-baselines3-zoo has not, and its own with as many jobs. What each of
them names as its result is then trained from the beginning on five seeds that neither has used, by
the same code and outside of the time. So is the best trial of our search alone, which the same
command with `--confirm 0` would name; its seconds are those until the confirmation began. Both
search learning rates and clip ranges that stay what they are. Ours
evaluates five times in a trial, ten episodes each, and the last and the best agent at its end;
theirs once, five episodes. With `--studies N` the commands take turns N times, each time with
another seed, and the ratio is that of the medians. rl_zoo3 is installed as `speed.py` does it, in
an environment of its own in DIR. `--without-zoo` leaves it out.

`bad-start` searches from a learning rate of 1e-5 and a gamma of .8, and fails unless the winner
reaches a mean of 475 over five fresh seeds.

`--json FILE` writes what was measured there as well.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from speed_peers import PEERS
from tuning_zoo import as_ours, zoo_search

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "configs/cartpole/ppo.yaml"
# The shipped config lets both fall to 0 over five times the budget; rl_zoo3 searches constant ones.
CONSTANT = ("algo.learning_rate=1e-3", "algo.clip_range=0.2")
SOLVED = 475.0
FRESH_SEEDS = range(5_000, 5_005)


def main() -> int:
    """Measure and print; 1 if a search from bad values does not find good ones."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("zoo", "bad-start"))
    parser.add_argument("--trials", type=int)
    parser.add_argument("--timesteps", type=int)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--engine", nargs="+", help="stock (SB3 itself), fast, auto")
    parser.add_argument("--confirm", type=int, default=3, help="trials that are confirmed")
    parser.add_argument("--confirm-seeds", type=int, default=2, help="on so many seeds each")
    parser.add_argument("--seed", type=int, default=0, help="of the first study")
    parser.add_argument("--studies", type=int, default=1, help="searches of each, in turns")
    parser.add_argument("--environments", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--without-zoo", action="store_true")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    measure = against_the_zoo if options.what == "zoo" else from_bad_values
    figures = measure(options)
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0 if figures.get("solved", True) else 1


def against_the_zoo(options: argparse.Namespace) -> dict[str, Any]:
    """Time the commands, in turns, and train what each of them found on fresh seeds."""
    trials, timesteps = options.trials or 20, options.timesteps or 20_000
    print(
        f"{trials} trials × {timesteps:,} timesteps, {options.jobs} jobs, {machine()}", flush=True
    )
    print(f"{'':20}{'seed':>5}{'seconds':>9}{'best trial':>12}{'fresh seeds':>13}  each of these")
    figures: dict[str, list[dict[str, Any]]] = {}
    for seed in range(options.seed, options.seed + options.studies):
        for engine in options.engine or ["stock"]:
            for name, told in ours(trials, timesteps, engine, seed, options).items():
                figures.setdefault(f"{name}, {engine}", []).append(told)
                print_study(f"{name}, {engine}", seed, told)
        if not options.without_zoo:
            told = theirs(trials, timesteps, seed, options)
            figures.setdefault("rl_zoo3", []).append(told)
            print_study("rl_zoo3", seed, told)
    print_medians(figures)
    return figures


def print_study(name: str, seed: int, told: dict[str, Any]) -> None:
    """Print a line about one search: what it took, what it says, and what that is worth."""
    each = ", ".join(f"{score:.0f}" for score in told["fresh"])
    worth = statistics.mean(told["fresh"])
    measured = f"{told['seconds']:>9.1f}{told['best']:>12.1f}{worth:>13.1f}"
    print(f"{name:20}{seed:>5}{measured}  {each}; {told['trials']}", flush=True)


def print_medians(figures: dict[str, list[dict[str, Any]]]) -> None:
    """Print what the searches of each kind come to, and how much faster than rl_zoo3 that is."""
    seconds = {
        name: statistics.median(told["seconds"] for told in studies)
        for name, studies in figures.items()
    }
    for name, studies in figures.items():
        worth = statistics.mean(score for told in studies for score in told["fresh"])
        line = f"{name}: {seconds[name]:.1f} s (median of {len(studies)}), worth {worth:.1f}"
        if "rl_zoo3" in seconds:
            line += f", {seconds['rl_zoo3'] / seconds[name]:.2f} times as fast as rl_zoo3"
        print(line)


def machine() -> str:
    """Describe the machine and its load."""
    return f"{os.cpu_count()} cores, load before: {os.getloadavg()[0]:.1f}"


def ours(
    trials: int, timesteps: int, engine: str, seed: int, options: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Search with `rl tune`, and train on fresh seeds what it found with and without confirming."""
    with tempfile.TemporaryDirectory() as folder:
        search = timed_search(
            folder,
            *("--trials", trials, "--jobs", options.jobs, "--confirm", options.confirm),
            *("--set", f"train.total_timesteps={timesteps}", "--set", "tune.seeds=1"),
            *("--set", f"tune.confirm.seeds={options.confirm_seeds}"),
            *(word for constant in CONSTANT for word in ("--set", constant)),
            *("--set", f"tune.seed={seed}"),
            *("--set", f"algo.engine={engine}"),
            *("--set", f"eval.every={max(1, timesteps // 5)}", "--set", "eval.n_episodes=10"),
            *("--set", "eval.final_episodes=20"),
        )
        document = search.document
        told = {
            "best": max(t["scores"][0] for t in document["trials"] if t["outcome"] == "complete"),
            "trials": ", ".join(f"{n} {outcome}" for outcome, n in document["n_trials"].items()),
        }
        alone = Path(document["path"]) / f"trials/trial-{document['best_trial']:04d}/config.yaml"
        results = {"search alone": (search.seconds_alone, str(alone))}
        if options.confirm:
            results = {"rl tune": (search.seconds, document["best_config"]), **results}
        return {
            name: {
                "seconds": seconds,
                **told,
                "fresh": fresh_returns(config, f"{folder}/fresh/{name}", options.jobs),
            }
            for name, (seconds, config) in results.items()
        }


def theirs(trials: int, timesteps: int, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Search with rl-baselines3-zoo, and train its best trial's hyperparameters on fresh seeds."""
    python = PEERS["rl_zoo3"].python(options.environments)
    found = zoo_search(python, trials, timesteps, options.jobs, seed)
    with tempfile.TemporaryDirectory() as folder:
        settings = as_ours(found.sampled)
        assigned = [f"algo.{name}={json.dumps(value)}" for name, value in settings.items()]
        assigned.append(f"train.total_timesteps={timesteps}")
        fresh = fresh_returns(str(CONFIG), folder, options.jobs, assigned)
    return {
        "seconds": found.seconds,
        "best": found.value,
        "trials": f"{found.n_complete} complete, {found.n_pruned} pruned",
        "fresh": fresh,
    }


def fresh_returns(config: str, folder: str, jobs: int, assigned: Sequence[str] = ()) -> list[float]:
    """Train a config on fresh seeds; return the mean return of each last agent."""
    seeds = f"train.seeds={json.dumps(list(FRESH_SEEDS))}"
    command = [sys.executable, "-m", "rl_runner", "train", config, "-q", "--jobs", str(jobs)]
    for assignment in (*assigned, seeds, "eval.final_episodes=100"):
        command += ["--set", assignment]
    subprocess.run(  # noqa: S603 - our own command
        [*command, "--runs-dir", folder], cwd=ROOT, stdout=subprocess.DEVNULL, check=True
    )
    records = [json.loads(path.read_text()) for path in sorted(Path(folder).glob("*/*/run.json"))]
    return [record["results"]["last"]["mean_reward"] for record in records]


def from_bad_values(options: argparse.Namespace) -> dict[str, Any]:
    """Search from values that learn nothing, and confirm on five fresh seeds."""
    trials, timesteps = options.trials or 30, options.timesteps or 100_000
    with tempfile.TemporaryDirectory() as folder:
        search = timed_search(
            folder,
            *("--trials", trials, "--jobs", options.jobs, "--confirm", 3),
            *("--set", f"train.total_timesteps={timesteps}"),
            *("--set", f"algo.engine={(options.engine or ['auto'])[0]}"),
            *("--set", f"eval.every={max(1, timesteps // 10)}"),
            *("--set", "algo.learning_rate=1e-5", "--set", "algo.gamma=0.8"),
            *("--set", "tune.seeds=2", "--set", "tune.confirm.seeds=5"),
        )
    seconds, document = search.seconds, search.document
    print(f"{trials} trials × {timesteps:,} timesteps: {seconds:.0f} s, {document['n_trials']}")
    print(f"{'':12}{'search':>8}{'fresh seeds':>13}  95 %, optimism with its 95 %")
    for item in document["confirmed"]:
        optimism = "" if item["optimism"] is None else f"{item['optimism']:.1f}"
        searched = f"{item['search_scores'][0]:8.1f}" if item["search_scores"] else f"{'':8}"
        print(
            f"{item['candidate']:12}{searched}{item['mean']:13.1f}  {interval(item['ci95'])}, "
            f"{optimism} {interval(item['optimism_ci95'])}"
        )
    winner = next(i for i in document["confirmed"] if i["candidate"] == document["winner"])
    print(f"winner {winner['candidate']}: {winner['values']}")
    solved = winner["mean"] >= SOLVED
    print(f"{'reached' if solved else 'MISSED'}: {winner['mean']:.1f} of {SOLVED}")
    return {"seconds": seconds, "solved": solved, "confirmed": document["confirmed"]}


def interval(ends: Sequence[float] | None) -> str:
    """Write the two ends of an interval, if there is one."""
    return f"({ends[0]:.1f} to {ends[1]:.1f})" if ends else "(no interval)"


class Search(NamedTuple):
    """An `rl tune` that has been timed, and what it found."""

    seconds: float
    seconds_alone: float  # until it began to confirm
    document: dict[str, Any]


def timed_search(folder: str, *arguments: object) -> Search:
    """Time an `rl tune` in a fresh folder."""
    command = [sys.executable, "-m", "rl_runner", "tune", str(CONFIG), "--json"]
    command += ["--runs-dir", folder, *map(str, arguments)]
    seconds_alone = None
    began = time.perf_counter()
    with (
        tempfile.TemporaryFile("w+") as found,
        subprocess.Popen(  # noqa: S603 - our own command
            command, cwd=ROOT, stdout=found, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        lines = []
        for line in process.stderr or ():
            lines.append(line)
            if line.startswith("Confirming"):
                seconds_alone = time.perf_counter() - began
        process.wait()
        seconds = time.perf_counter() - began
        if process.returncode:
            sys.exit(f"rl tune failed:\n{''.join(lines[-20:])}")
        found.seek(0)
        return Search(seconds, seconds_alone or seconds, json.load(found))


if __name__ == "__main__":
    sys.exit(main())
