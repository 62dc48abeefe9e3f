"""A wrapper that fills the disk at a chosen step of its process, evaluations included."""

from pathlib import Path
from typing import Any

import gymnasium as gym

n_steps = 0
fill_at = 0  # never
filler = Path()


def prepare(at: int, file: Path) -> None:
    """Let the ``at``-th step from now fill the disk on which ``file`` is; 0: none."""
    global n_steps, fill_at, filler
    n_steps, fill_at, filler = 0, at, file


def fill(file: Path) -> None:
    """Write until there is no space left, to the last byte."""
    size = 65536
    with file.open("wb", buffering=0) as out:
        while size:
            try:
                out.write(bytes(size))
            except OSError:
                size //= 2


class FillsTheDisk(gym.Wrapper[Any, Any, Any, Any]):
    def step(self, action: Any) -> Any:
        global n_steps  # noqa: PLW0603
        n_steps += 1
        if n_steps == fill_at:
            fill(filler)
        return self.env.step(action)
