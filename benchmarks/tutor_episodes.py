"""Episodes of Tutor-v0 for the tutor's benchmarks: many learners side by side, one per seed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rl_runner.envs.tutor.options import TutorOptions
from rl_runner.envs.tutor.planning.oracle import FullStates
from rl_runner.envs.tutor.vector import TutorVectorEnv

# Builds a policy (something with SB3's ``predict``); only an oracle reads the full states.
PolicyFactory = Callable[[TutorOptions, FullStates], Any]


@dataclass(frozen=True)
class Played:
    """One episode for each of n seeds, in the order of the seeds."""

    returns: np.ndarray  # (n,) undiscounted
    lengths: np.ndarray  # (n,)
    graduated: np.ndarray  # (n,) bool
    left: np.ndarray  # (n,) bool


def play(factory: PolicyFactory, options: TutorOptions, seeds: Sequence[int]) -> Played:
    """Play one episode per seed; the same seeds give every policy the same learners and luck."""
    n = len(seeds)
    env = TutorVectorEnv(n, **vars(options))
    policy = factory(options, env.full_states)
    observations, _ = env.reset(seed=list(map(int, seeds)))
    returns, lengths, open_ = np.zeros(n), np.zeros(n, dtype=int), np.ones(n, dtype=bool)
    graduated, left = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    state, started = None, np.ones(n, dtype=bool)
    while open_.any():
        actions, state = policy.predict(observations, state, started, deterministic=True)
        observations, rewards, terminated, truncated, infos = env.step(actions)
        # A learner whose first episode has ended plays on; what follows is not counted.
        returns += np.where(open_, rewards, 0.0)
        lengths += open_
        graduated |= open_ & infos["graduated"]
        left |= open_ & infos["left"]
        started = terminated | truncated
        open_ &= ~started
    return Played(returns, lengths, graduated, left)
