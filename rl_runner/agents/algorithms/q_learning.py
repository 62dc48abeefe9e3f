"""Tabular Q-learning (Watkins & Dayan 1992; Sutton & Barto 2018, section 6.5).

Every observation is a row of a table, every action a column. After each step,

    td_target = r                        if s' is terminal
              = r + γ max_a' Q(s', a')   otherwise, also when the episode was merely truncated
    Q(s, a) ← Q(s, a) + α (td_target − Q(s, a)).

Actions are chosen ε-greedily, or by an upper confidence bound (Auer et al. 2002).
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.type_aliases import MaybeCallback
from stable_baselines3.common.utils import FloatSchedule
from stable_baselines3.common.vec_env import VecEnv

from rl_runner.agents.algorithms.state_index import StateIndex
from rl_runner.agents.handwritten import HandwrittenAgent
from rl_runner.arrays import generator_state, load_arrays, restore_generator, save_arrays

MAX_ENTRIES = 50_000_000  # of the table; 800 MB with the visit counts


class QLearning(HandwrittenAgent):
    """Q-learning with a table.

    The step size of a state-action pair's N-th visit is
    ``max(learning_rate_min, learning_rate · N^−learning_rate_power)``; with the default power of 0
    it is ``learning_rate`` throughout.

    :param env: vectorised environment with finitely many observations and Discrete actions
    :param learning_rate: α, constant or scheduled over training
    :param learning_rate_power: how fast α falls with the visits of a state-action pair; powers in
        (0.5, 1], with a minimum of 0, satisfy the convergence theorem's conditions
    :param learning_rate_min: α never falls below this by visits
    :param gamma: discount factor
    :param exploration: how actions are chosen while learning
    :param exploration_initial_eps: ε at the beginning
    :param exploration_final_eps: ε from ``exploration_fraction`` of the budget on
    :param exploration_fraction: the share of the budget over which ε falls
    :param exploration_schedule: whether ε falls by equal differences or by equal ratios
    :param ucb_coef: c in Q(s,a) + c √(ln N(s) / N(s,a)); untried actions come first
        (√2 is UCB1)
    :param initial_q: every entry's first value; above the true values it drives exploration
    :param stats_window_size: how many episodes ``rollout/ep_rew_mean`` averages
    :param seed: seeds the exploration
    :raises ValueError: if a space is not supported, or the table would be too large
    """

    def __init__(  # noqa: PLR0913, PLR0917 - hyperparameters, as SB3 takes them
        self,
        env: VecEnv,
        learning_rate: float | Callable[[float], float] = 0.1,
        learning_rate_power: float = 0.0,
        learning_rate_min: float = 0.0,
        gamma: float = 0.99,
        exploration: Literal["epsilon_greedy", "ucb"] = "epsilon_greedy",
        exploration_initial_eps: float = 1.0,
        exploration_final_eps: float = 0.05,
        exploration_fraction: float = 0.8,
        exploration_schedule: Literal["linear", "exponential"] = "linear",
        ucb_coef: float = 1.0,
        initial_q: float = 0.0,
        stats_window_size: int = 100,
        seed: int | None = None,
    ) -> None:
        super().__init__(env, stats_window_size)
        # Refuse what a table cannot represent, and schedules that have no ratio.
        if not isinstance(env.action_space, spaces.Discrete):
            message = f"a table needs Discrete actions, not {env.action_space}"
            raise ValueError(message)
        self.states = StateIndex(env.observation_space)
        self.n_actions = int(env.action_space.n)
        self.first_action = int(env.action_space.start)
        if self.states.n_states * self.n_actions > MAX_ENTRIES:
            message = (
                f"the table would have {self.states.n_states:,} × {self.n_actions} entries; at "
                f"most {MAX_ENTRIES:,} are allowed"
            )
            raise ValueError(message)
        lowest_eps = min(exploration_initial_eps, exploration_final_eps)
        if exploration_schedule == "exponential" and lowest_eps <= 0:
            message = "an exponential schedule needs exploration_initial_eps and _final_eps above 0"
            raise ValueError(message)
        # Keep the hyperparameters.
        self.lr_schedule = FloatSchedule(learning_rate)
        self.learning_rate_power = learning_rate_power
        self.learning_rate_min = learning_rate_min
        self.gamma = gamma
        self.exploration = exploration
        self.eps_ends = (exploration_initial_eps, exploration_final_eps)
        self.exploration_fraction = exploration_fraction
        self.exploration_schedule = exploration_schedule
        self.ucb_coef = ucb_coef
        # Begin with an empty table and no visits.
        self.rng = np.random.default_rng(seed)
        self.q_table = np.full((self.states.n_states, self.n_actions), initial_q)  # float64
        self.visits = np.zeros((self.states.n_states, self.n_actions), dtype=np.int64)
        self._last_states: np.ndarray = np.zeros(self.n_envs, np.int64)  # where each copy is
        self.n_episodes = 0
        self._logged_episodes = 0  # the number of episodes when the metrics were last written
        self._sum_of_td_errors, self._n_td_errors = 0.0, 0  # since then, absolute

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        *,
        reset_num_timesteps: bool = True,
        log_interval: int = 100,
    ) -> Self:
        """Learn for at least ``total_timesteps`` environment timesteps.

        :param log_interval: finished episodes between two writes of the metrics
        """
        callback = self._begin(total_timesteps, callback, reset_num_timesteps)
        callback.on_training_start(locals(), globals())
        self._last_states = self.states.of_batch(self.env.reset())
        while self.num_timesteps < self._total_timesteps:
            callback.on_rollout_start()

            # Every copy of the environment takes one step.
            states = self._last_states
            actions = np.array([self._explore(state) for state in states])
            obs, rewards, dones, infos = self.env.step(actions + self.first_action)
            next_states = self.states.of_batch(obs)

            # Learn from each transition (s, a, r, s').
            for i, (state, action) in enumerate(zip(states, actions, strict=True)):
                next_state, terminated = next_states[i], False
                if dones[i]:  # already reset: next_states[i] belongs to the next episode
                    next_state = self.states.of_single(infos[i]["terminal_observation"])
                    terminated = not infos[i]["TimeLimit.truncated"]
                reward = float(rewards[i])
                td_error = self._update(state, action, reward, next_state, terminated)
                self._note_td_errors(td_error, 1)

            # Count the step, and call the callbacks.
            self._last_states = next_states
            self.num_timesteps += self.n_envs
            callback.update_locals(locals())
            if not callback.on_step():
                break
            callback.on_rollout_end()
            self.n_episodes += self._note_episodes(infos) if dones.any() else 0
            if self.n_episodes >= self._logged_episodes + log_interval:
                self.dump_logs()
        if self._n_td_errors:
            self.dump_logs()
        callback.on_training_end()
        return self

    def _update(
        self, state: int, action: int, reward: float, next_state: int, terminated: bool
    ) -> float:
        """Move Q(s, a) towards its target; return |td_error|."""
        self.visits[state, action] += 1
        future = 0.0 if terminated else self.gamma * max(self._q_values(next_state))
        td_target = reward + future
        td_error = td_target - self.q_table[state, action]
        self.q_table[state, action] += self._step_size(state, action) * td_error
        return abs(float(td_error))

    def _step_size(self, state: int, action: int) -> float:
        """Return α for this visit of (s, a)."""
        alpha: float = self.lr_schedule(1.0 - self.progress)
        if self.learning_rate_power:
            alpha *= math.pow(self.visits[state, action], -self.learning_rate_power)
        return max(self.learning_rate_min, alpha)

    @property
    def exploration_rate(self) -> float:
        """ε at the present progress."""
        initial, final = self.eps_ends
        done = min(1.0, self.progress / self.exploration_fraction)
        if self.exploration_schedule == "exponential":
            return float(initial * (final / initial) ** done)
        return initial + done * (final - initial)

    def _explore(self, state: int) -> int:
        """Choose an action while learning: by confidence bound, or ε-greedily."""
        if self.exploration == "ucb":
            return self._upper_confidence_action(state)
        if self.rng.random() < self.exploration_rate:
            return int(self.rng.integers(self.n_actions))
        return self._greedy_action(state)

    def _greedy_action(self, state: int) -> int:
        """Return a best action. Ties are broken at random; a new table would never explore."""
        q_values = self._q_values(state)
        highest = max(q_values)
        best = [action for action, q in enumerate(q_values) if q == highest]
        return best[0] if len(best) == 1 else int(self.rng.choice(best))

    def _q_values(self, state: int) -> list[float]:
        """Return Q(s, ·) as a list, over which Python is faster than NumPy when it is short."""
        values: list[float] = self.q_table[state].tolist()
        return values

    def _upper_confidence_action(self, state: int) -> int:
        """Return an untried action, or the one with the highest upper confidence bound."""
        visits = self.visits[state]
        untried = np.flatnonzero(visits == 0)
        if len(untried):
            return int(self.rng.choice(untried))
        bonus = self.ucb_coef * np.sqrt(math.log(visits.sum()) / visits)
        return int(np.argmax(self.q_table[state] + bonus))

    def dump_logs(self, iteration: int = 0) -> None:
        """Write the table's metrics and those of every algorithm; the iterations are episodes."""
        record = self.logger.record
        if self.exploration == "epsilon_greedy":
            record("rollout/exploration_rate", self.exploration_rate)
        # The schedule and the table; errors are means since the last time.
        record("train/learning_rate", self.lr_schedule(1.0 - self.progress))
        if self._n_td_errors:
            record("train/mean_abs_td_error", self._sum_of_td_errors / self._n_td_errors)
        record("train/table_coverage", float(np.mean(self.visits > 0)))
        record("train/mean_max_q", float(self.q_table.max(axis=1).mean()))
        record("time/episodes", self.n_episodes, exclude="tensorboard")
        # What every algorithm logs, and then begin new means.
        super().dump_logs(iteration or self.n_episodes)
        self._logged_episodes = self.n_episodes
        self._sum_of_td_errors, self._n_td_errors = 0.0, 0

    def _note_td_errors(self, sum_of_errors: float, n: int) -> None:
        self._sum_of_td_errors += sum_of_errors
        self._n_td_errors += n

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,  # noqa: ARG002 - SB3's signature
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """Return greedy (or, if not deterministic, ε-greedy) actions for a batch or for one."""
        if self.env.observation_space.contains(observation):
            rows = np.array([self.states.of_single(observation)])
            return self._act(rows, deterministic)[0], state
        return self._act(self.states.of_batch(observation), deterministic), state

    def _act(self, rows: np.ndarray, deterministic: bool) -> np.ndarray:
        actions = self.q_table[rows].argmax(axis=1)
        if not deterministic:  # on the global generator, like SB3: evaluations seed and restore it
            random = np.random.random(len(rows)) < self.exploration_rate  # noqa: NPY002
            any_action = np.random.randint(self.n_actions, size=len(rows))  # noqa: NPY002
            actions = np.where(random, any_action, actions)
        return np.asarray(actions + self.first_action)

    def save(self, path: str) -> None:
        """Write the table, the visit counts and the exploration's random state to an npz file."""
        save_arrays(
            Path(path),
            {
                "q_table": self.q_table,
                "visits": self.visits,
                "timesteps": np.array([self.num_timesteps, self._total_timesteps]),
                "rng_state": generator_state(self.rng),
            },
        )

    def load_parameters(self, path: str) -> None:
        """Load what :meth:`save` wrote; ``learn(…, reset_num_timesteps=False)`` resumes from it."""
        arrays = load_arrays(Path(path))
        if arrays["q_table"].shape != self.q_table.shape:
            message = (
                f"the saved table has shape {arrays['q_table'].shape}, not {self.q_table.shape}"
            )
            raise ValueError(message)
        self.q_table[:] = arrays["q_table"]
        self.visits[:] = arrays["visits"]
        self.num_timesteps, self._total_timesteps = map(int, arrays["timesteps"])
        restore_generator(self.rng, arrays["rng_state"])
