"""Tabular Q-learning whose loop, environment included, is compiled.

Actions, transitions and first states are all drawn from the agent's own generator, four numbers per
step and copy. The environment itself is not stepped; only the first states of a ``learn`` come from
it.
"""

import math
import time
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback, ConvertCallback
from stable_baselines3.common.type_aliases import MaybeCallback

from rl_runner.agents.algorithms.q_learning import QLearning
from rl_runner.agents.fast.kernels.structures import OpenEpisodes, QLearningSettings, QTable
from rl_runner.agents.fast.kernels.tabular import DRAWS, N_COLUMNS, learn_steps, read_dynamics
from rl_runner.agents.protocol import EpisodeSink, PacedCallback, UnseenEpisode

AT_ONCE = 60_000  # timesteps in one call of compiled code, at most: five milliseconds


class FastQLearning(QLearning):
    """The readable loop's twin, for environments that expose their transition table.

    It has the same keywords, files and metrics. A
    :class:`rl_runner.agents.protocol.PacedCallback` is called when it is due, any other callback
    after every step.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        table, initial = (self.env.get_attr(name)[0] for name in ("P", "initial_state_distrib"))
        time_limit = self.env.get_attr("spec")[0].max_episode_steps
        self._dynamics = read_dynamics(table, initial, time_limit)
        self._started_playing = time.monotonic()
        # Lengths and returns of the open episodes, (n_envs,) each.
        self._last_lengths, self._last_returns = (
            np.zeros(self.n_envs, np.int64),
            np.zeros(self.n_envs),
        )

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        *,
        reset_num_timesteps: bool = True,
        log_interval: int = 1000,  # ten times the readable loop's, which is slower by more
    ) -> Self:
        """Learn for at least ``total_timesteps`` environment timesteps.

        :param log_interval: finished episodes between two writes of the metrics
        """
        callback = self._begin(total_timesteps, callback, reset_num_timesteps)
        callback.on_training_start(locals(), globals())
        self._last_states = self.states.of_batch(self.env.reset())
        self._last_lengths[:], self._last_returns[:] = 0, 0.0
        while self.num_timesteps < self._total_timesteps:
            callback.on_rollout_start()

            # Play and learn until a callback, the log or the end of the budget is due.
            until_log = self._logged_episodes + log_interval - self.n_episodes
            n_steps = min(self._vector_steps_until_called(callback), self._steps_of(until_log))
            ended = np.empty((n_steps * self.n_envs, N_COLUMNS))
            random_state = self.rng.bit_generator.state
            steps, n_ended, errors = learn_steps(
                QTable(self.q_table, self.visits),
                self._dynamics,
                self._settings(n_steps),
                self.rng.random((n_steps, self.n_envs, DRAWS)),
                OpenEpisodes(self._last_states, self._last_lengths, self._last_returns),
                ended,
                until_log,
            )
            if steps < n_steps:  # give back the random numbers that were not needed
                self.rng.bit_generator.state = random_state
                self.rng.bit_generator.advance(steps * self.n_envs * DRAWS)  # type: ignore[attr-defined]

            # Account for what has happened, and call the callbacks.
            self._record_episodes(ended[:n_ended])
            self.num_timesteps += steps * self.n_envs
            self.n_episodes += n_ended
            self._note_td_errors(errors, steps * self.n_envs)
            callback.update_locals(locals())
            if not callback.on_step():
                break
            callback.on_rollout_end()
            if self.n_episodes >= self._logged_episodes + log_interval:
                self.dump_logs()
        if self._n_td_errors:
            self.dump_logs()
        callback.on_training_end()
        return self

    def _settings(self, n_steps: int) -> QLearningSettings:
        """Return the settings of the coming vector steps, schedules included."""
        timesteps = self.num_timesteps + self.n_envs * np.arange(n_steps)
        progress = np.minimum(1.0, timesteps / max(1, self._total_timesteps))
        return QLearningSettings(
            gamma=float(self.gamma),
            learning_rates=self._learning_rates(progress),
            learning_rate_power=float(self.learning_rate_power),
            learning_rate_min=float(self.learning_rate_min),
            uses_ucb=self.exploration == "ucb",
            ucb_coef=float(self.ucb_coef),
            epsilons=self._epsilons(progress),
        )

    def _learning_rates(self, progress: np.ndarray) -> np.ndarray:
        first, last = (self.lr_schedule(1.0 - progress[k]) for k in (0, -1))
        if first == last == self.lr_schedule(1.0):  # constant so far, as most are
            return np.full(len(progress), first)
        return np.array([self.lr_schedule(1.0 - p) for p in progress])

    def _epsilons(self, progress: np.ndarray) -> np.ndarray:
        initial, final = self.eps_ends
        share = np.minimum(1.0, progress / self.exploration_fraction)
        if self.exploration_schedule == "exponential":
            return np.asarray(initial * (final / initial) ** share)
        return np.asarray(initial + share * (final - initial))

    def _vector_steps_until_called(self, callback: BaseCallback) -> int:
        """Return after how many steps of all copies a callback, or the budget's end, is due."""
        due = min(_due_timesteps(callback), default=math.inf)
        left = min(due, self._total_timesteps) - self.num_timesteps
        return max(1, math.ceil(min(left, AT_ONCE) / self.n_envs))

    def _steps_of(self, n_episodes: int) -> int:
        """Estimate the vector steps that these episodes take; numbers drawn beyond are wasted."""
        recent = [info["l"] for info in self.ep_info_buffer]
        mean_length = sum(recent) / len(recent) if recent else self._dynamics.time_limit
        return 1 + int(1.1 * n_episodes * mean_length / self.n_envs)

    def _record_episodes(self, ended: np.ndarray) -> None:
        """Remember finished episodes, and report them if the environment is an ``EpisodeSink``.

        :param ended: (episodes, N_COLUMNS)
        """
        seconds = round(time.monotonic() - self._started_playing, 6)
        self.ep_info_buffer.extend(
            {"r": _without_noise(episode_return), "l": int(length), "t": seconds}
            for _, _, episode_return, length, _ in ended[-100:].tolist()
        )
        if isinstance(self.env, EpisodeSink):
            self.env.record_unseen(
                UnseenEpisode(
                    self.num_timesteps + (int(t) + 1) * self.n_envs,
                    _without_noise(episode_return),
                    int(length),
                    bool(terminated),
                )
                for t, _, episode_return, length, terminated in ended.tolist()
            )


def _without_noise(episode_return: float) -> float:
    """Return a sum of rewards without the last digits, where rounding errors add up."""
    return float(f"{episode_return:.12g}")


def _due_timesteps(callback: BaseCallback) -> Iterator[float]:
    """Yield the timesteps at which callbacks are due; 0 for one that is not a ``PacedCallback``."""
    if isinstance(callback, ConvertCallback) and callback.callback is None:
        return
    children = getattr(callback, "callbacks", None)
    if children is None:
        yield callback.next_timestep if isinstance(callback, PacedCallback) else 0
    for child in children or ():
        yield from _due_timesteps(child)
