"""`rl tune` measured: against rl-baselines3-zoo, and from deliberately bad starting values.

    python benchmarks/tuning.py zoo [--trials 20] [--timesteps 20000] [--jobs 2] [--zoo DIR]
                                    [--confirm 3] [--confirm-seeds 2] [--seed 0] [--studies 1]
                                    [--engine stock [fast …]]
    python benchmarks/tuning.py bad-start [--trials 30] [--timesteps 100000] [--jobs 2]

`zoo` times whole commands that search PPO's hyperparameters on CartPole, one seed a trial: ours
with its confirmation, which rl-baselines3-zoo has not, and its own with as many jobs. What each of
them names as its result is then trained from the beginning on five seeds that neither has used, by
the same code and outside of the time. So is the best trial of our search alone, which the same
command with `--confirm 0` would name; its seconds are those until the confirmation began. Both
search learning rates and clip ranges that stay what they are. Ours
evaluates five times in a trial, ten episodes each, and the last and the best agent at its end;
theirs once, five episodes. With `--studies N` the commands take turns N times, each time with
another seed, and the ratio is that of the medians. rl_zoo3 is installed by name into an environment
of its own in DIR, unless it is there already. `--without-zoo` leaves it out.

`bad-start` searches from a learning rate of 1e-5 and a gamma of .8, and fails unless the winner
reaches a mean of 475 over five fresh seeds.

`--json FILE` writes what was measured there as well.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "configs/cartpole/ppo.yaml"
# The shipped config lets both fall to 0 over five times the budget; rl_zoo3 searches constant ones.
CONSTANT = ("algo.learning_rate=1e-3", "algo.clip_range=0.2")
SOLVED = 475.0
ZOO = "rl_zoo3==2.9.2"
FRESH_SEEDS = range(5_000, 5_005)
SAME = ("torch", "stable-baselines3", "sb3-contrib", "gymnasium")  # in both environments
ZOO_N_ENVS = 8  # of its PPO on CartPole, and of ours
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


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
    parser.add_argument("--zoo", type=Path, default=Path(tempfile.gettempdir()) / "rl-zoo")
    parser.add_argument("--without-zoo", action="store_true")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
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
    """Say what it was measured on, and whether anything else was running."""
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
    seconds, output = timed_zoo(zoo_python(options.zoo), trials, timesteps, options.jobs, seed)
    best = output.rpartition("Best trial:")[2]
    value = re.search(r"^\s*Value: *([-\d.]+)", best, flags=re.MULTILINE)
    outcomes = output.count(" finished with value"), output.count(" pruned.")
    if value is None:
        sys.exit(f"rl_zoo3 named no best trial:\n{output[-2000:]}")
    with tempfile.TemporaryDirectory() as folder:
        settings = as_ours(zoo_parameters(best))
        assigned = [f"algo.{name}={json.dumps(value)}" for name, value in settings.items()]
        assigned.append(f"train.total_timesteps={timesteps}")
        fresh = fresh_returns(str(CONFIG), folder, options.jobs, assigned)
    return {
        "seconds": seconds,
        "best": float(value[1]),
        "trials": f"{outcomes[0]} complete, {outcomes[1]} pruned",
        "fresh": fresh,
    }


def zoo_parameters(best: str) -> dict[str, str]:
    """Read what rl_zoo3 prints of its best trial, `    name: value` lines, sampled and derived."""
    return dict(re.findall(r"^    (\w+): (.+)$", best, flags=re.MULTILINE))


def as_ours(sampled: dict[str, str]) -> dict[str, Any]:
    """Write the zoo's sampled values of PPO as `algo` keys, as its own converter does."""
    kept = ("learning_rate", "ent_coef", "clip_range", "max_grad_norm")
    n_steps, batch_size = int(sampled["n_steps"]), int(sampled["batch_size"])
    layers = {"tiny": [64], "small": [64, 64], "medium": [256, 256]}[sampled["net_arch"]]
    network = {
        "net_arch": {"pi": layers, "vf": layers},
        "activation_fn": {"tanh": "Tanh", "relu": "ReLU"}[sampled["activation_fn"]],
    }
    return {
        **{name: float(sampled[name]) for name in kept},
        "gamma": 1 - float(sampled["one_minus_gamma"]),
        "gae_lambda": 1 - float(sampled["one_minus_gae_lambda"]),
        "n_epochs": int(sampled["n_epochs"]),
        "n_steps": n_steps,
        "batch_size": min(batch_size, n_steps * ZOO_N_ENVS),  # SB3 cuts a larger one down itself
        "policy_kwargs": network,
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


def zoo_python(folder: Path) -> Path:
    """Return the interpreter that has rl_zoo3, in an environment that is made if it is missing."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    if not has_zoo(python):
        lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
        same = [line for line in lines if line.partition("==")[0].replace("_", "-") in SAME]
        # It needs pandas at the end of a search, and does not say so.
        install = [str(python), "-m", "pip", "install", "-q", *same, ZOO, "pandas"]
        subprocess.run(install, check=True)  # noqa: S603 - pip, with names from here
    return python


def has_zoo(python: Path) -> bool:
    """Whether the interpreter has what the search needs."""
    probe = [str(python), "-c", "import pandas, rl_zoo3"]
    done = subprocess.run(probe, capture_output=True, check=False)  # noqa: S603 - our own line
    return done.returncode == 0


def timed_zoo(python: Path, trials: int, timesteps: int, jobs: int, seed: int) -> tuple[float, str]:
    """Return the wall time of rl-baselines3-zoo's own search, and what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(python), "-m", "rl_zoo3.train", "--algo", "ppo", "--env", "CartPole-v1"]
        command += ["-n", str(timesteps), "-optimize", "--n-trials", str(trials)]
        command += ["--n-jobs", str(jobs), "--sampler", "tpe", "--pruner", "median", "-f", folder]
        command += ["--seed", str(seed)]
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
