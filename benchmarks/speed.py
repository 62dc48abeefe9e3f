"""How long we take, and how long rl-baselines3-zoo takes, for the same work.

    python benchmarks/speed.py ppo a2c dqn [--rounds 3] [--seeds 1] [--share 1.0]
    python benchmarks/speed.py tabular arithmetic

Whole processes, from the command to its end, on CartPole-v1 with the zoo's own hyperparameters;
ours and theirs in turns, medians and their ratio in the table. The zoo is installed by name into an
environment of its own (``--peer DIR``, made when it is missing), which borrows torch and SB3 from
this one. Ours also plays more evaluation episodes than the zoo does. ``--share`` scales the
budgets.

``tabular`` compares Q-learning on FrozenLake's table with the loop that everybody writes;
``arithmetic`` says how near an update is to what the processor could do.
"""

import argparse
import functools
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
ZOO = "rl_zoo3==2.9.2"
BUDGETS = {"ppo": 100_000, "a2c": 500_000, "dqn": 50_000}
FINAL_EPISODES = 100
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Comparison:
    """Seconds (or steps a second) of both, and what their agents reached."""

    work: str
    ours: list[float]
    theirs: list[float]
    our_return: float
    their_return: float

    @property
    def ratio(self) -> float:
        """How many times sooner we are done."""
        return statistics.median(self.theirs) / statistics.median(self.ours)


def main() -> None:
    """Run what is asked for and print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", nargs="+", choices=[*BUDGETS, "tabular", "arithmetic"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--peer", type=Path, default=Path(tempfile.gettempdir()) / "rl-zoo")
    parser.add_argument("--json", type=Path, help="write all single measurements there, too")
    options = parser.parse_args()
    print(machine(), flush=True)
    comparisons = []
    for work in options.work:
        if work == "tabular":
            print_tabular()
        elif work == "arithmetic":
            print_arithmetic()
        else:
            comparisons.append(compare(work, options))
            print_comparisons(comparisons)
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(c) for c in comparisons], indent=1) + "\n")


def machine() -> str:
    """Describe what this is measured on."""
    packages = ("stable-baselines3", "torch", "numpy", "numba", "gymnasium")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{os.cpu_count()} cores, {platform.platform(terse=True)}, Python "
        f"{platform.python_version()}, {versions}; load before: {load}\n"
    )


def compare(algo: str, options: argparse.Namespace) -> Comparison:
    """Train with both, in turns."""
    timesteps = int(BUDGETS[algo] * options.share)
    python = zoo_python(options.peer)
    ours, theirs, our_returns, their_returns = [], [], [], []
    for round_ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            ours.append(seconds_of([our_command(algo, timesteps, options.seeds, folder)]))
            our_returns += our_final_returns(Path(folder))
        with tempfile.TemporaryDirectory() as folder:
            seeds = range(round_ * options.seeds, (round_ + 1) * options.seeds)
            commands = [zoo_command(python, algo, timesteps, seed, folder) for seed in seeds]
            theirs.append(seconds_of(commands))
            their_returns += zoo_final_returns(algo, Path(folder))
        print(f"{algo}: ours {ours[-1]:.1f} s, rl_zoo3 {theirs[-1]:.1f} s", flush=True)
    work = f"{algo.upper()}, {timesteps:,} timesteps, {options.seeds} seed(s)"
    means = statistics.mean(our_returns), statistics.mean(their_returns)
    return Comparison(work, ours, theirs, *means)


def our_command(algo: str, timesteps: int, seeds: int, folder: str) -> list[str]:
    """Return our command: all seeds at once."""
    config = str(ROOT / f"configs/cartpole/{algo}.yaml")
    budget = f"train.total_timesteps={timesteps}"
    often = f"eval.every={max(1, timesteps // 10)}"
    command = [sys.executable, "-m", "rl_runner", "train", config, "--runs-dir", folder, "-q"]
    return [*command, "--seeds", str(seeds), "--set", budget, "--set", often]


def zoo_command(python: str, algo: str, timesteps: int, seed: int, folder: str) -> list[str]:
    """Return the zoo's command for one seed."""
    command = [python, "-m", "rl_zoo3.train", "--algo", algo, "--env", "CartPole-v1"]
    return [*command, "-f", folder, "--seed", str(seed), "-n", str(timesteps), "--verbose", "0"]


def seconds_of(commands: Sequence[Sequence[str]]) -> float:
    """Run the commands one after another; return the seconds by the clock on the wall."""
    environment = {**os.environ, **THREADS, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    started = time.perf_counter()
    for command in commands:
        done = subprocess.run(  # noqa: S603 - our own commands
            command, env=environment, check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
    return time.perf_counter() - started


def zoo_python(folder: Path) -> str:
    """Return the interpreter of the zoo's environment, made if it is missing."""
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"installing {ZOO} into {folder}", flush=True)
        venv.create(folder, with_pip=True)
        place = sysconfig.get_path("purelib", vars={"base": str(folder)})
        Path(place, "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
        subprocess.run([str(python), "-m", "pip", "install", "-q", ZOO], check=True)  # noqa: S603
    return str(python)


def our_final_returns(folder: Path) -> list[float]:
    """Return each seed's mean return over its held-out episodes."""
    records = [json.loads(file.read_text()) for file in folder.glob("*/seed-*/run.json")]
    return [record["results"]["last"]["mean_reward"] for record in records]


def zoo_final_returns(algo: str, folder: Path) -> list[float]:
    """Play as many episodes with each of the zoo's last agents, of which only tensors are read."""
    from stable_baselines3.common.evaluation import evaluate_policy

    from rl_runner.agents.build import build_agent, load_parameters
    from rl_runner.agents.registry import find_algorithm
    from rl_runner.config import load_config
    from rl_runner.envs import build_env
    from rl_runner.training.resolve import resolve

    config = resolve(load_config(ROOT / f"configs/cartpole/{algo}.yaml"))
    env = build_env(config.env, range(config.env.n_envs), training=False)
    agent: Any = build_agent(find_algorithm(algo), config.algo.hyperparameters, env, seed=0)
    returns = []
    for file in sorted(folder.glob(f"{algo}/*/CartPole-v1.zip")):
        load_parameters(agent, str(file))
        returns.append(float(evaluate_policy(agent, env, FINAL_EPISODES)[0]))
    return returns


def print_comparisons(comparisons: Sequence[Comparison]) -> None:
    """Print the table so far."""
    print("| work | ours | rl_zoo3 | ratio | our return | its return |")
    print("|---|---|---|---|---|---|")
    for item in comparisons:
        ours, theirs = statistics.median(item.ours), statistics.median(item.theirs)
        print(
            f"| {item.work} | {ours:.1f} s | {theirs:.1f} s | {item.ratio:.1f} × "
            f"| {item.our_return:.1f} | {item.their_return:.1f} |",
            flush=True,
        )


def best_of(repetitions: int, work: Callable[[], Any]) -> float:
    """Return the shortest time, in seconds: what interrupts can only lengthen it."""
    times = []
    for _ in range(repetitions):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def print_tabular() -> None:
    """Compare Q-learning's steps a second on FrozenLake."""
    from rl_runner.agents.fast.q_learning import FastQLearning
    from rl_runner.agents.q_learning import QLearning
    from rl_runner.config import EnvConfig
    from rl_runner.envs import build_env

    config = EnvConfig(id="FrozenLake-v1", time_limit=100)
    readable = QLearning(build_env(config, [0]), seed=0)
    compiled = FastQLearning(build_env(config, [0]), seed=0)
    compiled.learn(1000)  # compiles
    rates = {
        "the usual loop": 20_000 / best_of(3, lambda: usual_loop(20_000)),
        "`engine: stock`": 5_000 / best_of(3, lambda: readable.learn(5_000)),
        "`engine: fast`": 1_000_000 / best_of(3, lambda: compiled.learn(1_000_000)),
    }
    print("| tabular Q-learning, FrozenLake-v1 | steps a second | ratio |\n|---|---|---|")
    for name, rate in rates.items():
        print(f"| {name} | {rate:,.0f} | {rate / rates['the usual loop']:.1f} × |", flush=True)


def usual_loop(n_steps: int) -> None:
    """Learn as the tutorials do."""
    import gymnasium as gym
    import numpy as np

    env, rng = gym.make("FrozenLake-v1"), np.random.default_rng(0)
    q_table = np.zeros((16, 4))
    state, _ = env.reset(seed=0)
    for _ in range(n_steps):
        explore = rng.random() < 0.1
        action = env.action_space.sample() if explore else int(np.argmax(q_table[state]))
        next_state, reward, terminated, truncated, _ = env.step(action)
        target = reward + 0.99 * np.max(q_table[next_state]) * (not terminated)
        q_table[state, action] += 0.1 * (target - q_table[state, action])
        state = env.reset()[0] if terminated or truncated else next_state


def print_arithmetic() -> None:
    """Compare an update's time with that of its multiplications at full speed."""
    import numpy as np
    import torch

    torch.set_num_threads(1)
    square = np.ones((1024, 1024), np.float32)
    peak = 2 * 1024**3 / best_of(20, lambda: square @ square)  # operations a second
    print(f"matrix products: {peak / 1e9:.0f} GFLOP/s\n")
    print("| update | products alone | stock SB3 | ours | ratio | share of the limit |")
    print("|---|---|---|---|---|---|")
    for name, (stock, fast, flops) in updates().items():
        limit, theirs, ours = flops / peak, best_of(20, stock), best_of(20, fast)
        print(
            f"| {name} | {limit * 1e3:.2f} ms | {theirs * 1e3:.2f} ms | {ours * 1e3:.2f} ms "
            f"| {theirs / ours:.1f} × | {limit / ours:.0%} |",
            flush=True,
        )


def updates() -> dict[str, tuple[Callable[[], Any], Callable[[], Any], float]]:
    """Return each update by stock SB3 and by us, and its floating point operations."""
    from stable_baselines3.common.logger import Logger

    from rl_runner.agents.build import build_agent
    from rl_runner.agents.registry import find_algorithm
    from rl_runner.config import load_config
    from rl_runner.envs import build_env
    from rl_runner.training.resolve import resolve

    found = {}
    for algo in BUDGETS:
        config = resolve(load_config(ROOT / f"configs/cartpole/{algo}.yaml"))
        env = config.env
        agents: list[Any] = []
        for engine in ("stock", "fast"):
            copies = build_env(env, range(env.n_envs))
            hyperparameters = {**config.algo.hyperparameters, "device": "cpu"}
            agent: Any = build_agent(find_algorithm(algo), hyperparameters, copies, 0, engine)
            agent.set_logger(Logger(None, []))
            agent.learn(2048 if algo == "dqn" else agent.n_steps * agent.n_envs)
            agents.append(agent)
        width = hidden_width(config.algo.hyperparameters)
        inner, outer = width * width, 6 * width  # 4 observations and 2 actions
        if algo == "dqn":  # target and network forward; backward by weights and by inputs
            steps, rows = 32, agents[0].batch_size
            trains = [functools.partial(agent.train, steps, rows) for agent in agents]
            flops = 2.0 * steps * rows * (4 * inner + 3.5 * outer)
        else:  # two networks forward and backward
            rollout = agents[0].n_steps * env.n_envs
            rows = agents[0].batch_size if algo == "ppo" else rollout
            steps = agents[0].n_epochs * rollout // rows if algo == "ppo" else 1
            trains = [agent.train for agent in agents]
            flops = 2.0 * steps * rows * 2 * (3 * inner + 2.5 * outer)
        found[f"{algo.upper()}, {steps} × {rows} rows"] = (trains[0], trains[1], flops)
    return found


def hidden_width(hyperparameters: dict[str, Any]) -> int:
    """Return the width of a policy's two hidden layers."""
    net_arch: list[int] = (hyperparameters.get("policy_kwargs") or {}).get("net_arch", [64, 64])
    return net_arch[0]


if __name__ == "__main__":
    main()
