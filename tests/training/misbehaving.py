"""An environment that goes wrong in one process only: the first that finds no marker file."""

import ctypes
import errno
import os
import signal
import time
from pathlib import Path
from typing import Any

import gymnasium as gym


class Misbehaving(gym.Wrapper[Any, Any, Any, Any]):
    """Behaves until its 100th step; then whoever creates the marker does ``what``."""

    def __init__(self, env: gym.Env[Any, Any], marker: str, what: str) -> None:
        super().__init__(env)
        self.marker = Path(marker)
        self.what = what
        self.n_steps = 0

    def step(self, action: Any) -> Any:
        self.n_steps += 1
        if self.n_steps == 100 and self._is_first():
            if self.what == "raise":
                message = "the environment broke"
                raise RuntimeError(message)
            if self.what == "fill":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if self.what == "sleep":
                time.sleep(200)
            if self.what == "crash":
                ctypes.string_at(0)
            os.kill(os.getpid(), signal.SIGTERM if self.what == "terminate" else signal.SIGKILL)
        return self.env.step(action)

    def _is_first(self) -> bool:
        try:
            self.marker.touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


class Hopeless(gym.Wrapper[Any, Any, Any, Any]):
    """Breaks at its tenth step, always."""

    n_steps = 0

    def step(self, action: Any) -> Any:
        self.n_steps += 1
        if self.n_steps == 10:
            message = "it always breaks"
            raise RuntimeError(message)
        return self.env.step(action)


class Broken(gym.Wrapper[Any, Any, Any, Any]):
    """Breaks at every step as long as the marker is there."""

    def __init__(self, env: gym.Env[Any, Any], marker: str) -> None:
        super().__init__(env)
        self.marker = Path(marker)

    def step(self, action: Any) -> Any:
        if self.marker.exists():
            message = "it is not mended yet"
            raise RuntimeError(message)
        return self.env.step(action)


class NotANumber(gym.Wrapper[Any, Any, Any, Any]):
    """Rewards with NaN."""

    def step(self, action: Any) -> Any:
        observation, _, terminated, truncated, info = self.env.step(action)
        return observation, float("nan"), terminated, truncated, info
