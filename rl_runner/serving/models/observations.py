"""Observations as JSON: from numbers, lists and objects to what an agent predicts from."""

from typing import Any

import numpy as np
from gymnasium import spaces

Observation = Any  # an array, a number, or a dictionary of them


def read_observation(space: spaces.Space[Any], value: Any, where: str = "context") -> Observation:
    """Return a JSON value as one observation of a space.

    :raises ValueError: naming the first part that does not fit, and what was expected
    """
    if isinstance(space, spaces.Dict):
        return _read_parts(space, value, where)
    if isinstance(space, spaces.Discrete):
        low, high = int(space.start), int(space.start + space.n) - 1
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            message = f"{where} is not a whole number from {low} to {high}"
            raise ValueError(message)
        return np.int64(value)
    return _read_array(space, value, where)


def _read_parts(space: spaces.Dict, value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        message = f"{where} is not an object with the keys {', '.join(space)}"
        raise ValueError(message)
    if set(value) != set(space):
        missing, unknown = sorted(set(space) - set(value)), sorted(set(value) - set(space))
        what = f"lacks {missing[0]!r}" if missing else f"has the unknown key {unknown[0]!r}"
        message = f"{where} {what}; its keys are {', '.join(space)}"
        raise ValueError(message)
    return {
        key: read_observation(part, value[key], f"{where}.{key}") for key, part in space.items()
    }


def _read_array(space: spaces.Space[Any], value: Any, where: str) -> np.ndarray:
    """Read a Box, MultiDiscrete or MultiBinary observation; bounds are checked."""
    shape, dtype = tuple(space.shape or ()), np.dtype(space.dtype)
    try:
        numbers = np.asarray(value)
        is_numeric = numbers.dtype.kind in "iuf"
    except ValueError:  # lists of different lengths
        numbers, is_numeric = np.empty(0), False
    if not is_numeric or numbers.shape != shape:
        message = f"{where} is not an array of numbers of shape {list(shape)}"
        raise ValueError(message)
    if dtype.kind in "iu" and not (numbers == np.round(numbers)).all():
        message = f"{where} has a number that is not whole"
        raise ValueError(message)
    # Bounds, with the precision of the space.
    with np.errstate(over="ignore"):
        array = numbers.astype(dtype)
    too_wide = dtype.kind in "iu" and not (array == numbers).all()
    if too_wide or not np.isfinite(array).all() or not space.contains(array):
        message = f"{where} has a number outside its bounds: {space}"
        raise ValueError(message)
    return array


def as_batch(observation: Observation) -> Observation:
    """Return one observation with a leading axis of 1."""
    if isinstance(observation, dict):
        return {key: np.asarray(part)[None] for key, part in observation.items()}
    return np.asarray(observation)[None]


def sample_batch(space: spaces.Space[Any], n: int) -> dict[str, np.ndarray]:
    """Return n observations drawn from a space with a fixed seed, as named arrays."""
    space.seed(0)
    drawn = [space.sample() for _ in range(n)]
    if isinstance(space, spaces.Dict):
        return {f"obs/{key}": np.stack([each[key] for each in drawn]) for key in space}
    return {"obs": np.stack(drawn)}


def from_arrays(arrays: dict[str, np.ndarray]) -> Observation:
    """Return what :func:`sample_batch` named, as a batch of observations."""
    if "obs" in arrays:
        return arrays["obs"]
    return {name.removeprefix("obs/"): array for name, array in arrays.items()}
