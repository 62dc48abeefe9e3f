"""Interrupts training by signals at random moments, and checks that the results are the same.

Fifteen kinds of run (algorithm, engine, how the environment is stepped, normalisation, replay) are
each trained once undisturbed, and again while they are disturbed at random until they have been
disturbed often enough:

- a single run, or a copy of its environment in a process of its own, is killed (SIGKILL), and the
  command retries the run at once;
- the command with everything that it started is killed (SIGKILL), as a power cut would;
- the command is asked to stop (SIGINT as by Ctrl-C, SIGTERM), and every run writes a checkpoint.

After the last three the same command is typed again. In the end weights, episodes, evaluations and
curves must be equal bit for bit.

    python benchmarks/kills.py [--kills 200] [--kinds ppo-fast,sac] [--seeds 2] [--random 0]

``--random`` seeds the choice of signals and moments. The timesteps at which they arrive depend on
the machine's speed too.
"""

import argparse
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from rl_runner.config import load_config
from rl_runner.evaluation.reproduction import differences
from rl_runner.runs.claim import is_claimed
from rl_runner.runs.folder import RunFolder
from rl_runner.runs.record import RunRecord
from rl_runner.training.environment_task import experiment_folder
from rl_runner.training.resolve import resolve

CARTPOLE = {"id": "CartPole-v1"}
PENDULUM = {"id": "Pendulum-v1"}
PPO = {"name": "ppo", "n_steps": 128, "batch_size": 64, "n_epochs": 4}
OFF_POLICY = {"learning_starts": 100, "buffer_size": 2_000, "batch_size": 32}
SMALL = {"net_arch": [32, 32]}

# Name: the environment, the algorithm, and a number of timesteps that takes some seconds
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "ppo-fast": ({**CARTPOLE, "n_envs": 4}, {**PPO, "engine": "fast"}, 40_000),
    "ppo-stock-normalize": (
        {**PENDULUM, "n_envs": 2, "normalize": True},
        {**PPO, "engine": "stock"},
        8_000,
    ),
    "ppo-subproc": ({**CARTPOLE, "n_envs": 2, "vec": "subproc"}, PPO, 6_000),
    "a2c-fast": ({**CARTPOLE, "n_envs": 4, "vec": "dummy"}, {"name": "a2c"}, 30_000),
    "a2c-gsde": ({**PENDULUM, "normalize": True}, {"name": "a2c", "use_sde": True}, 4_000),
    "dqn-fast": (CARTPOLE, {"name": "dqn", "train_freq": 4, **OFF_POLICY}, 12_000),
    "dqn-stock-normalize": (
        {**CARTPOLE, "normalize": True},
        {"name": "dqn", "engine": "stock", **OFF_POLICY},
        4_000,
    ),
    "dqn-her": (
        {"id": "BitFlipping-v0"},
        {"name": "dqn", "replay_buffer_class": "HerReplayBuffer", **OFF_POLICY},
        2_500,
    ),
    "qrdqn-fast": (CARTPOLE, {"name": "qrdqn", "train_freq": 4, **OFF_POLICY}, 8_000),
    "sac": (PENDULUM, {"name": "sac", "policy_kwargs": SMALL, **OFF_POLICY}, 1_000),
    "td3": (
        {**PENDULUM, "n_envs": 2, "frame_stack": 2},
        {"name": "td3", "policy_kwargs": SMALL, **OFF_POLICY},
        1_500,
    ),
    "tqc-normalize": (
        {**PENDULUM, "normalize": {"observations": True, "rewards": False}},
        {"name": "tqc", "policy_kwargs": SMALL, **OFF_POLICY},
        800,
    ),
    "recurrent-ppo": (
        {**CARTPOLE, "n_envs": 2},
        {"name": "recurrent_ppo", "n_steps": 64, "batch_size": 64, "n_epochs": 2},
        2_000,
    ),
    "reinforce-fast": (CARTPOLE, {"name": "reinforce"}, 30_000),
    "q-learning": ({"id": "FrozenLake-v1"}, {"name": "q_learning"}, 100_000),
}
SIGNALS = ("run", "power cut", "SIGINT", "SIGTERM")
MOST_RETRIES = 1_000
SHORTEST = 0.2  # seconds


def main() -> int:
    """Run the experiment; the exit code is 0 if nothing differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="over all kinds")
    parser.add_argument("--kinds", default=",".join(KINDS), help="names, separated by commas")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--random", type=int, default=0, help="seed of the kills")
    options = parser.parse_args()
    names = options.kinds.split(",")
    total: Counter[str] = Counter()
    n_different = 0
    for i, name in enumerate(names):
        kills = options.kills // len(names) + (i < options.kills % len(names))
        dice = random.Random(f"{options.random} {name}")  # noqa: S311
        with tempfile.TemporaryDirectory(prefix="rl-kills-") as folder:
            series = Series(name, options.seeds, Path(folder), dice)
            found = series.disturb(kills)
        total += series.done
        n_different += bool(found)
        verdict = "bit-equal" if not found else f"DIFFERENT: {found[:5]}"
        print(f"{name}: {listed(series.done)}; {verdict}", flush=True)
    print(f"{total.total()} interruptions ({listed(total)}), {n_different} kinds differ")
    return n_different


def listed(done: Counter[str]) -> str:
    """Say how often each signal was sent."""
    return ", ".join(f"{what} {done[what]}" for what in SIGNALS if done[what])


class Series:
    """One kind of run: trained once undisturbed, and disturbed again and again."""

    def __init__(self, name: str, seeds: int, folder: Path, dice: random.Random) -> None:
        env, algo, timesteps = KINDS[name]
        self.config = folder / "config.yaml"
        self.seeds = seeds
        self.folder = folder
        self.dice = dice
        self.done: Counter[str] = Counter()
        every = timesteps // 5
        document = {
            "name": name,
            "env": env,
            "algo": algo,
            "train": {"total_timesteps": timesteps, "seeds": seeds},
            "eval": {"every": every, "n_episodes": 2, "final_episodes": 2},
            "checkpoint": {"every": every},
        }
        self.config.write_text(yaml.safe_dump(document), encoding="utf-8")

    def disturb(self, kills: int) -> list[str]:
        """Train undisturbed, then disturbed until ``kills`` signals were sent; say what differs."""
        if self.train("undisturbed").wait():
            return ["the undisturbed training failed"]
        seconds = max(record.seconds or 0.0 for record in self.records("undisturbed"))
        found: list[str] = []
        for number in itertools.count():
            if self.done.total() >= kills:
                return found
            name, before = f"disturbed-{number}", self.done.total()
            n_starts = 0
            # Type the command again until it has come to its end.
            while not self.attack(self.train(name), name, kills, seconds):
                n_starts += 1
                if n_starts > kills + 3:
                    return [*found, f"{name} does not come to its end"]
            found += [f"{name}: {difference}" for difference in self.compare(name)]
            if self.done.total() == before:
                seconds /= 2  # the undisturbed runs were slower, e.g. because they compiled
                if seconds < SHORTEST:
                    return [*found, "it ends before it can be interrupted; raise its budget"]
        return found

    def attack(
        self, process: "subprocess.Popen[bytes]", name: str, kills: int, seconds: float
    ) -> bool:
        """Send signals to a command; return whether it has finished its runs.

        :param seconds: that a run takes undisturbed
        """
        while self.done.total() < kills:
            # Wait until a run is under way, and then for a random time.
            while process.poll() is None and not workers_of(process):
                time.sleep(0.02)
            time.sleep(self.dice.random() * seconds / 2)
            running = workers_of(process)
            if process.poll() is not None:
                break
            if not running:
                continue
            what = self.dice.choice(SIGNALS)
            self.done[what] += 1
            if what == "run":
                kill_one(self.dice.choice(running))
                continue
            if what == "power cut":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.send_signal(signal.Signals[what])
            process.wait()
            wait_until_free(self.folder / name)
            return process.returncode == 0
        return process.wait() == 0

    def train(self, name: str) -> "subprocess.Popen[bytes]":
        """Start `rl train` in a process."""
        command = [sys.executable, "-m", "rl_runner", "train", str(self.config), "-q"]
        command += ["--runs-dir", str(self.folder / name), "--retries", str(MOST_RETRIES)]
        return subprocess.Popen(  # noqa: S603 - our own command
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def compare(self, name: str) -> list[str]:
        """Return what differs between the undisturbed and a disturbed experiment."""
        found = []
        for seed, pair in enumerate(zip(self.runs("undisturbed"), self.runs(name), strict=True)):
            status = (pair[1].read_record() or RunRecord()).status
            if status != "finished":
                found.append(f"seed {seed}: {status}")
            else:
                found += [f"seed {seed}: {difference}" for difference in differences(*pair)]
        return found

    def runs(self, name: str) -> list[RunFolder]:
        """Return the folders of an experiment's runs."""
        config = resolve(load_config(self.config)).config
        experiment = experiment_folder(config, self.folder / name)
        return [experiment.run(seed) for seed in range(self.seeds)]

    def records(self, name: str) -> list[RunRecord]:
        """Return the run.json of each run."""
        return [run.read_record() or RunRecord() for run in self.runs(name)]


def workers_of(process: "subprocess.Popen[bytes]") -> list[int]:
    """Return the processes of a command that are runs, or copies of their environments."""
    return [pid for pid in descendants(process.pid) if is_training(pid)]


def kill_one(pid: int) -> None:
    """Kill a run, if it is still there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    time.sleep(0.5)  # until the command has noticed


def descendants(pid: int) -> list[int]:
    """Return all descendants of a process."""
    found, todo = [], [pid]
    while todo:
        parent = todo.pop()
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                children = [int(word) for word in task.read_text().split()]
            except OSError:
                continue
            found += children
            todo += children
    return found


def is_training(pid: int) -> bool:
    """Whether a process is one of the runs: those have their run's log open."""
    try:
        return Path(f"/proc/{pid}/fd/1").resolve().name == "log.txt"
    except OSError:
        return False


def wait_until_free(runs_dir: Path) -> None:
    """Wait until killed processes are gone and their locks are released."""
    time.sleep(0.5)
    for lock in runs_dir.glob("*/seed-*/.lock"):
        while is_claimed(lock.parent):
            time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
