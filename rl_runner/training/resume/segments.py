"""Training in segments, so that a run that was stopped goes on exactly where it was.

Between two segments everything that the next one needs goes to disk, and then *every* run goes on
from what is on disk: a fresh agent is built from the config and filled from the checkpoint, the
environments are reset on seeds derived from (run seed, segment), the open episodes are thus
truncated. A run that was never stopped does the same, so that both are equal by construction, for
every algorithm and every environment whose episodes follow from their seeds; no environment is
ever pickled.

A run that is asked to stop does not wait for the end of its segment: it writes an *exit
checkpoint*, which holds what belongs to the open episodes too (:mod:`.exits`),
and goes on later in their midst. A run that was never stopped has nothing like it, so that here
equality is not by construction: everything has to be put back.

Both happen where an agent is about to collect new experience, right after an update: there SB3
calls ``on_rollout_start``, and nothing is half-done.
"""

import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger

from rl_runner.agents.protocol import Agent
from rl_runner.training.reporting import StopRequest

PATIENCE = 5.0  # seconds that a run asked to stop may take to come where nothing is half-done


class SegmentEnd(Exception):  # noqa: N818 - control flow, not an error
    """Raised through ``learn`` where a segment ends; nothing went wrong."""


class Leaving(Exception):  # noqa: N818 - control flow, not an error
    """Raised through ``learn`` where a run that was asked to stop can leave its segment."""


class Interrupted(Exception):  # noqa: N818 - control flow, not an error
    """Raised when the run has stopped because it was asked to.

    :param timesteps: how far it was
    """

    def __init__(self, timesteps: int) -> None:
        super().__init__(timesteps)
        self.timesteps = timesteps


class LoggingInterval(int):
    """How many iterations or episodes lie between two writes of an algorithm's own metrics.

    Algorithms ask for ``counter % log_interval`` after each of them. The counter of some is the
    agent's and goes on with it, that of others (A2C, PPO) begins anew in each ``learn``. A run that
    goes on in the middle of a segment must count on as if there had been one ``learn`` only.
    """

    last: int | None = None  # what the counter was, counted through, when last asked
    _ahead: int | None = None

    @classmethod
    def of(cls, agent: Agent, last: int | None) -> Self:
        """Return an algorithm's own interval, counted on from ``last``; None begins anew."""
        interval = cls(inspect.signature(agent.learn).parameters["log_interval"].default)
        interval.last = last
        return interval

    def __rmod__(self, counter: int) -> int:
        """Return the remainder of ``counter``, which is one more than when last asked."""
        if self._ahead is None:
            self._ahead = 0 if self.last is None else self.last + 1 - counter
        self.last = counter + self._ahead
        return self.last % int(self)


@dataclass
class Segment:
    """What a run must know of its open segment to leave it and come back."""

    index: int = 0
    began_at: int = 0  # timesteps
    last_counted: int | None = None  # by LoggingInterval, before the run left
    statistics: Mapping[str, np.ndarray] = field(default_factory=dict)  # of normalisation, at first

    def ends_at(self, every: int, total: int) -> int:
        """Return the timesteps from which on the next one may begin."""
        return min(total, (self.began_at // every + 1) * every)


class SegmentCallback(BaseCallback):
    """Ends the segment at the first clean point from ``ends_at`` timesteps on.

    :param stop: set when somebody asks the run to stop: it then leaves at the next clean point if
        that comes within seconds, and otherwise at once, to go on from the last checkpoint; a
        hopeless run ends at once
    :param put_back: puts the agent back into open episodes, at the clean point where it left them
    """

    def __init__(
        self, ends_at: int, stop: StopRequest, put_back: Callable[[Any], None] | None = None
    ) -> None:
        super().__init__()
        self.ends_at = ends_at
        self.stop = stop
        self._put_back = put_back
        self._saved_at = 0  # timesteps
        self._asked_at: float | None = None  # seconds

    def _on_training_start(self) -> None:
        self._saved_at = self.model.num_timesteps

    @property
    def next_timestep(self) -> int:
        """When it has to be called again; agents that learn in great strides heed it."""
        return self.ends_at

    def _on_rollout_start(self) -> None:
        if self._put_back is not None:
            put_back, self._put_back = self._put_back, None
            put_back(self.model)
        timesteps = self.model.num_timesteps
        if timesteps >= self.ends_at:
            raise SegmentEnd
        if self.stop.is_set():
            if self.stop.hopeless or timesteps == self._saved_at:
                raise Interrupted(timesteps)
            raise Leaving

    def _on_step(self) -> bool:
        if self.stop.is_set() and (self.stop.hopeless or self._seconds_asked() > PATIENCE):
            raise Interrupted(self.model.num_timesteps)
        return True

    def _seconds_asked(self) -> float:
        """Return how long ago the wish to stop was first noticed."""
        now = time.monotonic()
        self._asked_at = self._asked_at or now
        return now - self._asked_at


def pending_metrics(logger: Logger) -> dict[str, Any]:
    """Return what was recorded but not yet written: SB3 writes an update's metrics a rollout later.

    :return: plain values, for JSON
    """
    return {
        "values": {k: _plain(v) for k, v in logger.name_to_value.items()},
        "counts": dict(logger.name_to_count),
        "excluded": {k: list(v) for k, v in logger.name_to_excluded.items()},
    }


def restore_metrics(logger: Logger, pending: Mapping[str, Any]) -> None:
    """Go on from :func:`pending_metrics`."""
    logger.name_to_value.clear()
    logger.name_to_value.update(pending["values"])
    logger.name_to_count.clear()
    logger.name_to_count.update(pending["counts"])
    logger.name_to_excluded.clear()
    logger.name_to_excluded.update({k: tuple(v) for k, v in pending["excluded"].items()})


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
