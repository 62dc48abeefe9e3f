"""Exact returns where the environment has a transition table (FrozenLake, Taxi, CliffWalking).

Gymnasium's toy-text environments have ``P[state][action]``, a list of ``(probability, next state,
reward, terminated)``, and ``initial_state_distrib``. With them a policy's mean return is a sum, not
an estimate: 100 episodes at a success rate of .74 have an uncertainty of ±.086, the sum has none.
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from rl_runner.agents.protocol import takes_action_masks
from rl_runner.config import EnvConfig
from rl_runner.envs import make_single_env, time_limit_of
from rl_runner.local_code import keeping_working_directory


@dataclass(frozen=True)
class TransitionTable:
    """A finite Markov decision process whose episodes are truncated after ``time_limit`` steps."""

    continues: (
        np.ndarray
    )  # (n_states, n_actions, n_states) probability of each non-final next state
    rewards: np.ndarray  # (n_states, n_actions) expected immediate reward
    initial: np.ndarray  # (n_states,) probability of starting there
    time_limit: int
    extremes: tuple[float, float] = (-np.inf, np.inf)  # the returns of the worst and best episode

    def policy_return(self, actions: np.ndarray) -> float:
        """Return the mean undiscounted return of a deterministic policy.

        :param actions: (n_states,) the policy's action in each state
        """
        states = np.arange(len(actions))
        return self._finite_return(self.continues[states, actions], self.rewards[states, actions])

    def random_return(self) -> float:
        """Return the mean undiscounted return of the uniformly random policy."""
        return self._finite_return(self.continues.mean(axis=1), self.rewards.mean(axis=1))

    def _finite_return(self, continues: np.ndarray, rewards: np.ndarray) -> float:
        """Sum a policy's rewards by backward induction over the remaining steps.

        ``v_k(s) = r(s, π) + Σ_s' p(s' | s, π) v_{k-1}(s')`` with ``v_0 = 0``.

        :param continues: (n_states, n_states) under the policy
        :param rewards: (n_states,) under the policy
        """
        values = np.zeros(len(rewards))
        for _ in range(self.time_limit):
            values = rewards + continues @ values
        return float(self.initial @ values)

    def optimal_return(self) -> float:
        """Return the best mean return of any policy, including those that count remaining steps."""
        values = np.zeros(len(self.initial))
        for _ in range(self.time_limit):
            values = (self.rewards + self.continues @ values).max(axis=1)
        return float(self.initial @ values)

    def worst_return(self) -> float:
        """Return the lowest mean return of any policy."""
        values = np.zeros(len(self.initial))
        for _ in range(self.time_limit):
            values = (self.rewards + self.continues @ values).min(axis=1)
        return float(self.initial @ values)

    def optimal_actions(self) -> np.ndarray:
        """Return (time_limit, n_states) the optimal actions; row k has k + 1 steps remaining."""
        values = np.zeros(len(self.initial))
        actions = np.zeros((self.time_limit, len(self.initial)), dtype=np.int64)
        for k in range(self.time_limit):
            q_values = self.rewards + self.continues @ values
            actions[k], values = q_values.argmax(axis=1), q_values.max(axis=1)
        return actions

    def discounted_values(self, actions: np.ndarray, gamma: float) -> np.ndarray:
        """Return (n_states,) a deterministic policy's discounted values without a time limit.

        Solves ``(I − γ P_π) v = r_π``.

        :param gamma: below 1
        """
        states = np.arange(len(actions))
        matrix = np.eye(len(actions)) - gamma * self.continues[states, actions]
        return np.asarray(np.linalg.solve(matrix, self.rewards[states, actions]))

    def greedy_actions(self, gamma: float) -> np.ndarray:
        """Return (n_states,) the optimal actions for ``gamma`` without a time limit.

        Howard's policy iteration (1960) is exact after finitely many rounds, where value iteration
        would take thousands of sweeps at γ = .999. An action is replaced only by a strictly better
        one, since two equally good actions could alternate for ever.

        :param gamma: in [0, 1)
        :raises ValueError: if ``gamma`` is outside [0, 1), where the values need not be finite
        """
        if not 0 <= gamma < 1:
            message = f"without a time limit the discount must be in [0, 1), not {gamma}"
            raise ValueError(message)
        states = np.arange(len(self.initial))
        actions: np.ndarray = self.rewards.argmax(axis=1)
        while True:
            # Evaluate the policy exactly.
            values = self.discounted_values(actions, gamma)
            q_values = self.rewards + gamma * (self.continues @ values)
            # Improve it where another action is better by more than rounding errors.
            tolerance = 1e-11 * max(1.0, float(np.abs(values).max()))
            better = q_values.max(axis=1) > q_values[states, actions] + tolerance
            if not better.any():
                return actions
            actions = np.where(better, q_values.argmax(axis=1), actions)


@keeping_working_directory()
def transition_table(config: EnvConfig) -> TransitionTable | None:
    """Read an environment's transition table; None without one, or if wrappers may change it."""
    wrapped = config.wrappers or config.vec_wrappers
    if wrapped or config.max_copies is not None:  # none can be opened to be read
        return None
    with closing(make_single_env(config)) as env:
        # Gymnasium has no interface for it; its toy-text environments have these attributes.
        table = getattr(env.unwrapped, "P", None)
        initial = getattr(env.unwrapped, "initial_state_distrib", None)
        space, actions = env.observation_space, env.action_space
        if getattr(env.unwrapped, "fickle_passenger", False):
            return None  # Taxi's passenger may then change the destination, which P leaves out
    if not isinstance(space, gym.spaces.Discrete) or not isinstance(actions, gym.spaces.Discrete):
        return None
    if not isinstance(table, Mapping) or initial is None:
        return None
    return _dense(table, np.asarray(initial, dtype=float), time_limit_of(config)[0])


def _dense(table: Mapping[int, Any], initial: np.ndarray, time_limit: int) -> TransitionTable:
    """Turn Gymnasium's nested lists into arrays; a terminated episode collects nothing more."""
    n_states, n_actions = len(table), len(table[0])
    continues = np.zeros((n_states, n_actions, n_states))
    rewards = np.zeros((n_states, n_actions))
    for state, choices in table.items():
        for action, outcomes in choices.items():
            for probability, next_state, reward, terminated in outcomes:
                rewards[state, action] += probability * reward
                if not terminated:
                    continues[state, action, next_state] += probability
    extremes = (
        _extreme_return(table, initial, time_limit, -1),
        _extreme_return(table, initial, time_limit, 1),
    )
    return TransitionTable(continues, rewards, initial, time_limit, extremes)


def _extreme_return(
    table: Mapping[int, Any], initial: np.ndarray, time_limit: int, sign: int
) -> float:
    """Return the highest return of any possible episode (sign 1), or the lowest (sign −1)."""
    # All possible outcomes, as parallel arrays
    origins, targets, rewards, ends = [], [], [], []
    for state, choices in table.items():
        for outcomes in choices.values():
            for probability, next_state, reward, terminated in outcomes:
                if probability > 0:
                    origins.append(state)
                    targets.append(next_state)
                    rewards.append(sign * reward)
                    ends.append(bool(terminated))
    origin, target = np.array(origins), np.array(targets)
    reward, continues = np.array(rewards, dtype=float), ~np.array(ends, dtype=bool)
    # Backward induction over the remaining steps, where chance helps as well as the policy
    values = np.zeros(len(initial))
    for _ in range(time_limit):
        following = np.full(len(initial), -np.inf)
        np.maximum.at(following, origin, reward + np.where(continues, values[target], 0.0))
        values = following
    return sign * float(values[initial > 0].max()) + 0.0  # not −0


@dataclass(frozen=True)
class ExactScore:
    """A policy's exact mean return, and the best that any policy can reach."""

    mean_reward: float
    optimal_mean_reward: float

    @property
    def regret(self) -> float:
        """How much higher the optimal mean return is."""
        return self.optimal_mean_reward - self.mean_reward

    def describe(self) -> dict[str, float]:
        """Return the numbers under the names that run.json and tables use."""
        return {
            "exact_mean_reward": self.mean_reward,
            "optimal_mean_reward": self.optimal_mean_reward,
            "regret": self.regret,
        }


class ExactScorer:
    """Scores any number of policies in one environment; the optimum is computed once."""

    def __init__(self, table: TransitionTable) -> None:
        self.table = table
        self.optimal_mean_reward = table.optimal_return()

    @classmethod
    def for_env(cls, config: EnvConfig) -> "ExactScorer | None":
        """Return the environment's scorer; None if there is no table.

        With frame stacking or normalisation there is none either: the agent's observations are then
        not the table's states.
        """
        table = transition_table(config) if config.frame_stack == 1 else None
        return None if table is None or config.normalize.active else cls(table)

    def score(self, agent: Any) -> ExactScore | None:
        """Score an agent's deterministic policy; None if its action depends on more than the state.

        That may be a memory (a recurrent state) or a mask of valid actions.
        """
        if takes_action_masks(type(agent)):
            return None
        # One batch of all states gives the whole policy.
        observations = np.arange(len(self.table.initial))
        actions, state = agent.predict(observations, deterministic=True)
        if state is not None:
            return None
        return self.of_return(self.table.policy_return(np.asarray(actions)))

    def of_return(self, mean_reward: float) -> ExactScore:
        """Return the score of a mean return that is already known exactly."""
        return ExactScore(mean_reward, self.optimal_mean_reward)


def exact_score(agent: Any, config: EnvConfig) -> ExactScore | None:
    """Score one deterministic policy, see :class:`ExactScorer`; None without a table."""
    scorer = ExactScorer.for_env(config)
    return None if scorer is None else scorer.score(agent)
