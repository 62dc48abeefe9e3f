"""What a checkpoint holds: the agent and its state, the evaluations, and how far the run is."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rl_runner.agents.protocol import Agent
from rl_runner.agents.state import save_state
from rl_runner.arrays import load_arrays, save_arrays
from rl_runner.evaluation.saved_agent import save_agent
from rl_runner.runs.folder import RunFolder

PROGRESS = "progress.json"
EVALUATIONS = "evaluations.npz"
FORMAT = 2  # of checkpoints; raise it when what they hold changes


def write_contents(
    folder: Path,
    agent: Agent,
    weights_file: str,
    evaluations: Mapping[str, np.ndarray],
    progress: Mapping[str, Any],
    *,
    replay_buffer: bool,
) -> None:
    """Fill a checkpoint's folder; open episodes are left out."""
    save_agent(agent, folder, weights_file)
    save_state(agent, folder, replay_buffer=replay_buffer)
    save_arrays(folder / EVALUATIONS, evaluations)
    (folder / PROGRESS).write_text(json.dumps({"format": FORMAT, **progress}), encoding="utf-8")


def read_progress(checkpoint: Path) -> dict[str, Any]:
    """Return how far a whole checkpoint is, and what of the run belongs to it."""
    progress: dict[str, Any] = json.loads((checkpoint / PROGRESS).read_text(encoding="utf-8"))
    return progress


def read_evaluations(checkpoint: Path) -> dict[str, np.ndarray]:
    """Return the evaluations up to a whole checkpoint."""
    return load_arrays(checkpoint / EVALUATIONS)


def newest_checkpoint(run: RunFolder, note: Callable[[str], None]) -> Path | None:
    """Return the newest whole checkpoint that this version wrote; None if there is none.

    :param note: hears of those that are passed over
    """
    too_long = None
    for place in run.checkpoints.whole_ones(note):
        progress = read_progress(place)
        if progress.get("format") != FORMAT:
            note(f"{place} was written by another version; it is passed over.")
        elif missing := run.outputs.missing(progress["outputs"]):
            note(f"{missing[0]} is too short for {place}; it is passed over.")
            too_long = place
        else:
            return place
    return too_long  # its outputs cannot be restored, and the error will say so
