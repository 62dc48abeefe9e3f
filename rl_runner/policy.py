"""The interface of every policy, trained or not: SB3's ``predict``."""

from abc import abstractmethod
from typing import Any, Protocol

import numpy as np


class Policy(Protocol):
    """A policy, with the signature that SB3's ``evaluate_policy`` expects."""

    @abstractmethod
    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """Return one action per observation of the batch, and the state to pass next time."""
