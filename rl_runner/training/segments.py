"""Training in segments, so that a run that was stopped goes on exactly where it was.

At a checkpoint everything that the next segment needs goes to disk, and then *every* run goes on
from what is on disk: a fresh agent is built from the config and filled from the checkpoint, the
environments are reset on seeds derived from (run seed, segment), the open episodes are thus
truncated. A run that was never stopped does the same, so that both are equal by construction, for
every algorithm and every environment whose episodes follow from their seeds; no environment is
ever pickled.

A segment ends where an agent is about to collect new experience, right after an update: there SB3
calls ``on_rollout_start``, and nothing is half-done.
"""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger

from rl_runner.training.reporting import StopRequest

PATIENCE = 5.0  # seconds that a run may take to reach its next checkpoint when asked to stop


class SegmentEnd(Exception):  # noqa: N818 - control flow, not an error
    """Raised through ``learn`` where a segment ends; nothing went wrong."""


class Interrupted(Exception):  # noqa: N818 - control flow, not an error
    """Raised through ``learn`` when the run was asked to stop."""


class SegmentCallback(BaseCallback):
    """Ends the segment at the first clean boundary from ``ends_at`` timesteps on.

    :param stop: set when somebody asks the run to stop: it then ends at its next checkpoint if
        that is seconds away, and otherwise at once, to go on from the last one; a hopeless run
        ends at once
    """

    def __init__(self, ends_at: int, stop: StopRequest) -> None:
        super().__init__()
        self.ends_at = ends_at
        self.stop = stop
        self._began = (0, 0.0)  # timesteps, seconds

    def _on_training_start(self) -> None:
        self._began = (self.model.num_timesteps, time.monotonic())

    @property
    def next_timestep(self) -> int:
        """When it has to be called again; agents that learn in great strides heed it."""
        return self.ends_at

    def _on_rollout_start(self) -> None:
        if self.model.num_timesteps >= self.ends_at:
            raise SegmentEnd

    def _on_step(self) -> bool:
        if self.stop.is_set() and (self.stop.hopeless or self._seconds_left() > PATIENCE):
            raise Interrupted
        return True

    def _seconds_left(self) -> float:
        timesteps, started = self._began
        done = max(1, self.num_timesteps - timesteps)
        return (self.ends_at - self.num_timesteps) * (time.monotonic() - started) / done


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
