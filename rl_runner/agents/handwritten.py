"""The part of an agent that is the same for every algorithm: budget, callbacks, logger, metrics.

Our own algorithms inherit it, so that their files hold the algorithm and no bookkeeping.
"""

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback, CallbackList, ConvertCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.type_aliases import MaybeCallback
from stable_baselines3.common.utils import safe_mean
from stable_baselines3.common.vec_env import VecEnv, VecNormalize, unwrap_vec_normalize

from rl_runner.agents.protocol import Agent


class HandwrittenAgent(Agent, ABC):
    """Base class of the algorithms written by hand.

    A subclass implements ``learn``, ``predict``, ``save`` and :meth:`load_parameters`, and keeps
    its state where :class:`rl_runner.agents.protocol.Agent` says. Its ``learn`` begins with
    :meth:`_begin`, which returns the callback to call.

    :param env: the vectorised environment that it learns in
    :param stats_window_size: how many recent episodes ``rollout/ep_rew_mean`` averages
    """

    def __init__(self, env: VecEnv, stats_window_size: int) -> None:
        self.env = env
        self.observation_space = env.observation_space
        self.action_space = env.action_space
        self.n_envs = env.num_envs
        self.num_timesteps = 0
        self.ep_info_buffer: deque[dict[str, Any]] = deque(maxlen=stats_window_size)
        self._total_timesteps = 0
        self._started_at = (0, 0.0)  # timesteps, seconds
        self._logger = Logger(folder=None, output_formats=[])

    def get_env(self) -> VecEnv:
        """Return the environment it learns in."""
        return self.env

    def get_vec_normalize_env(self) -> VecNormalize | None:
        """Return the normalising layer of that environment, if there is one."""
        return unwrap_vec_normalize(self.env)

    @property
    def logger(self) -> Logger:
        """Where its metrics go."""
        return self._logger

    def set_logger(self, logger: Logger) -> None:
        """Send its metrics to ``logger``."""
        self._logger = logger

    @abstractmethod
    def load_parameters(self, path: str) -> None:
        """Load what ``save`` wrote into an agent of the same configuration.

        It reads numbers and arrays only, so nothing is unpickled. The file may be damaged, or come
        from another config: compare the shapes. The caller turns any exception into an error that
        names the file.
        """

    @property
    def progress(self) -> float:
        """The share of the budget that is used up, 0 → 1."""
        return min(1.0, self.num_timesteps / max(1, self._total_timesteps))

    def _begin(
        self, total_timesteps: int, callback: MaybeCallback, reset_num_timesteps: bool
    ) -> BaseCallback:
        """Set the budget and the clock, as SB3's ``_setup_learn`` does.

        :return: the callback, ready for ``on_training_start``
        """
        if reset_num_timesteps:
            self.num_timesteps = 0
            self.ep_info_buffer.clear()
        self._total_timesteps = total_timesteps + self.num_timesteps
        self._started_at = (self.num_timesteps, time.monotonic())
        if isinstance(callback, list):
            callback = CallbackList(callback)
        if not isinstance(callback, BaseCallback):
            callback = ConvertCallback(callback)
        callback.init_callback(self)  # type: ignore[arg-type]  # it offers what callbacks touch
        return callback

    def _note_episodes(self, infos: Sequence[dict[str, Any]]) -> int:
        """Add the episodes that ended in this step to ``ep_info_buffer``; return how many."""
        ended = [info["episode"] for info in infos if "episode" in info]
        self.ep_info_buffer.extend(ended)
        return len(ended)

    def dump_logs(self, iteration: int = 0) -> None:
        """Write the metrics recorded since the last call, and those every SB3 algorithm writes."""
        timesteps_then, started = self._started_at
        elapsed = max(time.monotonic() - started, 1e-9)
        if self.ep_info_buffer:
            for tag, key in (("rollout/ep_rew_mean", "r"), ("rollout/ep_len_mean", "l")):
                self.logger.record(tag, safe_mean([info[key] for info in self.ep_info_buffer]))
        self.logger.record("time/iterations", iteration, exclude="tensorboard")
        self.logger.record("time/fps", int((self.num_timesteps - timesteps_then) / elapsed))
        self.logger.record("time/time_elapsed", int(elapsed), exclude="tensorboard")
        self.logger.record("time/total_timesteps", self.num_timesteps, exclude="tensorboard")
        self.logger.dump(step=self.num_timesteps)
