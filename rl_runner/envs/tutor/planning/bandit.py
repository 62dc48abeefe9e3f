"""A contextual bandit: LinUCB (Li, Chu, Langford & Schapire 2010, algorithm 1, disjoint models).

It predicts the immediate reward of each action from the observation and never looks ahead. Unlike
reinforcement learning, it ignores what a step does for later ones.
"""

from typing import Final

import numpy as np

from rl_runner.envs.tutor.options import TutorOptions
from rl_runner.envs.tutor.planning.policies import Tutor
from rl_runner.envs.tutor.simulator.model import N_ACTIONS
from rl_runner.envs.tutor.simulator.observation import OBSERVATION_SIZE

ALPHA: Final = 1.0  # width of the confidence bound during learning
RIDGE: Final = 1.0
N_LEARNERS: Final = 256
N_STEPS: Final = 400


class LinUCB(Tutor):
    """One ridge regression of the immediate reward per action; takes the highest upper bound.

    :param alpha: distance of the bound from the estimate, in standard deviations
    """

    def __init__(self, alpha: float = ALPHA) -> None:
        self.alpha = alpha
        n = OBSERVATION_SIZE + 1  # with a constant
        self._precision = np.tile(RIDGE * np.eye(n), (N_ACTIONS, 1, 1))  # A_a
        self._moment = np.zeros((N_ACTIONS, n))  # b_a
        self._solve()

    def act(self, observations: np.ndarray) -> np.ndarray:
        """Return (n,) the actions of highest upper confidence bound."""
        x = _with_constant(observations)
        variance = np.einsum("ni,aij,nj->na", x, self._covariance, x, optimize=True)
        bounds = x @ self._weights.T + self.alpha * np.sqrt(np.maximum(variance, 0.0))
        highest: np.ndarray = bounds.argmax(axis=1)
        return highest

    def learn(self, observations: np.ndarray, actions: np.ndarray, rewards: np.ndarray) -> None:
        """Update the regressions with (n,) actions and their immediate rewards."""
        x = _with_constant(observations)
        for action in np.unique(actions):
            chosen = x[actions == action]
            self._precision[action] += chosen.T @ chosen
            self._moment[action] += rewards[actions == action] @ chosen
        self._solve()

    def _solve(self) -> None:
        self._covariance = np.linalg.inv(self._precision)
        self._weights = np.einsum("aij,aj->ai", self._covariance, self._moment)


def train_bandit(options: TutorOptions, seed: int) -> LinUCB:
    """Train a bandit on 256 learners for 400 steps (102,400 decisions); then it only exploits."""
    from rl_runner.envs.tutor.vector import TutorVectorEnv

    env = TutorVectorEnv(N_LEARNERS, **vars(options))
    bandit = LinUCB()
    seeds = np.random.SeedSequence(seed).generate_state(N_LEARNERS, np.uint32)
    observations, _ = env.reset(seed=seeds.tolist())
    for _ in range(N_STEPS):
        actions = bandit.act(observations)
        following, rewards, _, _, _ = env.step(actions)
        bandit.learn(observations, actions, rewards)
        observations = following
    bandit.alpha = 0.0
    return bandit


def _with_constant(observations: np.ndarray) -> np.ndarray:
    return np.column_stack([observations.astype(float), np.ones(len(observations))])
