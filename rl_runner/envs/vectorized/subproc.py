"""Environments in processes of their own, with the same numbers as in this one."""

import multiprocessing
from collections.abc import Callable
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import SubprocVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn


class Float32SubprocVecEnv(SubprocVecEnv):
    """SB3's SubprocVecEnv with float32 rewards, like DummyVecEnv's.

    Stock SubprocVecEnv passes on whatever type the environment returned, so that the same
    experiment gave other weights, and integer rewards integer returns.
    """

    def __init__(self, env_fns: list[Callable[[], Any]]) -> None:
        """Start a process per copy, from a server that loads torch once for all of them."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__, "rl_runner.envs.build"])
        super().__init__(env_fns, start_method="forkserver")

    def step_wait(self) -> VecEnvStepReturn:
        """Collect the copies' results."""
        obs, rewards, dones, infos = super().step_wait()
        return obs, np.asarray(rewards, dtype=np.float32), dones, infos

    def close(self) -> None:
        """End the copies' processes, also when one of them has died already."""
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
