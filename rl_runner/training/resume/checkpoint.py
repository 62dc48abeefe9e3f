"""What a checkpoint holds, and how it is written and read.

A *regular* checkpoint is written between two segments: the agent and its state, the evaluations so
far, and how far the run is. An *exit* checkpoint is written mid-segment, when a run is asked to
stop. It also holds what belongs to the open episodes: what the agent remembers of them, the actions
that the environments were given since the segment began, and the normalisation statistics with
which it began.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.logger import Logger

from rl_runner.agents.open_episodes import save_open_episodes
from rl_runner.agents.protocol import Agent
from rl_runner.agents.saving import save_agent
from rl_runner.agents.state import save_state
from rl_runner.arrays import load_arrays, save_arrays
from rl_runner.layout import EVALUATIONS, HISTORY, PROGRESS
from rl_runner.runs.folder import RunFolder
from rl_runner.training.resume.replay import ActionHistory

STATISTICS = "statistics/"  # the prefix of their arrays in HISTORY
FORMAT = 2  # of checkpoints; raise it when what they hold changes


@dataclass(frozen=True)
class SavedProgress:
    """How far a run was at a checkpoint, and which part of its folder belongs to it.

    Apart from the agent, this is all that a run resumes from.
    """

    timesteps: int = 0
    segment: int = 0  # its index
    segment_began_at: int = 0  # timesteps
    last_counted: int | None = None  # iterations or episodes, by the algorithm's logging interval
    last_rollout_at: int = 0  # timesteps at which the algorithm last wrote its metrics
    seconds: float = 0.0  # of training
    outputs: Mapping[str, int] = field(default_factory=dict)  # bytes of each growing file
    periodic: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # states of callbacks
    callbacks: Sequence[Mapping[str, Any]] = ()  # states of the user's own, in the config's order
    stopped_by: str = ""  # the user's callback that ended training
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
    """Fill a checkpoint's folder with all but what belongs to open episodes."""
    save_agent(agent, folder, weights_file)
    save_state(agent, folder, replay_buffer=replay_buffer)
    save_arrays(folder / EVALUATIONS, evaluations)
    document = {"format": FORMAT, **asdict(progress)}
    (folder / PROGRESS).write_text(json.dumps(document), encoding="utf-8")


def write_open_segment(
    folder: Path, agent: Agent, history: ActionHistory, statistics: Mapping[str, np.ndarray]
) -> None:
    """Add what belongs to the open episodes, which makes it an exit checkpoint.

    :param statistics: of normalisation, when the segment began
    """
    save_open_episodes(agent, folder)
    prefixed = {f"{STATISTICS}{name}": array for name, array in statistics.items()}
    save_arrays(folder / HISTORY, {**history.arrays(), **prefixed})


def is_exit(checkpoint: Path) -> bool:
    """Whether a checkpoint was written mid-segment."""
    return (checkpoint / HISTORY).exists()


def read_open_segment(checkpoint: Path) -> tuple[ActionHistory, dict[str, np.ndarray]]:
    """Return the actions since the segment began, and the statistics with which it began."""
    arrays = load_arrays(checkpoint / HISTORY)
    statistics = {
        name.removeprefix(STATISTICS): array
        for name, array in arrays.items()
        if name.startswith(STATISTICS)
    }
    return ActionHistory.from_arrays(arrays), statistics


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

    :param note: is given a message for each that is skipped
    :return: None and no progress if there is none
    """
    too_long: tuple[Path | None, SavedProgress] = None, SavedProgress()
    # Take the newest one that can be read and whose outputs are all there.
    for place in run.checkpoints.whole_ones(note):
        try:
            progress = read_progress(place)
        except (OSError, ValueError, TypeError, AttributeError) as error:
            note(f"{place} cannot be read: {error!r}; it is skipped.")
            continue
        if progress is None:
            note(f"{place} was written by another version; it is skipped.")
        elif missing := run.measurements.outputs.missing(progress.outputs):
            note(f"{missing[0]} is too short for {place}; it is skipped.")
            too_long = place, progress
        else:
            return place, progress
    return too_long  # its outputs cannot be restored, and the error will say so


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
    """Record again what :func:`pending_metrics` returned."""
    logger.name_to_value.clear()
    logger.name_to_value.update(pending["values"])
    logger.name_to_count.clear()
    logger.name_to_count.update(pending["counts"])
    logger.name_to_excluded.clear()
    logger.name_to_excluded.update({k: tuple(v) for k, v in pending["excluded"].items()})


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
