"""Every finished training episode, recorded where it happens: at the environment."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import IO

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from rl_runner.agents.protocol import UnseenEpisode


@dataclass(frozen=True)
class Episode:
    """One finished training episode."""

    timestep: int  # environment timesteps of the whole run when it ended
    episode_return: float  # undiscounted, before any reward normalisation
    length: int
    terminated: bool  # False: the episode was truncated
    wall_time: float  # seconds since training began


class EpisodeRecorder:
    """Writes each finished training episode to episodes.csv and remembers the last hundred.

    :meth:`record` is called once for every episode, whatever the algorithm and the engine.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.recent: deque[float] = deque(maxlen=100)

    def record(self, episode: Episode) -> None:
        """Append a row to episodes.csv, and add the return to ``recent``."""
        self.recent.append(episode.episode_return)
        self._file.write(
            f"{episode.timestep},{episode.episode_return},{episode.length},"
            f"{int(episode.terminated)},{episode.wall_time:.3f}\n"
        )

    def close(self) -> None:
        """Close episodes.csv, which flushes the last rows to disk."""
        self._file.close()

    @property
    def mean_return(self) -> float | None:
        """The mean return of the last hundred episodes; None before the first has ended."""
        return float(np.mean(self.recent)) if self.recent else None


class EpisodeRecordingEnv(VecEnvWrapper):
    """Outermost layer of a training environment; passes each finished episode to ``record``.

    Recording here rather than in a callback works for every algorithm: ARS steps the environment
    inside ``evaluate_policy``, where SB3's callbacks see no ``infos``, and a compiled twin calls
    back after many steps only.

    :param timestep: how far the run is when it is built, in environment timesteps
    :param seconds: how long the run has trained before
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

    def record_unseen(self, episodes: Iterable[UnseenEpisode]) -> None:
        """Record episodes that an agent has played without stepping the environment."""
        wall_time = time.monotonic() - self._started
        for timestep, episode_return, length, terminated in episodes:
            self._record(Episode(timestep, episode_return, length, terminated, wall_time))

    def reset(self) -> VecEnvObs:
        """Reset all copies; episodes that this ends are not recorded, since they never finished."""
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
