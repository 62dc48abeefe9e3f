"""SARSA, written by following CONTRIBUTING.md alone, as a third party would."""

from pathlib import Path
from typing import Any, Self

import numpy as np
from stable_baselines3.common.type_aliases import MaybeCallback
from stable_baselines3.common.vec_env import VecEnv

from rl_runner.agents.handwritten import HandwrittenAgent
from rl_runner.arrays import generator_state, load_arrays, restore_generator, save_arrays

NOT_CHOSEN = -1


class Sarsa(HandwrittenAgent):
    """On-policy TD control (Rummery & Niranjan 1994).

    The target of Q(s, a) is r + γ Q(s', a'), where a' is the action that is taken next. So a' is
    chosen one step ahead, and belongs to the open episode.

    :param env: Discrete observations and actions
    :param learning_rate: α
    :param gamma: discount factor
    :param epsilon: probability of a random action
    :param stats_window_size: how many recent episodes ``rollout/ep_rew_mean`` averages
    :param seed: seeds the exploration
    """

    def __init__(
        self,
        env: VecEnv,
        learning_rate: float = 0.2,
        gamma: float = 0.99,
        epsilon: float = 0.3,
        stats_window_size: int = 100,
        seed: int | None = None,
    ) -> None:
        super().__init__(env, stats_window_size)
        self.learning_rate = learning_rate
        self.gamma = gamma
        self.epsilon = epsilon
        self.generator = np.random.default_rng(seed)
        n_states, n_actions = int(env.observation_space.n), int(env.action_space.n)  # type: ignore[attr-defined]
        self.q_table = np.zeros((n_states, n_actions))
        self.n_updates = 0
        self._last_states = np.zeros(self.n_envs, np.int64)
        self._last_actions = np.zeros(self.n_envs, np.int64)

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        *,
        log_interval: int = 50,
        reset_num_timesteps: bool = True,
    ) -> Self:
        callback = self._begin(total_timesteps, callback, reset_num_timesteps)
        callback.on_training_start(locals(), globals())
        self._last_states = np.asarray(self.env.reset())
        self._last_actions = np.full(self.n_envs, NOT_CHOSEN)
        while self.num_timesteps < self._total_timesteps:
            callback.on_rollout_start()
            if self._last_actions[0] == NOT_CHOSEN:
                self._last_actions = self._explore(self._last_states)
            states, actions = self._last_states, self._last_actions
            next_states, rewards, dones, infos = self.env.step(actions)
            next_actions = self._explore(np.asarray(next_states))
            for i in range(self.n_envs):
                future = self.q_table[next_states[i], next_actions[i]]
                if dones[i] and not infos[i]["TimeLimit.truncated"]:
                    future = 0.0
                elif dones[i]:
                    future = self.q_table[infos[i]["terminal_observation"]].max()
                target = rewards[i] + self.gamma * future
                error = target - self.q_table[states[i], actions[i]]
                self.q_table[states[i], actions[i]] += self.learning_rate * error
            self._last_states, self._last_actions = np.asarray(next_states), next_actions
            self.num_timesteps += self.n_envs
            self.n_updates += 1
            self._note_episodes(infos)
            callback.update_locals(locals())
            if not callback.on_step():
                break
            callback.on_rollout_end()
            if self.n_updates % log_interval == 0:
                self.logger.record("train/mean_q", float(self.q_table.mean()))
                self.dump_logs(self.n_updates)
        callback.on_training_end()
        return self

    def _explore(self, states: np.ndarray) -> np.ndarray:
        random = self.generator.random(len(states)) < self.epsilon
        any_action = self.generator.integers(self.q_table.shape[1], size=len(states))
        return np.where(random, any_action, self.q_table[states].argmax(axis=1))

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,  # noqa: ARG002
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        actions = np.asarray(self.q_table[np.asarray(observation)].argmax(axis=-1))
        if not deterministic:  # ε-greedy, as while learning, but from the global generator
            random = np.random.random(actions.shape) < self.epsilon  # noqa: NPY002
            any_action = np.random.randint(self.q_table.shape[1], size=actions.shape)  # noqa: NPY002
            actions = np.where(random, any_action, actions)
        return actions, state

    def save(self, path: str) -> None:
        generator = generator_state(self.generator)
        save_arrays(Path(path), {"q_table": self.q_table, "generator": generator})

    def load_parameters(self, path: str) -> None:
        arrays = load_arrays(Path(path))
        if arrays["q_table"].shape != self.q_table.shape:
            message = f"the table has shape {arrays['q_table'].shape}, not {self.q_table.shape}"
            raise ValueError(message)
        self.q_table[:] = arrays["q_table"]
        restore_generator(self.generator, arrays["generator"])


class ForgetfulSarsa(Sarsa):
    """Keeps the actions already chosen where nothing saves them: not what `Agent` asks for."""

    @property
    def _last_actions(self) -> np.ndarray:
        return self.chosen

    @_last_actions.setter
    def _last_actions(self, actions: np.ndarray) -> None:
        self.chosen = actions


class HastySarsa(Sarsa):
    """Returns before its budget is used up."""

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        *,
        log_interval: int = 50,
        reset_num_timesteps: bool = True,
    ) -> Self:
        return super().learn(
            total_timesteps // 2,
            callback,
            log_interval=log_interval,
            reset_num_timesteps=reset_num_timesteps,
        )
