"""Whether two runs did the same, to the last bit."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.save_util import load_from_zip_file

from rl_runner.arrays import load_arrays
from rl_runner.runs.folder import RunFolder

TIMINGS = {"time/fps"}  # the only scalars that may differ


def differences(a: RunFolder, b: RunFolder) -> list[str]:
    """Compare two finished runs' weights, episodes, evaluations and TensorBoard curves.

    :return: what differs, in words; empty if nothing does (times aside)
    """
    found = list(_different_arrays("weights", read_weights(a.weights), read_weights(b.weights)))
    if _episodes(a) != _episodes(b):
        found.append("training episodes")
    found += _different_arrays("evaluations", a.load_evaluations(), b.load_evaluations())
    curves = _curves(a.tensorboard_dir), _curves(b.tensorboard_dir)
    found += [
        f"TensorBoard curve `{tag}`"
        for tag in sorted(curves[0].keys() | curves[1].keys())
        if curves[0].get(tag) != curves[1].get(tag)
    ]
    return found


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Return every array of a saved agent by name; nothing is unpickled."""
    if path.suffix == ".zip":
        _, parameters, variables = load_from_zip_file(path, load_data=False, device="cpu")
        return dict(_flat("", {**parameters, "variables": variables or {}}))
    if path.suffix == ".npz":
        return load_arrays(path)
    return dict(_flat("", torch.load(path, map_location="cpu", weights_only=True)))


def _flat(prefix: str, tree: Any) -> Iterator[tuple[str, np.ndarray]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _flat(f"{prefix}/{key}", value)
    elif isinstance(tree, list | tuple):
        for i, value in enumerate(tree):
            yield from _flat(f"{prefix}/{i}", value)
    elif isinstance(tree, torch.Tensor):
        yield prefix, tree.detach().numpy()
    elif isinstance(tree, int | float):
        yield prefix, np.array(tree)


def _different_arrays(
    what: str, a: dict[str, np.ndarray], b: dict[str, np.ndarray]
) -> Iterator[str]:
    for name in sorted(a.keys() | b.keys()):
        if name not in a or name not in b:
            yield f"{what}: `{name}` is in one of them only"
        elif not _equal(a[name], b[name]):
            yield f"{what}: `{name}`"


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return np.array_equal(a, b, equal_nan=np.issubdtype(a.dtype, np.floating))


def _episodes(run: RunFolder) -> list[list[str]]:
    """Return the rows of episodes.csv without their wall time, which is last."""
    with run.episodes_file.open(encoding="utf-8", newline="") as file:
        return [row[:-1] for row in csv.reader(file)]


def _curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
        if tag not in TIMINGS
    }
