"""Check an experiment before it is trained; nothing is written.

:func:`check_experiment` tries the environment, lets the checkers of other libraries examine it, and
trains for a few seconds (:func:`probe_training`) to see that the agent learns, and how fast.
"""

import math
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.logger import Logger

from rl_runner.agents.parameters import check_finite_parameters
from rl_runner.agents.protocol import takes_action_masks
from rl_runner.agents.registry import find_algorithm
from rl_runner.config import ExperimentConfig, experiment_hash
from rl_runner.envs import build_evaluation_env, build_training_env
from rl_runner.envs.code import describe_code
from rl_runner.envs.contract.trial import try_environment
from rl_runner.errors import ConfigError, Problem, RunnerError, describe_exception
from rl_runner.local_code import keeping_working_directory
from rl_runner.seeding import SeedTree
from rl_runner.training.commands.env_checkers import checkers_warnings
from rl_runner.training.observers.own_callbacks import OwnCallback
from rl_runner.training.resolve import Resolution, build_config_agent

PROBE_SECONDS = 2.0
MAX_WAIT = 4  # times as long, at most, for so much to be computed
MIN_REPLAY_UPDATES = 10
PROBE_STEPS = 10  # of an evaluation
MAX_PROBE_SECONDS = 15.0  # for an algorithm whose first cycle takes longer than that


@dataclass(frozen=True)
class CheckReport:
    """A valid experiment and its estimated cost."""

    experiment: str
    env: str
    algo: str
    observation_space: str
    action_space: str
    time_limit: int
    time_limit_is_ours: bool
    code: tuple[str, ...]  # what it runs besides Gymnasium, SB3 and rl_runner
    total_timesteps: int
    n_runs: int
    steps_per_second: float
    seconds_per_run: float  # training only, on one core
    megabytes: float  # peak of one training process with a full replay buffer
    env_steps_per_second: float  # one copy of the environment alone, with random actions
    warnings: tuple[str, ...]  # what about the environment will surprise its user


@dataclass(frozen=True)
class Probe:
    """What a few seconds of training showed."""

    steps_per_second: float  # updates included
    replay_buffer_bytes: int  # of a full buffer; 0 without one


@keeping_working_directory()
def check_experiment(resolution: Resolution) -> CheckReport:
    """Try the environment, let the checkers examine it, and train for about two seconds.

    :raises EnvError: if the environment cannot be built, raises an exception, or breaks the
        contract of :mod:`rl_runner.envs.contract`
    """
    config = resolution.config
    # Try the environment and the agent.
    minus_infinity = find_algorithm(config.algo.name).minus_infinity
    trial = try_environment(config.env, minus_infinity=minus_infinity)
    found = (*trial.warnings, *checkers_warnings(config.env))
    probe = probe_training(config)
    # Report what a whole training would take.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kilobytes = peak / 1024 if sys.platform == "darwin" else peak  # macOS counts bytes
    total_timesteps = config.train.total_timesteps
    return CheckReport(
        experiment=f"{config.name}-{experiment_hash(config)}",
        env=config.env.id,
        algo=config.algo.name,
        observation_space=resolution.observation_space,
        action_space=resolution.action_space,
        time_limit=resolution.time_limit,
        time_limit_is_ours=resolution.time_limit_is_ours,
        code=tuple(describe_code(config)),
        total_timesteps=total_timesteps,
        n_runs=len(config.train.seeds),
        steps_per_second=probe.steps_per_second,
        seconds_per_run=total_timesteps / probe.steps_per_second,
        megabytes=kilobytes / 1024 + probe.replay_buffer_bytes / 2**20,
        env_steps_per_second=trial.steps_per_second,
        warnings=tuple(dict.fromkeys(found)),
    )


class _Stopwatch(BaseCallback):
    """Measure whole cycles of collecting steps and updating, then end training.

    A first cycle of more than ``PROBE_SECONDS`` may have compiled code for the first time on this
    machine. It says nothing about the others, so the measurement begins again after it.
    """

    next_timestep = math.inf  # compiled code may take as many steps at once as in training

    def __init__(self) -> None:
        super().__init__()
        self.marks: list[tuple[float, int]] = []  # (seconds, timesteps) at each cycle's beginning
        self._is_first_cycle = True
        self._start()

    def _start(self) -> None:
        self.started = time.monotonic()
        self.started_computing = time.process_time()
        self.marks.clear()

    def _on_rollout_start(self) -> None:
        if self._is_first_cycle and self.marks:
            self._is_first_cycle = False
            if time.monotonic() - self.started > PROBE_SECONDS:
                self._start()
        self.marks.append((time.monotonic() - self.started, self.model.num_timesteps))

    def _on_step(self) -> bool:
        # On a busy machine seconds pass in which nothing is computed.
        elapsed = time.monotonic() - self.started
        seconds = max(time.process_time() - self.started_computing, elapsed / MAX_WAIT)
        return seconds < (PROBE_SECONDS if self._has_learned else MAX_PROBE_SECONDS)

    @property
    def _has_learned(self) -> bool:
        """Whether there was a whole cycle with updates; an agent without cycles always learns.

        With a replay buffer a cycle is a step, and its one update may not show yet what goes wrong.
        """
        needed = MIN_REPLAY_UPDATES if hasattr(self.model, "replay_buffer") else 1
        return len(self.marks) != 1 and getattr(self.model, "_n_updates", needed) >= needed

    @property
    def steps_per_second(self) -> float:
        """The rate over whole cycles; for an agent without cycles, over all steps."""
        end = (time.monotonic() - self.started, self.model.num_timesteps)
        (since, steps), (until, steps_then) = (
            (self.marks[0], self.marks[-1]) if len(self.marks) > 1 else ((0.0, 0), end)
        )
        return max(steps_then - steps, 1) / max(until - since, 1e-9)


def probe_training(config: ExperimentConfig) -> Probe:
    """Train a resolved config for about two seconds, and act in an evaluation; nothing is written.

    :raises ConfigError: if training fails, or leaves an agent that cannot act
    :raises EnvError: if the environment fails
    """
    torch.set_num_threads(1)
    minus_infinity = find_algorithm(config.algo.name).minus_infinity
    built = build_training_env(config.env, config.algo, SeedTree(0), minus_infinity=minus_infinity)
    with closing(built) as env:
        agent: Any = build_config_agent(learning_at_once(config), env, seed=0)
        agent.set_logger(Logger(folder=None, output_formats=[]))  # SB3 would make a folder
        stopwatch = _Stopwatch()
        with _explained(config, agent):
            own = [OwnCallback(callback) for callback in config.callbacks]
            agent.learn(config.train.total_timesteps, CallbackList([stopwatch, *own]))
            check_finite_parameters(agent)
            _probe_evaluation(config, agent)
        buffer_bytes = _array_bytes(getattr(agent, "replay_buffer", None))
        return Probe(stopwatch.steps_per_second, buffer_bytes)


@contextmanager
def _explained(config: ExperimentConfig, agent: Any) -> Iterator[None]:
    """Turn whatever an algorithm raises while it learns or acts into a problem of the config."""
    try:
        yield
    except RunnerError:  # the environment's, which say what is wrong
        raise
    except Exception as error:  # SB3 and torch raise all kinds for values that they cannot use
        what = f"{config.algo.name} fails after {agent.num_timesteps:,} timesteps of training: "
        what += describe_exception(error)
        cure = "Change the hyperparameters that this names, or leave them at their defaults."
        raise ConfigError(Problem(what, config.source.locate(("algo",)), cure)) from error


def _probe_evaluation(config: ExperimentConfig, agent: Any) -> None:
    """Let an agent act for a few steps as in an evaluation, with frozen statistics."""
    masked = takes_action_masks(type(agent))
    with closing(build_evaluation_env(config.env, [0], 1)) as env:
        obs = env.reset()
        state, episode_start = None, np.ones(1, dtype=bool)
        # Act as in an evaluation: with the recurrent state, and with masks if the agent takes them.
        for _ in range(PROBE_STEPS):
            masks = {"action_masks": np.stack(env.env_method("action_masks"))} if masked else {}
            actions, state = agent.predict(
                obs, state, episode_start, config.eval.deterministic, **masks
            )
            if not np.isfinite(actions).all():
                message = f"its actions are not finite numbers: {actions}"
                raise FloatingPointError(message)
            obs, _, episode_start, _ = env.step(actions)


def learning_at_once(config: ExperimentConfig) -> ExperimentConfig:
    """Lower ``learning_starts``, or a short training would consist of cheap random steps only."""
    hyperparameters = config.algo.hyperparameters
    if "learning_starts" not in hyperparameters or hyperparameters.get("replay_buffer_class"):
        return config
    starts = min(hyperparameters["learning_starts"], hyperparameters["batch_size"])
    algo = config.algo.model_copy(update={"learning_starts": starts})
    return config.model_copy(update={"algo": algo})


def _array_bytes(replay_buffer: object) -> int:
    """Return the size of the buffer's arrays, which occupy memory only as they fill."""
    arrays: list[Any] = []
    for value in vars(replay_buffer).values() if replay_buffer is not None else ():
        arrays += value.values() if isinstance(value, dict) else [value]
    return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
