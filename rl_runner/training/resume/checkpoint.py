"""What a checkpoint holds: the agent and its state, the evaluations, and how far the run is."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rl_runner.agents.protocol import Agent
from rl_runner.agents.saving import save_agent
from rl_runner.agents.state import save_state
from rl_runner.arrays import load_arrays, save_arrays
from rl_runner.runs.folder import RunFolder
from rl_runner.runs.layout import EVALUATIONS, PROGRESS

FORMAT = 2  # of checkpoints; raise it when what they hold changes


@dataclass(frozen=True)
class SavedProgress:
    """How far a run was at a checkpoint, and what of its folder belongs to that; at first nothing.

    Beside the agent this is all that a run goes on from.
    """

    timesteps: int = 0
    segment: int = 0  # its index
    segment_began_at: int = 0  # timesteps
    last_counted: int | None = None  # iterations or episodes, by the algorithm's logging interval
    last_rollout_at: int = 0  # timesteps at which the algorithm last wrote its metrics
    seconds: float = 0.0  # of training
    outputs: Mapping[str, int] = field(default_factory=dict)  # bytes of each growing file
    periodic: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # states of callbacks
    recent_returns: tuple[float, ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)  # collected, and not yet written


def write_contents(
    folder: Path,
    agent: Agent,
    weights_file: str,
    evaluations: Mapping[str, np.ndarray],
    progress: SavedProgress,
    *,
    replay_buffer: bool,
) -> None:
    """Fill a checkpoint's folder; open episodes are left out."""
    save_agent(agent, folder, weights_file)
    save_state(agent, folder, replay_buffer=replay_buffer)
    save_arrays(folder / EVALUATIONS, evaluations)
    document = {"format": FORMAT, **asdict(progress)}
    (folder / PROGRESS).write_text(json.dumps(document), encoding="utf-8")


def read_progress(checkpoint: Path) -> SavedProgress | None:
    """Return how far a whole checkpoint is; None if another version wrote it."""
    document = json.loads((checkpoint / PROGRESS).read_text(encoding="utf-8"))
    if document.pop("format", None) != FORMAT:
        return None
    return SavedProgress(**document)


def read_evaluations(checkpoint: Path) -> dict[str, np.ndarray]:
    """Return the evaluations up to a whole checkpoint."""
    return load_arrays(checkpoint / EVALUATIONS)


def newest_checkpoint(
    run: RunFolder, note: Callable[[str], None]
) -> tuple[Path | None, SavedProgress]:
    """Return the newest whole checkpoint that this version wrote, and how far it is.

    :param note: hears of those that are passed over
    :return: None and no progress if there is none
    """
    too_long: tuple[Path | None, SavedProgress] = None, SavedProgress()
    for place in run.checkpoints.whole_ones(note):
        progress = read_progress(place)
        if progress is None:
            note(f"{place} was written by another version; it is passed over.")
        elif missing := run.outputs.missing(progress.outputs):
            note(f"{missing[0]} is too short for {place}; it is passed over.")
            too_long = place, progress
        else:
            return place, progress
    return too_long  # its outputs cannot be restored, and the error will say so
