"""Copies in processes of their own, with the same numbers as in this process."""

import multiprocessing
from collections.abc import Callable
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import SubprocVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn


class Float32SubprocVecEnv(SubprocVecEnv):
    """SB3's SubprocVecEnv with float32 rewards, as DummyVecEnv has them.

    SB3's own passes on whatever type the environment returned: the same experiment then led to
    different weights than with DummyVecEnv, and integer rewards led to integer returns.
    """

    def __init__(self, env_fns: list[Callable[[], Any]]) -> None:
        """Start one process per copy, forked from a server that has loaded torch once for all."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__, "rl_runner.envs.build"])
        super().__init__(env_fns, start_method="forkserver")

    def step_wait(self) -> VecEnvStepReturn:
        """Collect the results of the copies; rewards (n,) are float32."""
        obs, rewards, dones, infos = super().step_wait()
        return obs, np.asarray(rewards, dtype=np.float32), dones, infos

    def close(self) -> None:
        """End the processes of the copies, even if one of them has already died."""
        if self.closed:
            return
        try:
            super().close()
        except (EOFError, OSError):
            for process in self.processes:
                process.terminate()
                process.join()
            for remote in self.remotes:
                remote.close()
            self.closed = True
