"""Copies of an environment for evaluation: they stand still when their episodes are played."""

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn


class RestingVecEnv(DummyVecEnv):
    """SB3's DummyVecEnv whose copies can be told to rest.

    A resting copy is not stepped: its observation stays, its reward is 0, its episode does not end.
    Episodes last differently long, and the copies that are done first would otherwise play on for
    nothing. Infos are handed out as they are; DummyVecEnv copies them deeply at every step.
    """

    def __init__(self, makers: Sequence[Callable[[], gym.Env[Any, Any]]]) -> None:
        super().__init__(list(makers))
        self.resting = np.zeros(self.num_envs, dtype=bool)

    def rest(self, copy: int) -> None:
        """Let one copy stand still until the next reset."""
        self.resting[copy] = True

    def reset(self) -> VecEnvObs:
        """Begin a new episode in every copy."""
        self.resting[:] = False
        return super().reset()

    def step_wait(self) -> VecEnvStepReturn:
        """Step the copies that do not rest."""
        rewards = np.zeros(self.num_envs, dtype=np.float32)
        dones = np.zeros(self.num_envs, dtype=bool)
        infos: list[dict[str, Any]] = [{} for _ in self.envs]
        for i in np.flatnonzero(~self.resting).tolist():
            env = self.envs[i]
            obs, reward, terminated, truncated, info = env.step(self.actions[i])
            rewards[i], dones[i], infos[i] = float(reward), terminated or truncated, info
            info["TimeLimit.truncated"] = truncated and not terminated
            if dones[i]:
                info["terminal_observation"] = obs
                obs, self.reset_infos[i] = env.reset()
            self._save_obs(i, obs)
        return self._obs_from_buf(), rewards, dones, infos
