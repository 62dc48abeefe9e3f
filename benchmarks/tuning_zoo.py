"""Times rl-baselines3-zoo's search for PPO's hyperparameters on CartPole, and reads its result."""

import os
import re
import subprocess
import sys
import tempfile
import time
from typing import Any, NamedTuple

from speed_peers import N_ENVS

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class ZooSearch(NamedTuple):
    """What a search took, and what it says of its best trial."""

    seconds: float
    value: float
    sampled: dict[str, str]  # by name, as it prints them: sampled and derived
    n_complete: int
    n_pruned: int


def zoo_search(python: str, trials: int, timesteps: int, jobs: int, seed: int) -> ZooSearch:
    """Time rl-baselines3-zoo's own search.

    :param python: the interpreter that has it
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [python, "-m", "rl_zoo3.train", "--algo", "ppo", "--env", "CartPole-v1"]
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
    best = done.stdout.rpartition("Best trial:")[2]
    value = re.search(r"^\s*Value: *([-\d.]+)", best, flags=re.MULTILINE)
    if done.returncode or value is None:
        sys.exit(f"rl_zoo3 failed, or named no best trial:\n{done.stdout[-2000:]}")
    return ZooSearch(
        seconds,
        float(value[1]),
        dict(re.findall(r"^    (\w+): (.+)$", best, flags=re.MULTILINE)),
        done.stdout.count(" finished with value"),
        done.stdout.count(" pruned."),
    )


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
        "batch_size": min(batch_size, n_steps * N_ENVS["ppo"]),  # SB3 cuts a larger one down itself
        "policy_kwargs": network,
    }
