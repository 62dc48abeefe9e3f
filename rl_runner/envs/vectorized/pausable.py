"""Single copies in this process; an evaluation pauses those whose episodes have been played."""

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn


class PausableVecEnv(DummyVecEnv):
    """SB3's DummyVecEnv, whose copies can be paused one by one.

    A paused copy is not stepped: its observation stays the same, its reward is 0 and its episode
    does not end. Episodes vary in length; without a pause, the copies that finish first would play
    episodes that nobody counts.

    Infos are passed on as they are, while DummyVecEnv makes a deep copy of each at every step: an
    info that cannot be copied (a lock, a generator) would end the run.

    :param makers: one function for each copy that builds its environment
    """

    def __init__(self, makers: Sequence[Callable[[], gym.Env[Any, Any]]]) -> None:
        super().__init__(list(makers))
        self.paused = np.zeros(self.num_envs, dtype=bool)

    def pause(self, copy: int) -> None:
        """Stop stepping one copy until the next :meth:`reset`."""
        self.paused[copy] = True

    def reset(self) -> VecEnvObs:
        """Resume the paused copies and begin a new episode in every copy."""
        self.paused[:] = False
        return super().reset()

    def step_wait(self) -> VecEnvStepReturn:
        """Step the copies that are not paused."""
        rewards = np.zeros(self.num_envs, dtype=np.float32)
        dones = np.zeros(self.num_envs, dtype=bool)
        infos: list[dict[str, Any]] = [{} for _ in self.envs]
        for i in np.flatnonzero(~self.paused).tolist():
            env = self.envs[i]
            obs, reward, terminated, truncated, info = env.step(self.actions[i])
            rewards[i], dones[i], infos[i] = float(reward), terminated or truncated, info
            info["TimeLimit.truncated"] = truncated and not terminated
            # SB3 expects the first observation of the next episode, the last one in the info.
            if dones[i]:
                info["terminal_observation"] = obs
                obs, self.reset_infos[i] = env.reset()
            self._save_obs(i, obs)
        return self._obs_from_buf(), rewards, dones, infos
