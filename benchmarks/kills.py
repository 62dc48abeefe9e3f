"""Interrupts training by random SIGKILLs or Ctrl-Cs, and checks that the results are the same.

Trains three experiments (PPO and DQN on CartPole, Q-learning on FrozenLake; five seeds each) once
undisturbed, and once while processes are killed at random: half of the time a single run, half of
the time the command with everything it started, as a power cut would. Each time the same command is
typed again. In the end weights, episodes, evaluations and curves must be equal bit by bit.

    python benchmarks/kills.py [--kills 20] [--share 1.0] [--seeds 5] [--signal kill]

``--signal interrupt`` types Ctrl-C instead, at which every run writes a checkpoint where it is;
``both`` does either. ``--share`` scales the budgets: 0.05 makes it a matter of a minute or two.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rl_runner.config import load_config
from rl_runner.evaluation.reproduction import differences
from rl_runner.runs.claim import is_claimed
from rl_runner.runs.record import RunRecord
from rl_runner.training.resolve import resolve
from rl_runner.training.train import experiment_folder

CONFIGS = Path(__file__).parent.parent / "configs"
BUDGETS = {
    CONFIGS / "cartpole/ppo.yaml": 100_000,
    CONFIGS / "cartpole/dqn.yaml": 50_000,
    CONFIGS / "frozenlake/q_learning.yaml": 100_000,
}


def main() -> int:
    """Run the experiment; the exit code is 0 if nothing differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--signal", choices=("kill", "interrupt", "both"), default="kill")
    parser.add_argument("--random", type=int, default=0, help="seed of the kills")
    options = parser.parse_args()
    total_different = 0
    for i, (config, budget) in enumerate(BUDGETS.items()):
        kills = options.kills // len(BUDGETS) + (i < options.kills % len(BUDGETS))
        timesteps = max(2_000, int(budget * options.share))
        arguments = [str(config), "--seeds", str(options.seeds)]
        arguments += ["--set", f"train.total_timesteps={timesteps}", "--set", "eval.n_episodes=5"]
        with tempfile.TemporaryDirectory(prefix="rl-kills-") as folder:
            dice = random.Random(options.random + i)  # noqa: S311
            report = disturb(arguments, Path(folder), kills, options.signal, dice)
        print(f"{config.parent.name}/{config.stem}: {report}", flush=True)
        total_different += "different" in report
    return total_different


def disturb(arguments: list[str], folder: Path, kills: int, kind: str, dice: random.Random) -> str:
    """Train once undisturbed and once interrupted, and report the differences."""
    started = time.monotonic()
    if train(arguments, folder / "undisturbed").wait():
        return "the undisturbed training failed, different"
    seconds = time.monotonic() - started
    done = exits = 0
    while done < kills:
        process = train(arguments, folder / "disturbed")
        time.sleep(1.5 + dice.random() * seconds * 1.5 / kills)
        if process.poll() is not None:
            break  # training finished before the kill
        if kind == "interrupt" or (kind == "both" and dice.random() < 0.5):
            interrupt(process, folder / "disturbed")
        else:
            kill(process, dice, folder / "disturbed")
        exits += len(list(folder.glob("disturbed/*/seed-*/checkpoints/exit-*")))
        done += 1
    train(arguments, folder / "disturbed").wait()
    found = compare(arguments, folder)
    verdict = "bit-equal" if not found else f"different: {found[:5]}"
    found_open = f"{exits} times a run had left in the middle of a segment"
    return f"{done} times ({kind}), {found_open}, undisturbed in {seconds:.0f} s, {verdict}"


def train(arguments: list[str], runs_dir: Path) -> subprocess.Popen[bytes]:
    """Start `rl train` in a process."""
    command = [sys.executable, "-m", "rl_runner", "train", *arguments, "--runs-dir", str(runs_dir)]
    return subprocess.Popen(  # noqa: S603 - our own command
        [*command, "-q"], stdout=subprocess.DEVNULL, start_new_session=True
    )


def interrupt(process: subprocess.Popen[bytes], runs_dir: Path) -> None:
    """Send the command what Ctrl-C sends."""
    process.send_signal(signal.SIGINT)
    process.wait()
    wait_until_free(runs_dir)


def kill(process: subprocess.Popen[bytes], dice: random.Random, runs_dir: Path) -> None:
    """Kill one run, or the command and everything it started."""
    workers = [pid for pid in descendants(process.pid) if is_training(pid)]
    if workers and dice.random() < 0.5:
        os.kill(dice.choice(workers), signal.SIGKILL)
        time.sleep(1.0)  # the other runs continue; then the command is interrupted
        os.kill(process.pid, signal.SIGTERM)
        process.wait()
    else:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    wait_until_free(runs_dir)


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


def compare(arguments: list[str], folder: Path) -> list[str]:
    """Return what differs between the undisturbed and the disturbed experiment."""
    overrides = [arguments[i + 1] for i, word in enumerate(arguments) if word == "--set"]
    config = resolve(load_config(arguments[0], overrides)).config
    found = []
    for seed in range(int(arguments[2])):
        pair = [
            experiment_folder(config, folder / kind).run(seed)
            for kind in ("undisturbed", "disturbed")
        ]
        statuses = [(run.read_record() or RunRecord()).status for run in pair]
        if statuses != ["finished", "finished"]:
            found.append(f"seed {seed}: {statuses}")
        else:
            found += [f"seed {seed}: {difference}" for difference in differences(*pair)]
    return found


if __name__ == "__main__":
    sys.exit(main())
