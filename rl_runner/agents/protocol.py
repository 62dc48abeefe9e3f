"""What training, evaluation and exact resuming need from an agent.

Every SB3 and sb3-contrib algorithm satisfies :class:`Agent`; our own do through
:class:`rl_runner.agents.handwritten.HandwrittenAgent`. No layer above this one asks which algorithm
it is dealing with.
"""

import inspect
from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, runtime_checkable

from rl_runner.policy import Policy

if TYPE_CHECKING:
    import gymnasium as gym
    from stable_baselines3.common.logger import Logger
    from stable_baselines3.common.type_aliases import MaybeCallback
    from stable_baselines3.common.vec_env import VecEnv, VecNormalize


class Agent(Policy, Protocol):
    """Something that learns in a vectorised environment and can be asked for actions.

    **State.** A run that resumes builds a new agent from the same config and seed and fills it from
    a checkpoint. Whatever an agent has learned or counted must therefore be in one of these places:

    1. in the file that :meth:`save` writes: parameters, the optimiser's state, and random
       generators of the agent's own;
    2. in attributes that hold a plain number (bool, int, float): timesteps, updates, episodes, ε.
       They are found by type and saved by name (:mod:`rl_runner.agents.state`);
    3. in ``ep_info_buffer`` (the recent episodes) and, of off-policy agents, ``replay_buffer``;
    4. in the generators of Python, NumPy, torch and ``action_space``, which are saved as well.

    Everything else is lost and has to follow from the config.

    **Open episodes.** What an agent remembers of episodes that are not over (the last observation,
    the action already chosen, a recurrent state) must be in attributes whose names begin with
    ``_last_``. Each is an array or tensor whose first axis is the environment, or a dictionary or
    tuple of them. ``learn`` creates new ones at its start. A run that resumes mid-episode then
    sets them at the first ``on_rollout_start`` (:mod:`rl_runner.agents.open_episodes`), and the
    generators of place 4 with them. So ``learn`` has to read them after that call, not from local
    variables of before it, and before that call it must leave all other state alone, random
    generators of the agent's own included.

    **Where nothing is half-done.** ``learn`` must call ``callback.on_rollout_start`` whenever it is
    about to collect experience and has learned from all that it collected before. There, and only
    there, a checkpoint is written, and all state is in the places above. The call may raise to end
    ``learn``; the exception must pass through.
    """

    num_timesteps: int
    action_space: "gym.Space[Any]"

    @abstractmethod
    def learn(
        self,
        total_timesteps: int,
        callback: "MaybeCallback" = None,
        *,
        log_interval: int = 1,
        reset_num_timesteps: bool = True,
    ) -> Self:
        """Interact for at least ``total_timesteps`` environment timesteps and learn.

        Calls the callback as SB3 does: ``on_training_start`` once; ``on_rollout_start``,
        ``on_step`` after each step of all environments (or as rarely as :class:`PacedCallback`
        allows) and ``on_rollout_end`` in turn; ``on_training_end`` once. Ends early if ``on_step``
        returns False. ``num_timesteps`` is up to date at every call.

        :param log_interval: iterations or episodes between two writes of the metrics. Ask
            ``counter % log_interval == 0`` once for each value of the counter, or compare it with a
            difference of counters that are attributes
        :param reset_num_timesteps: False continues to count, and schedules follow the sum of
            ``num_timesteps`` so far and ``total_timesteps``
        """

    @abstractmethod
    def save(self, path: str) -> None:
        """Write what it has learned to one file."""

    def dump_logs(self) -> None:
        """Write the metrics of the present rollout and update."""

    @property
    def logger(self) -> "Logger":
        """Where its metrics go."""

    def set_logger(self, logger: "Logger") -> None:
        """Send its metrics to ``logger``."""

    def get_env(self) -> "VecEnv | None":
        """Return the environment it learns in."""

    def get_vec_normalize_env(self) -> "VecNormalize | None":
        """Return the normalising layer of that environment, if there is one."""


@runtime_checkable
class PacedCallback(Protocol):
    """A callback that says when it has to be called next.

    An agent that learns many steps at a time in compiled code calls back when the earliest of its
    callbacks is due. A callback without ``next_timestep`` is called after every step.
    """

    @property
    def next_timestep(self) -> float:
        """The environment timesteps at which it is due; infinity if it needs no call of its own."""


class UnseenEpisode(NamedTuple):
    """A finished training episode that was played without stepping the environment."""

    timestep: int  # environment timesteps of the whole run when it ended
    episode_return: float  # undiscounted
    length: int
    terminated: bool  # False: the episode was truncated


@runtime_checkable
class EpisodeSink(Protocol):
    """An environment that records episodes played elsewhere.

    The outermost layer of a training environment writes episodes.csv from the steps it sees. An
    agent that plays by a transition table in compiled code takes none of them and has to report its
    finished episodes here, in order, before it calls back.
    """

    def record_unseen(self, episodes: Iterable[UnseenEpisode]) -> None:
        """Record finished episodes."""


def takes_action_masks(agent_class: type[Any]) -> bool:
    """Whether an agent of this class needs to know which actions are valid."""
    return "action_masks" in inspect.signature(agent_class.predict).parameters
