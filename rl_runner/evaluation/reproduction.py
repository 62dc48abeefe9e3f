"""Whether two runs of the same config and seed have the same result: bit for bit, or statistically.

:func:`differences` compares two runs bit for bit: weights, episodes, evaluations, TensorBoard.
:func:`compare_runs` adds a statistical test for runs that are not bit-equal.
"""

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
from rl_runner.errors import Problem, RunFolderError
from rl_runner.runs.folder import RunFolder
from rl_runner.runs.record import AgentResult, RunRecord

Verdict = Literal["bit-equal", "statistically equal", "different"]
ERROR_RATE = 0.01  # how often two equal agents are called different
FEWEST_EPISODES = 5  # of each, for a test
TIMINGS = {"time/fps"}  # the only TensorBoard scalars that may differ


@dataclass(frozen=True)
class Metric:
    """A result of the first run and of the second."""

    name: str
    before: float
    after: float
    p_value: float | None  # of Welch's test over episodes; None if not tested


@dataclass(frozen=True)
class Reproduction:
    """The comparison of a finished run with its repetition."""

    verdict: Verdict
    differences: list[str]  # a phrase for each thing that is not bit-equal
    metrics: list[Metric]
    weights: tuple[str, str]  # SHA-256 of the arrays of each
    surroundings: list[str]  # a line for each difference in code, packages, machine and commit

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


def compare_runs(before: RunFolder, after: RunFolder) -> Reproduction:
    """Compare a finished run with its repetition.

    They are ``statistically equal`` if Welch's tests over the held-out episodes find no difference
    at an error rate of 1 % together. That does not prove equality: with few episodes, small
    differences are not found. With fewer than five there is no test, and they are ``different``.

    :raises RunFolderError: if a record or the evaluations cannot be read
    """
    # Compare bit for bit.
    found = differences(before, after)
    records = _record(before), _record(after)
    metrics = list(_metrics(*records))
    weights = weights_hash(before.agents.weights), weights_hash(after.agents.weights)
    # If anything differs, let the tests decide; the error rate is shared among them (Bonferroni).
    verdict: Verdict = "bit-equal"
    if found or any(metric.before != metric.after for metric in metrics):
        tested = [metric.p_value for metric in metrics if metric.p_value is not None]
        alike = bool(tested) and all(p >= ERROR_RATE / len(tested) for p in tested)
        verdict = "statistically equal" if alike else "different"
    return Reproduction(verdict, found, metrics, weights, _surroundings(*records))


def weights_hash(path: Path) -> str:
    """Return the SHA-256 of the names, shapes and bytes of a saved agent's arrays, in hex.

    Hashing the file would not work, since a zip contains times.
    """
    digest = hashlib.sha256()
    for name, array in sorted(read_weights(path).items()):
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _record(run: RunFolder) -> RunRecord:
    """Return the record of a finished run."""
    record = run.read_record()
    if record is None or not record.is_finished:
        raise RunFolderError(Problem("Only a finished run can be compared.", str(run.path)))
    return record


def _metrics(before: RunRecord, after: RunRecord) -> Iterator[Metric]:
    for agent, a, b in (("last", before.last, after.last), ("best", before.best, after.best)):
        if a.mean_reward is not None and b.mean_reward is not None:
            name = f"{agent} agent, mean reward"
            yield Metric(name, a.mean_reward, b.mean_reward, _welch(a, b))
        if a.exact_mean_reward is not None and b.exact_mean_reward is not None:
            exact = a.exact_mean_reward, b.exact_mean_reward
            yield Metric(f"{agent} agent, exact mean reward", *exact, None)


def _welch(a: AgentResult, b: AgentResult) -> float | None:
    """Return the p value of two equal means, from means, standard deviations and sample sizes.

    None with fewer than five episodes, which do not show how much returns vary.
    """
    from scipy.stats import ttest_ind_from_stats

    if min(a.n_episodes, b.n_episodes) < FEWEST_EPISODES:
        return None
    if a.std_reward == b.std_reward == 0.0:  # the test would divide by zero
        return 1.0 if a.mean_reward == b.mean_reward else 0.0
    of_a, of_b = ([x.mean_reward, x.std_reward, x.n_episodes] for x in (a, b))
    return float(ttest_ind_from_stats(*of_a, *of_b, equal_var=False).pvalue)


def _surroundings(before: RunRecord, after: RunRecord) -> list[str]:
    """Return a line for each difference in code, packages, machine and commit."""
    sections = {
        "code": (before.code, after.code),
        "versions": (before.versions, after.versions),
        "machine": (before.machine, after.machine),
        "git": (_commit(before), _commit(after)),
    }
    return [
        f"{section}, {key}: {a.get(key, 'unknown')} before, {b.get(key, 'unknown')} now"
        for section, (a, b) in sections.items()
        for key in sorted({*a, *b})
        if a.get(key, "unknown") != b.get(key, "unknown")
    ]


def _commit(record: RunRecord) -> Mapping[str, str | bool | None]:
    """Return the commit that a run ran on; empty if it is unknown."""
    git = record.git
    return {} if git is None else {"commit": git.commit, "dirty": git.dirty, "of": git.of}


def differences(a: RunFolder, b: RunFolder) -> list[str]:
    """Compare two finished runs' weights, episodes, evaluations and TensorBoard curves bit for bit.

    :return: a phrase for each difference; empty if there is none (times are not compared)
    """
    weights = read_weights(a.agents.weights), read_weights(b.agents.weights)
    found = list(_different_arrays("weights", *weights))
    if _episodes(a) != _episodes(b):
        found.append("training episodes")
    evaluations = a.measurements.load_evaluations(), b.measurements.load_evaluations()
    curves = _curves(a.measurements.tensorboard_dir), _curves(b.measurements.tensorboard_dir)
    # Earlier versions did not evaluate the untrained agent: then its evaluation does not count.
    if any(0 not in arrays["timesteps"] for arrays in evaluations):
        evaluations = _trained_only(evaluations[0]), _trained_only(evaluations[1])
        for each in curves:
            for tag in each:
                if tag.startswith("eval/"):
                    each[tag] = [point for point in each[tag] if point[0] > 0]
    found += _different_arrays("evaluations", *evaluations)
    found += [
        f"TensorBoard curve `{tag}`"
        for tag in sorted(curves[0].keys() | curves[1].keys())
        if curves[0].get(tag) != curves[1].get(tag)
    ]
    return found


def _trained_only(evaluations: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the evaluations after timestep 0."""
    is_trained = evaluations["timesteps"] > 0
    return {
        name: array[is_trained] if name != "seeds" and len(array) == len(is_trained) else array
        for name, array in evaluations.items()
    }


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Return every array of a saved agent by name, whatever its file format; unpickles nothing."""
    if path.suffix == ".zip":
        _, parameters, variables = load_from_zip_file(path, load_data=False, device="cpu")
        return dict(_flat("", {**parameters, "variables": variables or {}}))
    if path.suffix == ".npz":
        return load_arrays(path)
    return dict(_flat("", torch.load(path, map_location="cpu", weights_only=True)))


def _flat(prefix: str, tree: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the tensors and numbers of nested dictionaries and lists, named by their paths."""
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
            yield f"{what}: `{name}` is only in one of them"
        elif not _equal(a[name], b[name]):
            yield f"{what}: `{name}`"


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return np.array_equal(a, b, equal_nan=np.issubdtype(a.dtype, np.floating))


def _episodes(run: RunFolder) -> list[list[str]]:
    """Return the rows of episodes.csv without their last column, the wall time."""
    with run.measurements.episodes_file.open(encoding="utf-8", newline="") as file:
        return [row[:-1] for row in csv.reader(file)]


def _curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return every TensorBoard scalar except timings, as (step, value) by tag."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
        if tag not in TIMINGS
    }
