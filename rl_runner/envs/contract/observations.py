"""Checks of observations against their space, and of the space itself.

Observations are checked, not changed: the layers above convert them to the type of their space.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from rl_runner.envs.contract.breaches import FINITE, BreachError, described
from rl_runner.envs.images import parts_of

ObservationCheck = Callable[[Any], None]
NUMERIC = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
FLATTEN = "Flatten them: `env.wrappers: [gymnasium.wrappers.FlattenObservation]`."
WRITE_A_WRAPPER = (
    "Write a wrapper that turns them into an array of one shape (a Box), and name it in "
    "`env.wrappers`."
)


def observation_check(  # noqa: PLR0911 - one for each kind of space
    space: spaces.Space[Any], path: str = "observation"
) -> ObservationCheck:
    """Build the check of observations that every step makes, which has to be quick.

    It refuses what would be learned wrongly: another shape, another type that cannot be converted
    without loss, numbers that are not finite, labels outside a discrete space. Quantities outside a
    box's bounds pass; :func:`bounds_breach` finds them.

    :param path: names the observation, or the part of it, in messages
    :return: a function that raises :class:`BreachError`. It accepts everything for spaces that no
        algorithm takes
    """
    if isinstance(space, spaces.Box):
        return _box_check(space, path)
    if isinstance(space, spaces.Discrete):
        low, n = int(space.start), int(space.n)
        return _labels_check((), np.asarray(low), np.asarray(low + n - 1), path)
    if isinstance(space, spaces.MultiDiscrete):
        start = np.asarray(space.start)
        return _labels_check(space.shape, start, start + space.nvec - 1, path)
    if isinstance(space, spaces.MultiBinary):
        return _labels_check(space.shape, np.asarray(0), np.asarray(1), path)
    if isinstance(space, spaces.Dict):
        parts = {
            key: observation_check(part, f"{path}[{key!r}]") for key, part in space.spaces.items()
        }
        return _dict_check(parts, path)
    if isinstance(space, spaces.Tuple):
        listed = [observation_check(part, f"{path}[{i}]") for i, part in enumerate(space.spaces)]
        return _tuple_check(listed, path)
    return lambda _: None


def bounds_breach(space: spaces.Space[Any], obs: Any, path: str = "observation") -> str | None:
    """Say which number of an observation is outside its box; None if none is.

    :param obs: it has passed :func:`observation_check`
    """
    if isinstance(space, spaces.Dict):
        found = (bounds_breach(s, obs[k], f"{path}[{k!r}]") for k, s in space.spaces.items())
        return next((breach for breach in found if breach is not None), None)
    if isinstance(space, spaces.Tuple):
        pairs = enumerate(zip(space.spaces, obs, strict=True))
        found = (bounds_breach(s, part, f"{path}[{i}]") for i, (s, part) in pairs)
        return next((breach for breach in found if breach is not None), None)
    if not isinstance(space, spaces.Box):
        return None
    array = np.asarray(obs, dtype=space.dtype)
    outside = np.argwhere((array < space.low) | (array > space.high))
    if not len(outside):
        return None
    index = tuple(map(int, outside[0]))
    low, high = space.low[index], space.high[index]
    return f"{_part(path, index)} is {array[index]}, outside its space's bounds {low} to {high}"


def _box_check(space: spaces.Box, path: str) -> ObservationCheck:
    shape, dtype = space.shape, space.dtype
    is_float = np.issubdtype(dtype, np.floating)

    def check(obs: Any) -> None:
        array = obs if type(obs) is np.ndarray else _as_array(obs, path)
        if array.shape != shape:
            raise _wrong_shape(array, shape, path)
        if array.dtype != dtype:
            array = _cast(array, dtype, path)
        if is_float and not np.isfinite(array).all():
            raise _not_finite(array, path)

    return check


def _labels_check(
    shape: tuple[int, ...], low: np.ndarray, high: np.ndarray, path: str
) -> ObservationCheck:
    """Check whole numbers of this shape from ``low`` to ``high``, both included."""

    def check(obs: Any) -> None:
        array = _as_array(obs, path)
        if array.shape != shape:
            raise _wrong_shape(array, shape, path)
        whole = array if array.dtype.kind in "iub" else _cast(array, np.dtype(np.int64), path)
        outside = (whole < low) | (whole > high)
        if outside.any():
            index = tuple(map(int, np.argwhere(outside)[0]))
            ends = (int(np.broadcast_to(end, shape)[index]) for end in (low, high))
            what = "returned {} = {}; its space holds the whole numbers {} to {}.".format(
                _part(path, index), whole[index], *ends
            )
            raise BreachError(
                what, "Make the space larger (`n`, `start`), or return what is in it."
            )

    return check


def _dict_check(parts: Mapping[str, ObservationCheck], path: str) -> ObservationCheck:
    keys = parts.keys()

    def check(obs: Any) -> None:
        if not isinstance(obs, Mapping):
            what = f"returned {described(obs)} as {path}; its space is a Dict."
            raise BreachError(
                what, f"Return a dictionary with the keys {', '.join(map(str, keys))}."
            )
        if missing := [key for key in keys if key not in obs]:
            what = f"returned {path} without `{missing[0]}`."
            raise BreachError(what, "Return every key of the observation space.")
        for key, part in parts.items():
            part(obs[key])

    return check


def _tuple_check(parts: list[ObservationCheck], path: str) -> ObservationCheck:
    def check(obs: Any) -> None:
        if not isinstance(obs, tuple | list) or len(obs) != len(parts):
            what = f"returned {described(obs)} as {path}."
            raise BreachError(what, f"Return a tuple of {len(parts)} parts, as its space says.")
        for part, value in zip(parts, obs, strict=True):
            part(value)

    return check


def _as_array(obs: Any, path: str) -> np.ndarray:
    try:
        array = np.asarray(obs)
    except Exception as error:  # noqa: BLE001 - converting a foreign object may raise anything
        what = f"returned {described(obs)} as {path}, which is not an array: {error}."
        raise BreachError(what, "Return a NumPy array.") from None
    if array.dtype.kind not in "fiub":
        what = f"returned {described(obs)} as {path}."
        raise BreachError(what, "Return numbers, as its space says.")
    return array


def _cast(array: np.ndarray, dtype: Any, path: str) -> np.ndarray:
    """Convert an array to its space's type; whole numbers must stay what they are."""
    with np.errstate(all="ignore"):
        # An array of objects may hold numbers only; text and complex numbers are none.
        try:
            converted = array.astype(dtype) if array.dtype.kind in "fiubO" else None
        except Exception:  # noqa: BLE001 - converting a foreign object may raise anything
            converted = None
        if converted is None:
            what = f"returned {described(array)} and of dtype {array.dtype} as {path}, which does "
            what += f"not hold numbers of {dtype} only."
            raise BreachError(what, f"Return an array of numbers, e.g. of `dtype=np.{dtype}`.")
        if np.issubdtype(dtype, np.floating):
            return converted
        changed = np.argwhere(~(converted == array))
    if len(changed):
        index = tuple(map(int, changed[0]))
        what = (
            f"returned {_part(path, index)} = {array[index]}; its space is of {dtype}, in which it "
            f"would be {converted[index]}."
        )
        cure = "Give the space a type that holds what the environment returns, e.g. np.float32."
        raise BreachError(what, cure)
    return converted


def _wrong_shape(array: np.ndarray, shape: tuple[int, ...], path: str) -> BreachError:
    what = f"returned {path} with shape {array.shape}; its space promises {shape}."
    return BreachError(what, "Return what the space promises, or change `observation_space`.")


def _not_finite(array: np.ndarray, path: str) -> BreachError:
    index = tuple(map(int, np.argwhere(~np.isfinite(array))[0]))
    return BreachError(f"returned {_part(path, index)} = {array[index]}.", FINITE)


def _part(path: str, index: tuple[int, ...]) -> str:
    return f"{path}[{', '.join(map(str, index))}]" if index else path


def check_observation_space(space: spaces.Space[Any]) -> None:
    """Refuse observations that are not arrays, or a Dict or Tuple of arrays, of one shape each.

    :raises BreachError: naming the part of the space, with a wrapper that helps
    """
    parts = list(parts_of(space))
    if not parts:
        what = f"has observations without any part: their space is an empty {_kind(space)}."
        raise BreachError(what, "Return at least one number.")
    for key, part in parts:
        subject = f"the space of `{key}`" if key else "their space"
        if isinstance(part, spaces.Dict | spaces.Tuple):
            reason = f"{subject} is a {_kind(part)} inside a {_kind(space)}"
            cure = _cure(space)
        elif not isinstance(part, NUMERIC):
            reason = f"{subject} is a {_kind(part)}, whose values are not arrays of one shape"
            cure = _cure(space)
        elif 0 in (part.shape or ()):
            reason = f"{subject} has the shape {part.shape}, which holds no number"
            cure = "Return at least one number."
        else:
            continue
        what = f"has observations that no algorithm takes: {reason}."
        raise BreachError(what, cure)


def _cure(space: spaces.Space[Any]) -> str:
    """Return how to make arrays of the observations, or of some of them."""
    if _becomes_a_vector(space):
        return FLATTEN
    usable = [key for key, part in parts_of(space) if isinstance(part, NUMERIC)]
    if usable and isinstance(space, spaces.Dict):
        keys = ", ".join(usable)
        wrapper = "name: gymnasium.wrappers.FilterObservation"
        return (
            f"Keep the others: `env.wrappers: [{{{wrapper}, kwargs: {{filter_keys: [{keys}]}}}}]`."
        )
    return WRITE_A_WRAPPER


def _becomes_a_vector(space: spaces.Space[Any]) -> bool:
    """Whether Gymnasium flattens a space to a vector of quantities; of text it takes letters."""
    if isinstance(space, spaces.Dict | spaces.Tuple | spaces.OneOf):
        inner = space.spaces.values() if isinstance(space, spaces.Dict) else space.spaces
        return bool(inner) and all(map(_becomes_a_vector, inner))
    return isinstance(space, NUMERIC) and 0 not in (space.shape or ())


def _kind(space: spaces.Space[Any]) -> str:
    return type(space).__name__
