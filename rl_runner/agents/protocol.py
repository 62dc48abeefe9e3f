"""What the road needs of an agent: the methods that SB3's callbacks and evaluation touch.

Every SB3 and sb3-contrib algorithm has them; our own have them through
:class:`rl_runner.agents.handwritten.HandwrittenAgent`. Nothing above this layer asks which
algorithm it is dealing with.
"""

import inspect
from typing import TYPE_CHECKING, Any, Protocol, Self

from rl_runner.policy import Policy

if TYPE_CHECKING:
    from stable_baselines3.common.logger import Logger
    from stable_baselines3.common.type_aliases import MaybeCallback
    from stable_baselines3.common.vec_env import VecEnv, VecNormalize


class Agent(Policy, Protocol):
    """Something that learns in a vectorised environment and can be asked for actions."""

    num_timesteps: int

    def learn(
        self,
        total_timesteps: int,
        callback: "MaybeCallback" = None,
        *,
        log_interval: int = 1,
        reset_num_timesteps: bool = True,
    ) -> Self:
        """Interact for at least ``total_timesteps`` environment timesteps and learn.

        :param log_interval: iterations or episodes between two writes of the metrics
        """

    def save(self, path: str) -> None:
        """Write what it has learned to one file."""

    def dump_logs(self) -> None:
        """Write the metrics of the present rollout and update."""

    @property
    def logger(self) -> "Logger":
        """Where its metrics go."""

    def set_logger(self, logger: "Logger") -> None:
        """Send its metrics there."""

    def get_env(self) -> "VecEnv | None":
        """Return the environment it learns in."""

    def get_vec_normalize_env(self) -> "VecNormalize | None":
        """Return the normalising layer of that environment, if there is one."""


def takes_action_masks(agent_class: type[Any]) -> bool:
    """Whether an agent of this class is to be told which actions are valid."""
    return "action_masks" in inspect.signature(agent_class.predict).parameters
