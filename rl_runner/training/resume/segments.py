"""Training in segments, and why a run that was interrupted resumes exactly.

Training is divided into segments. Between two of them everything that the next one needs is written
to disk, and then *every* run continues from what is on disk: a new agent is built from the config
and filled from the checkpoint, and the environments are reset on seeds derived from (run seed,
segment). Episodes that were open are thereby truncated. An uninterrupted run does the same, so the
two are equal by construction, for every algorithm and every environment whose episodes follow from
their seeds. No environment is ever pickled.

A run that is asked to stop does not wait for the end of its segment. It writes an *exit
checkpoint*, which holds what belongs to the open episodes too, and resumes mid-segment later. An
uninterrupted run does nothing of the kind, so here equality is not by construction: everything has
to be restored (:mod:`.replay` for the environments, :mod:`rl_runner.agents.open_episodes` for the
agent).

Both happen where the agent is about to collect new experience, right after an update. SB3 calls
``on_rollout_start`` there, and nothing is half-done.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from rl_runner.training.reporting import Interrupted, StopRequest

PATIENCE = 5.0  # seconds that a run asked to stop may take to come where nothing is half-done


class SegmentEnd(Exception):  # noqa: N818 - control flow, not an error
    """Raised through ``learn`` where a segment ends.

    An exception, because SB3 asks callbacks whether to continue only after a step, mid-rollout.
    """


@dataclass
class Segment:
    """What a run must know of its open segment to stop in it and resume it."""

    index: int = 0
    began_at: int = 0  # timesteps
    last_counted: int | None = None  # by LoggingInterval, when the run stopped
    statistics: Mapping[str, np.ndarray] = field(default_factory=dict)  # of normalisation, at first

    def ends_at(self, every: int, total: int) -> int:
        """Return the timesteps from which on the next one may begin."""
        return min(total, (self.began_at // every + 1) * every)


class SegmentCallback(BaseCallback):
    """Ends the segment at the first rollout start from ``ends_at`` timesteps on.

    When the run is asked to stop, it writes an exit checkpoint and stops at the next rollout start,
    if that comes within :data:`PATIENCE`. Otherwise it stops mid-rollout, and will resume from its
    last checkpoint. A hopeless run stops at its next step and saves nothing.

    :param stop: set when somebody asks the run to stop
    :param write_exit_checkpoint: writes one of the agent
    :param restore: called at the first rollout start with the agent, which it puts back into the
        open episodes; None if the segment is a new one
    """

    def __init__(
        self,
        ends_at: int,
        stop: StopRequest,
        write_exit_checkpoint: Callable[[Any], None],
        restore: Callable[[Any], None] | None = None,
    ) -> None:
        super().__init__()
        self.ends_at = ends_at
        self.stop = stop
        self._write_exit_checkpoint = write_exit_checkpoint
        self._restore = restore
        self._saved_at = 0  # timesteps
        self._asked_at: float | None = None  # seconds

    @property
    def next_timestep(self) -> int:
        """When it has to be called again (:class:`rl_runner.agents.protocol.PacedCallback`)."""
        return self.ends_at

    def _on_training_start(self) -> None:
        self._saved_at = self.model.num_timesteps

    def _on_rollout_start(self) -> None:
        if self._restore is not None:
            restore, self._restore = self._restore, None
            restore(self.model)
        timesteps = self.model.num_timesteps
        if timesteps >= self.ends_at:
            raise SegmentEnd
        if self.stop.is_set():
            if not self.stop.hopeless and timesteps > self._saved_at:
                self._write_exit_checkpoint(self.model)
            raise Interrupted(timesteps)

    def _on_step(self) -> bool:
        if self.stop.is_set() and (self.stop.hopeless or self._seconds_since_asked() > PATIENCE):
            raise Interrupted(self.model.num_timesteps)
        return True

    def _seconds_since_asked(self) -> float:
        """Return how long ago the request to stop was first noticed."""
        now = time.monotonic()
        self._asked_at = self._asked_at or now
        return now - self._asked_at
