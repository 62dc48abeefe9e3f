"""Every finished training episode, recorded where it happens: at the environment."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn


@dataclass(frozen=True)
class Episode:
    """One finished training episode."""

    timestep: int  # environment timesteps of the whole run when it ended
    episode_return: float  # undiscounted, before any reward normalisation
    length: int
    terminated: bool  # False: the episode was truncated
    wall_time: float  # seconds since training began


class EpisodeLog(VecEnvWrapper):
    """Outermost layer of a training environment; hands each finished episode to ``record``.

    Recording here rather than in a callback works for every algorithm: ARS, for one, steps the
    environment inside ``evaluate_policy``, where SB3's callbacks see no ``infos``.
    """

    def __init__(
        self,
        venv: VecEnv,
        record: Callable[[Episode], None],
        *,
        timestep: int = 0,
        seconds: float = 0.0,
    ) -> None:
        super().__init__(venv)
        self._record = record
        self._timestep = timestep
        self._started = time.monotonic() - seconds

    def record_unseen(self, episodes: Iterable[tuple[int, float, int, bool]]) -> None:
        """Record episodes that an agent has played without stepping the environment.

        :param episodes: timestep, return, length and whether terminated, of each
        """
        wall_time = time.monotonic() - self._started
        for timestep, episode_return, length, terminated in episodes:
            self._record(Episode(timestep, episode_return, length, terminated, wall_time))

    def reset(self) -> VecEnvObs:
        """Reset all copies."""
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        """Step all copies and record the episodes that ended."""
        obs, rewards, dones, infos = self.venv.step_wait()
        self._timestep += self.num_envs
        if np.count_nonzero(dones):  # a tenth of what `dones.any()` takes
            for i in np.flatnonzero(dones):
                self._record(
                    Episode(
                        self._timestep,
                        infos[i]["episode"]["r"],
                        infos[i]["episode"]["l"],
                        not infos[i]["TimeLimit.truncated"],
                        time.monotonic() - self._started,
                    )
                )
        return obs, rewards, dones, infos
