"""Whether a run that was run again came out the same: bit by bit, or as far as chance allows."""

import csv
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from stable_baselines3.common.save_util import load_from_zip_file

from rl_runner.arrays import load_arrays
from rl_runner.runs.folder import RunFolder

Verdict = Literal["bit-equal", "statistically equal", "different"]
ERROR_RATE = 0.01  # of calling two equal agents different
TIMINGS = {"time/fps"}  # the only TensorBoard scalars that may differ
SURROUNDINGS = ("versions", "machine", "git")


@dataclass(frozen=True)
class Metric:
    """A number of the first run beside that of the second."""

    name: str
    before: float
    after: float
    p_value: float | None  # of the two being one, by Welch's test over episodes; None: not tested


@dataclass(frozen=True)
class Reproduction:
    """A finished run, and what came of running it again."""

    verdict: Verdict
    differences: list[str]  # what is not bit-equal, in words
    metrics: list[Metric]
    weights: tuple[str, str]  # SHA-256 over the arrays of each
    surroundings: list[str]  # what differs in packages, machine and commit, in words

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


def compare_runs(before: RunFolder, after: RunFolder) -> Reproduction:
    """Compare a finished run with its repetition.

    They are ``statistically equal`` if Welch's test over the held-out episodes does not tell the
    agents apart at an error rate of 1 % together. That is no proof: few episodes tell little.

    :raises RunFolderError: if a record or the evaluations cannot be read
    """
    found = differences(before, after)
    records = before.read_record(), after.read_record()
    metrics = list(_metrics(*records))
    weights = weights_hash(before.weights), weights_hash(after.weights)
    verdict: Verdict = "bit-equal"
    if found or any(metric.before != metric.after for metric in metrics):
        tested = [metric.p_value for metric in metrics if metric.p_value is not None]
        alike = all(p >= ERROR_RATE / len(tested) for p in tested)
        verdict = "statistically equal" if alike else "different"
    return Reproduction(verdict, found, metrics, weights, _surroundings(*records))


def weights_hash(path: Path) -> str:
    """Return SHA-256 over the names, shapes and bytes of a saved agent's arrays, in hex.

    The file itself would not do: a zip holds times.
    """
    digest = hashlib.sha256()
    for name, array in sorted(read_weights(path).items()):
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _metrics(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Metric]:
    metrics = []
    for agent in ("last", "best"):
        a, b = before["results"][agent], after["results"][agent]
        name = f"{agent} agent, mean reward"
        metrics.append(Metric(name, a["mean_reward"], b["mean_reward"], _welch(a, b)))
        if "exact_mean_reward" in a and "exact_mean_reward" in b:
            exact = a["exact_mean_reward"], b["exact_mean_reward"]
            metrics.append(Metric(f"{agent} agent, exactly", *exact, None))
    return metrics


def _welch(a: Mapping[str, Any], b: Mapping[str, Any]) -> float:
    """Return the p value of two means being one, from means, deviations and numbers."""
    from scipy.stats import ttest_ind_from_stats

    if a["std_reward"] == b["std_reward"] == 0.0:  # no spread: the test would divide by it
        return 1.0 if a["mean_reward"] == b["mean_reward"] else 0.0
    of_a, of_b = ([x["mean_reward"], x["std_reward"], x["n_episodes"]] for x in (a, b))
    return float(ttest_ind_from_stats(*of_a, *of_b, equal_var=False).pvalue)


def _surroundings(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Say what differs in packages, machine and commit."""
    lines = []
    for section in SURROUNDINGS:
        a, b = before.get(section), after.get(section)
        for key in sorted({*(a or {}), *(b or {})}):
            then, now = ((x or {}).get(key, "unknown") for x in (a, b))
            if then != now:
                lines.append(f"{section}, {key}: {then} then, {now} now")
    return lines


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
