"""Callbacks as people write them, which tests name in configs."""

from collections import deque
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback


class Nudge(BaseCallback):
    """Counts, keeps random state, and changes parameters by both: a lost state is seen in weights.

    It looks at nothing that only SB3's loop has.
    """

    def __init__(self, every: int = 7, window: tuple[int, ...] = (3,)) -> None:
        super().__init__()
        assert isinstance(window, tuple)
        self.every = every
        self.rng = np.random.default_rng(5)
        self.recent: deque[float] = deque(maxlen=window[0])
        self.sums = np.zeros(2)
        self.seen: dict[Any, Any] = {"steps": 0, 3: (1, 2)}

    def _on_training_start(self) -> None:
        self.seen["steps"] = 0  # as people reset what they count

    def _on_step(self) -> bool:
        self.seen["steps"] += 1
        self.recent.append(float(self.rng.normal()))
        self.sums[self.seen["steps"] % 2] += self.recent[-1]
        policy = getattr(self.model, "policy", None)
        if self.seen["steps"] % self.every == 0 and policy is not None:
            with torch.no_grad():
                first = next(iter(policy.parameters()))
                first.add_(1e-3 * float(self.sums.sum() + sum(self.recent)))
        self.logger.record("own/steps", self.seen["steps"])
        return True


class Rewards(BaseCallback):
    """Reads the variables of SB3's loop."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0.0

    def _on_step(self) -> bool:
        self.total += float(np.sum(self.locals["rewards"]))
        self.logger.record("own/total", self.total)
        return True


class Enough(BaseCallback):
    """Ends training after some calls."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.calls = calls

    def _on_step(self) -> bool:
        return self.n_calls < self.calls
