"""DQN whose ε falls by equal ratios from step to step; SB3's falls by equal differences."""

import inspect
from typing import Any

from stable_baselines3 import DQN

DECAY = 0.995


def _signature() -> inspect.Signature:
    """Return DQN's signature with ``exploration_decay`` instead of ``exploration_fraction``."""
    of_dqn = inspect.signature(DQN)
    decay = inspect.Parameter(
        "exploration_decay", inspect.Parameter.KEYWORD_ONLY, default=DECAY, annotation=float
    )
    kept = [item for name, item in of_dqn.parameters.items() if name != "exploration_fraction"]
    return of_dqn.replace(parameters=[*kept, decay])


class GeometricDQN(DQN):
    """SB3's DQN with ε = max(``exploration_final_eps``, initial ε · decayᵗ) at timestep t.

    ε depends on the timestep alone, so a run resumes exactly from a checkpoint. Its ``model.zip``
    has the format of DQN's.
    """

    __doc__ += (
        (DQN.__doc__ or "")
        + """
    :param exploration_decay: ε is multiplied by this after every timestep
    """
    )
    __signature__ = _signature()

    def __init__(self, *arguments: Any, exploration_decay: float = DECAY, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.exploration_decay = exploration_decay

    def _on_step(self) -> None:
        """Do what DQN does, and set ε for the next step."""
        super()._on_step()
        decayed = self.exploration_initial_eps * self.exploration_decay**self.num_timesteps
        self.exploration_rate = max(self.exploration_final_eps, decayed)
        self.logger.record("rollout/exploration_rate", self.exploration_rate)
