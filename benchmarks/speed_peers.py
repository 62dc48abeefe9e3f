"""The programs of the comparison: how to install, start and evaluate each.

rl-baselines3-zoo and CleanRL are installed by name into environments of their own, which borrow
torch and stable-baselines3 from this one. CleanRL's last release, 1.2.0, declares Python below 3.11
and pins an old torch, so pip is told to take neither to heart; gym 0.23.1, for which its files are
written, is installed with it, and its file runs unchanged.
"""

import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
N_ENVS = {"ppo": 8, "a2c": 8, "dqn": 1}
FINAL_EPISODES = 100
UNPINNED = ("--no-deps", "--ignore-requires-python")
ZOO = ("rl_zoo3==2.9.2", "pandas")  # which its search needs at the end, and does not ask for
CLEANRL_PPO = {  # the zoo's hyperparameters; the clip range, which the zoo anneals, is constant
    "--num-envs": 8,
    "--num-steps": 32,
    "--num-minibatches": 1,
    "--update-epochs": 20,
    "--gae-lambda": 0.8,
    "--gamma": 0.98,
    "--learning-rate": 1e-3,
    "--ent-coef": 0.0,
    "--clip-vloss": False,
    "--cuda": False,
}


@dataclass(frozen=True)
class Peer:
    """A program that does the same work.

    :param packages: what pip installs; nothing: it runs in this environment
    :param command: from its interpreter, algorithm, timesteps, seed and folder
    :param agents: where below the folder it leaves its last agents; nothing: it leaves none
    """

    name: str
    algorithms: tuple[str, ...]
    packages: tuple[str, ...]
    command: Callable[[str, str, int, int, str], list[str]]
    agents: str = ""

    def python(self, environments: Path) -> str:
        """Return its interpreter, in an environment made if it is missing."""
        if not self.packages:
            return sys.executable
        folder = environments / f"rl-peer-{self.name}"
        python = folder / "bin" / "python"
        ready = folder / "installed"
        packages = " ".join(self.packages)
        if not ready.exists() or ready.read_text() != packages:
            print(f"installing {packages} into {folder}", flush=True)
            venv.create(folder, with_pip=True, clear=True)
            place = sysconfig.get_path("purelib", vars={"base": str(folder)})
            Path(place, "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
            install = [str(python), "-m", "pip", "install", "-q", *self.packages]
            subprocess.run(install, check=True)  # noqa: S603
            ready.write_text(packages)
        return str(python)

    def final_returns(self, algo: str, folder: Path) -> list[float]:
        """Play episodes with each of its last agents, of which only tensors are read."""
        files = sorted(folder.glob(self.agents.format(algo=algo))) if self.agents else []
        return mean_returns(algo, files)


def zoo(python: str, algo: str, timesteps: int, seed: int, folder: str) -> list[str]:
    """Return rl-baselines3-zoo's command."""
    command = [python, "-m", "rl_zoo3.train", "--algo", algo, "--env", "CartPole-v1"]
    return [*command, "-f", folder, "--seed", str(seed), "-n", str(timesteps), "--verbose", "0"]


def cleanrl(python: str, algo: str, timesteps: int, seed: int, folder: str) -> list[str]:
    """Return the command of CleanRL's single file, which writes its event files where it runs."""
    del folder
    place = sysconfig.get_path("purelib", vars={"base": str(Path(python).parent.parent)})
    options = [str(word) for pair in CLEANRL_PPO.items() for word in pair]
    command = [python, "-W", "ignore", f"{place}/cleanrl/{algo}.py", "--env-id", "CartPole-v1"]
    command += ["--seed", str(seed), "--total-timesteps", str(timesteps)]
    return [*command, *options]


def stock_sb3(python: str, algo: str, timesteps: int, seed: int, folder: str) -> list[str]:
    """Return the command of a script that uses stock SB3 and does nothing else."""
    file = str(Path(folder) / f"{seed}.zip")
    return [python, str(HERE / "stock_sb3.py"), algo, str(timesteps), str(seed), file]


EVERY = tuple(N_ENVS)
PEERS = {
    peer.name: peer
    for peer in (
        Peer("rl_zoo3", EVERY, ZOO, zoo, "{algo}/*/CartPole-v1.zip"),
        Peer(
            "cleanrl",
            ("ppo",),
            (*UNPINNED, "cleanrl==1.2.0", "gym==0.23.1", "gym-notices"),
            cleanrl,
        ),
        Peer("sb3", EVERY, (), stock_sb3, "*.zip"),
    )
}


def zoo_config(algo: str) -> Path:
    """Return the shipped config with the zoo's own hyperparameters."""
    folder = HERE.parent / "configs/cartpole"
    zoo = folder / f"zoo/{algo}.yaml"
    return zoo if zoo.is_file() else folder / f"{algo}.yaml"


def mean_returns(algo: str, files: Sequence[Path]) -> list[float]:
    """Return the mean return of each saved agent over the same number of episodes as ours."""
    from stable_baselines3.common.evaluation import evaluate_policy

    from rl_runner.agents.build import build_agent
    from rl_runner.agents.registry import find_algorithm
    from rl_runner.agents.saving import load_parameters
    from rl_runner.config import load_config
    from rl_runner.envs import build_env
    from rl_runner.training.resolve import resolve

    config = resolve(load_config(zoo_config(algo))).config
    env = build_env(config.env, range(config.env.n_envs), training=False)
    agent: Any = build_agent(find_algorithm(algo), config.algo.hyperparameters, env, seed=0)
    returns = []
    for file in files:
        load_parameters(agent, str(file))
        returns.append(float(evaluate_policy(agent, env, FINAL_EPISODES)[0]))
    env.close()
    return returns
