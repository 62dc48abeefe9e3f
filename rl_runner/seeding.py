"""The seed tree: every random stream of a run, derived from the run's single seed.

    run seed ─┬─ model            weights, exploration, minibatches
              ├─ train env i, s   one per parallel environment and segment between checkpoints
              ├─ evaluation k     one per periodic episode, the same at every evaluation
              ├─ final k          one per held-out episode, used for no selection
              └─ reference k      one per episode of the random policy, the zero of the scale

It is a NumPy ``SeedSequence`` spawned by purpose. SB3's habit (environment i gets ``seed + i``,
training and evaluation share a base) would make seeds 0 and 1 of an experiment share
environments.
"""

import enum
import random
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np


class Purpose(enum.IntEnum):
    """The purpose of a stream. The numbers affect results: never change or reuse one."""

    MODEL = 0
    TRAIN_ENVS = 1
    EVALUATION = 2
    FINAL_EVALUATION = 3
    POLICY_SAMPLING = 4  # actions drawn while a stochastic policy is evaluated
    REFERENCE = 5  # episodes of policies that need no training
    PERIODIC_SAMPLING = 6  # the same as POLICY_SAMPLING, in periodic evaluations


@dataclass(frozen=True)
class SeedTree:
    """The random streams of the run with this seed."""

    run_seed: int

    @property
    def model(self) -> int:
        """A seed for Python's, NumPy's and torch's generators (below 2**32, as NumPy demands)."""
        return int(self._words(Purpose.MODEL, 0)[0])

    @property
    def policy_sampling(self) -> int:
        """A seed for the actions of stochastic policies under evaluation (below 2**32)."""
        return int(self._words(Purpose.POLICY_SAMPLING, 0)[0])

    @property
    def periodic_sampling(self) -> int:
        """The same for periodic evaluations (below 2**32).

        An environment that draws from a global generator begins its episodes on this seed: with one
        seed for both, the held-out episodes would be the periodic ones.
        """
        return int(self._words(Purpose.PERIODIC_SAMPLING, 0)[0])

    def train_envs(self, n_envs: int, segment: int = 0) -> list[int]:
        """One seed per training environment, different in each segment between checkpoints."""
        return self._seeds(Purpose.TRAIN_ENVS, n_envs, segment)

    def evaluation(self, n_episodes: int) -> list[int]:
        """One seed per periodic evaluation episode."""
        return self._seeds(Purpose.EVALUATION, n_episodes)

    def final_evaluation(self, n_episodes: int) -> list[int]:
        """One seed per held-out episode."""
        return self._seeds(Purpose.FINAL_EVALUATION, n_episodes)

    def reference(self, n_episodes: int) -> list[int]:
        """One seed per episode of a policy that needs no training, e.g. the random one."""
        return self._seeds(Purpose.REFERENCE, n_episodes)

    def _words(self, purpose: Purpose, index: int, segment: int = 0) -> np.ndarray:
        spawn_key = (purpose, index, segment) if segment else (purpose, index)
        sequence = np.random.SeedSequence(self.run_seed, spawn_key=spawn_key)
        return sequence.generate_state(2, np.uint32)

    def _seeds(self, purpose: Purpose, n: int, segment: int = 0) -> list[int]:
        """63-bit seeds, so that no two streams of any runs coincide by chance."""
        words = [self._words(purpose, i, segment) for i in range(n)]
        return [int(high) >> 1 << 32 | int(low) for high, low in words]


def global_generators() -> tuple[Any, ...]:
    """Return the states of the global generators of Python, NumPy and torch, to be compared.

    An environment that draws from one, or seeds it, shares it with all its copies and the agent.
    """
    _, keys, *rest = np.random.get_state()  # noqa: NPY002 - the one that must not be drawn from
    torch = sys.modules.get("torch")  # an environment that has not loaded it cannot draw from it
    drawn = b"" if torch is None else torch.get_rng_state().numpy().tobytes()
    return random.getstate(), np.asarray(keys).tobytes(), *rest, drawn
