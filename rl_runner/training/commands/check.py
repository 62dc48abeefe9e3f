"""What an experiment will cost, found out by trying a few steps of it; nothing is written."""

import resource
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger

from rl_runner.config import ExperimentConfig, experiment_hash
from rl_runner.envs import build_training_env, make_single_env, time_limit_of
from rl_runner.envs.catalog import describe_space
from rl_runner.seeding import SeedTree
from rl_runner.training.resolve import build_config_agent, resolve

PROBE_SECONDS = 2.0
PROBE_SECONDS_AT_MOST = 15.0


@dataclass(frozen=True)
class CheckReport:
    """A valid experiment and its expected cost."""

    experiment: str
    env: str
    algo: str
    observation_space: str
    action_space: str
    time_limit: int
    time_limit_is_ours: bool
    total_timesteps: int
    n_runs: int
    steps_per_second: float
    seconds_per_run: float  # learning only, on one core
    megabytes: float  # of one training process, its replay buffer full


def check_experiment(config: ExperimentConfig) -> CheckReport:
    """Resolve a config, look at its environment, and learn for about two seconds.

    :raises RunnerError: if the config is wrong
    """
    resolved = resolve(config)
    limit, ours = time_limit_of(config.env)
    single = make_single_env(resolved.env, check=True)
    spaces = describe_space(single.observation_space), describe_space(single.action_space)
    single.reset(seed=0)  # Gymnasium's checker looks on
    single.step(single.action_space.sample())
    single.close()

    steps_per_second, buffer_bytes = _probe(resolved)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kilobytes = peak / 1024 if sys.platform == "darwin" else peak  # macOS counts bytes
    return CheckReport(
        f"{resolved.name}-{experiment_hash(resolved)}",
        resolved.env.id,
        resolved.algo.name,
        *spaces,
        limit,
        ours,
        resolved.train.total_timesteps,
        len(resolved.train.seeds),
        steps_per_second,
        resolved.train.total_timesteps / steps_per_second,
        kilobytes / 1024 + buffer_bytes / 2**20,
    )


class _Stopwatch(BaseCallback):
    """Measures whole cycles of collecting and updating, then stops training."""

    def __init__(self) -> None:
        super().__init__()
        self.started = time.monotonic()
        self.marks: list[tuple[float, int]] = []  # seconds, timesteps at each cycle's beginning

    def _on_rollout_start(self) -> None:
        self.marks.append((time.monotonic() - self.started, self.model.num_timesteps))

    def _on_step(self) -> bool:
        elapsed = time.monotonic() - self.started
        has_cycles = len(self.marks) != 1
        return elapsed < PROBE_SECONDS or (not has_cycles and elapsed < PROBE_SECONDS_AT_MOST)

    @property
    def steps_per_second(self) -> float:
        """The rate over whole cycles; over everything, for agents that have no cycles."""
        end = (time.monotonic() - self.started, self.model.num_timesteps)
        (since, steps), (until, steps_then) = (
            (self.marks[0], self.marks[-1]) if len(self.marks) > 1 else ((0.0, 0), end)
        )
        return max(steps_then - steps, 1) / max(until - since, 1e-9)


def _probe(config: ExperimentConfig) -> tuple[float, int]:
    """Return timesteps a second, updates included, and the bytes of a full replay buffer."""
    torch.set_num_threads(1)
    with closing(build_training_env(config.env, config.algo, SeedTree(0))) as env:
        agent: Any = build_config_agent(learning_at_once(config), env, seed=0)
        agent.set_logger(Logger(folder=None, output_formats=[]))  # SB3 would make a folder
        stopwatch = _Stopwatch()
        agent.learn(config.train.total_timesteps, stopwatch)
        return stopwatch.steps_per_second, _array_bytes(getattr(agent, "replay_buffer", None))


def learning_at_once(config: ExperimentConfig) -> ExperimentConfig:
    """Lower ``learning_starts``, or the probe would only see the cheap random phase."""
    hyperparameters = config.algo.hyperparameters
    if "learning_starts" not in hyperparameters or hyperparameters.get("replay_buffer_class"):
        return config
    starts = min(hyperparameters["learning_starts"], hyperparameters["batch_size"])
    algo = config.algo.model_copy(update={"learning_starts": starts})
    return config.model_copy(update={"algo": algo})


def _array_bytes(replay_buffer: object) -> int:
    """Sum the buffer's arrays; the system gives their memory out only as they fill."""
    arrays: list[Any] = []
    for value in vars(replay_buffer).values() if replay_buffer is not None else ():
        arrays += value.values() if isinstance(value, dict) else [value]
    return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
