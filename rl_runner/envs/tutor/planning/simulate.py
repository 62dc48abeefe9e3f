"""Whole episodes of many learners side by side: for comparing policies on common random numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rl_runner.envs.tutor.options import TutorOptions
from rl_runner.envs.tutor.planning.policies import FullStates
from rl_runner.envs.tutor.simulator.model import N_ACTIONS
from rl_runner.envs.tutor.vector import TutorVectorEnv

# Builds a policy (something with SB3's ``predict``) that may look into the learners.
PolicyFactory = Callable[[TutorOptions, FullStates], Any]


@dataclass(frozen=True)
class Played:
    """One episode per seed, in the order of the seeds; n of them."""

    returns: np.ndarray  # (n,) undiscounted
    lengths: np.ndarray  # (n,)
    graduated: np.ndarray  # (n,) bool
    left: np.ndarray  # (n,) bool
    action_counts: np.ndarray  # (n, 6)


def play(factory: PolicyFactory, options: TutorOptions, seeds: Sequence[int]) -> Played:
    """Play one episode per seed; the same seeds give other policies the same learners and luck."""
    n = len(seeds)
    env = TutorVectorEnv(n, **vars(options))
    policy = factory(options, env.full_states)
    observations, _ = env.reset(seed=list(map(int, seeds)))
    returns, lengths, open_ = np.zeros(n), np.zeros(n, dtype=int), np.ones(n, dtype=bool)
    graduated, left = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    counts = np.zeros((n, N_ACTIONS), dtype=int)
    state, started = None, np.ones(n, dtype=bool)
    while open_.any():
        actions, state = policy.predict(observations, state, started, deterministic=True)
        observations, rewards, terminated, truncated, infos = env.step(actions)
        returns += np.where(open_, rewards, 0.0)
        lengths += open_
        counts[np.arange(n), actions] += open_
        started = terminated | truncated
        graduated |= open_ & infos["graduated"]
        left |= open_ & infos["left"]
        open_ &= ~started
    return Played(returns, lengths, graduated, left, counts)
