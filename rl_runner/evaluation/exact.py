"""Exact returns where the environment tells its transition table (FrozenLake, Taxi, CliffWalking).

Gymnasium's toy-text environments have ``P[state][action]``, a list of ``(probability, next state,
reward, terminated)``, and ``initial_state_distrib``. With them a policy's mean return is a sum, not
an estimate: 100 episodes at a success rate of .74 are uncertain by ±.086, the sum is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from rl_runner.config import EnvConfig
from rl_runner.envs import make_single_env, time_limit_of


@dataclass(frozen=True)
class TransitionTable:
    """A finite Markov decision process whose episodes are cut after ``time_limit`` steps."""

    continues: np.ndarray  # (n_states, n_actions, n_states) probability of going on in the last
    rewards: np.ndarray  # (n_states, n_actions) expected immediate reward
    initial: np.ndarray  # (n_states,) probability of starting there
    time_limit: int

    def policy_return(self, actions: np.ndarray) -> float:
        """Return the mean undiscounted return of a deterministic policy.

        :param actions: (n_states,) the policy's action in each state
        """
        states = np.arange(len(actions))
        return self._finite_return(self.continues[states, actions], self.rewards[states, actions])

    def random_return(self) -> float:
        """Return the mean undiscounted return of the policy that takes any action as likely."""
        return self._finite_return(self.continues.mean(axis=1), self.rewards.mean(axis=1))

    def _finite_return(self, continues: np.ndarray, rewards: np.ndarray) -> float:
        """Sum a policy's rewards by backward induction over the steps that are left.

        ``v_k(s) = r(s, π) + Σ_s' p(s' | s, π) v_{k-1}(s')`` with ``v_0 = 0``.

        :param continues: (n_states, n_states) under the policy
        :param rewards: (n_states,) under the policy
        """
        values = np.zeros(len(rewards))
        for _ in range(self.time_limit):
            values = rewards + continues @ values
        return float(self.initial @ values)

    def optimal_return(self) -> float:
        """Return the best mean return of any policy, one that counts its remaining steps too."""
        values = np.zeros(len(self.initial))
        for _ in range(self.time_limit):
            values = (self.rewards + self.continues @ values).max(axis=1)
        return float(self.initial @ values)


def transition_table(config: EnvConfig) -> TransitionTable | None:
    """Read an environment's transition table; None if it has none, or wrappers may change it."""
    if config.wrappers:
        return None
    env = make_single_env(config)
    try:
        table = getattr(env.unwrapped, "P", None)
        initial = getattr(env.unwrapped, "initial_state_distrib", None)
        space, actions = env.observation_space, env.action_space
        if getattr(env.unwrapped, "fickle_passenger", False):
            return None  # Taxi's passenger then changes the destination, which P does not know
    finally:
        env.close()
    if not isinstance(space, gym.spaces.Discrete) or not isinstance(actions, gym.spaces.Discrete):
        return None
    if not isinstance(table, Mapping) or initial is None:
        return None
    return _dense(table, np.asarray(initial, dtype=float), time_limit_of(config)[0])


def _dense(table: Mapping[int, Any], initial: np.ndarray, time_limit: int) -> TransitionTable:
    n_states, n_actions = len(table), len(table[0])
    continues = np.zeros((n_states, n_actions, n_states))
    rewards = np.zeros((n_states, n_actions))
    for state, choices in table.items():
        for action, outcomes in choices.items():
            for probability, next_state, reward, terminated in outcomes:
                rewards[state, action] += probability * reward
                if not terminated:
                    continues[state, action, next_state] += probability
    return TransitionTable(continues, rewards, initial, time_limit)


def exact_mean_reward(agent: Any, config: EnvConfig) -> float | None:
    """Return the exact mean return of an agent's deterministic policy.

    None if the environment has no transition table, or the agent remembers more than the present
    observation (frame stacking, a recurrent state).
    """
    table = transition_table(config) if config.frame_stack == 1 else None
    if table is None or config.normalize.active:
        return None
    actions, state = agent.predict(np.arange(len(table.initial)), deterministic=True)
    return None if state is not None else table.policy_return(np.asarray(actions))
