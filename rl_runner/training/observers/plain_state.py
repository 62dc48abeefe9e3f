"""What an object remembers, as plain values for JSON: numbers, texts, arrays, collections of them.

Nothing is pickled: a checkpoint must not be able to run code.
"""

import base64
import random
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback

# What SB3 sets anew when training begins, and what does not change
NOT_STATE = {"model", "parent", "locals", "globals", "num_timesteps", "verbose"}
OWN_STATE = "own"  # in place of attributes: what `state_dict` returned
ATTRIBUTES = "attributes"

Plain = Any  # what JSON can hold


class _NotPlainError(Exception):
    """A value cannot be written as JSON."""


def state_of(holder: Any) -> tuple[dict[str, Plain], list[str]]:
    """Return an object's state, and the names of the attributes that it cannot contain.

    An object with ``state_dict`` and ``load_state_dict`` says itself what its state is.
    """
    if _has_own_state(holder):
        return {OWN_STATE: _encoded(holder.state_dict())}, []
    saved: dict[str, Plain] = {}
    lost = []
    for name, value in vars(holder).items():
        if isinstance(holder, BaseCallback) and name in NOT_STATE:
            continue
        try:
            saved[name] = _encoded(value)
        except _NotPlainError:
            lost.append(name)
    return {ATTRIBUTES: saved}, lost


def restore_state(holder: Any, state: Mapping[str, Plain]) -> None:
    """Give an object the state that :func:`state_of` returned."""
    if OWN_STATE in state and _has_own_state(holder):
        holder.load_state_dict(_decoded(state[OWN_STATE]))
        return
    for name, value in state.get(ATTRIBUTES, {}).items():
        match value:
            case {"callback": inner} if isinstance(getattr(holder, name, None), BaseCallback):
                restore_state(getattr(holder, name), inner)
            case {"callback": _}:
                pass  # the object that had it is not built any more
            case _:
                setattr(holder, name, _decoded(value))


def _has_own_state(holder: Any) -> bool:
    return callable(getattr(holder, "state_dict", None)) and callable(
        getattr(holder, "load_state_dict", None)
    )


def _encoded(value: Any) -> Plain:
    """Return a value for JSON, with its type where JSON has none.

    :raises _NotPlainError: for any other kind
    """
    if type(value) in PLAIN_TYPES:
        return value
    if type(value) in COLLECTIONS:
        items = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
        return {type(value).__name__: [_encoded(item) for item in items]}
    for kind, encode in _ENCODERS:
        if isinstance(value, kind):
            return encode(value)
    raise _NotPlainError


def _encoded_array(array: np.ndarray) -> Plain:
    if array.dtype == object:
        raise _NotPlainError
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return {"array": data, "dtype": array.dtype.str, "shape": list(array.shape)}


def _encoded_generator(generator: np.random.Generator) -> Plain:
    bits = generator.bit_generator
    if type(bits).__name__ not in BIT_GENERATORS:
        raise _NotPlainError
    return {"generator": type(bits).__name__, "state": _encoded(bits.state)}


PLAIN_TYPES = {type(None), bool, int, float, str}
BIT_GENERATORS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        np.random.MT19937,
        np.random.PCG64,
        np.random.PCG64DXSM,
        np.random.Philox,
        np.random.SFC64,
    )
}
COLLECTIONS: dict[type[Any], Callable[[Any], Any]] = {
    kind: kind for kind in (list, tuple, set, frozenset)
}
_BUILD = {kind.__name__: kind for kind in COLLECTIONS}
_ENCODERS: tuple[tuple[Any, Callable[[Any], Plain]], ...] = (
    (deque, lambda each: {"deque": [_encoded(item) for item in each], "maxlen": each.maxlen}),
    (dict, lambda each: {"dict": [[_encoded(k), _encoded(item)] for k, item in each.items()]}),
    (np.ndarray, _encoded_array),
    (np.generic, lambda each: {"scalar": _encoded_array(np.asarray(each))}),
    (torch.Tensor, lambda each: {"tensor": _encoded_array(each.detach().cpu().numpy())}),
    (Path, lambda each: {"path": str(each)}),
    (np.random.Generator, _encoded_generator),
    (random.Random, lambda each: {"random": _encoded(each.getstate())}),
    (BaseCallback, lambda each: {"callback": state_of(each)[0]}),
)


def _decoded(value: Plain) -> Any:  # noqa: PLR0911 - one for each kind of value
    """Return what :func:`_encoded` was given."""
    match value:
        case {"deque": items, "maxlen": maxlen}:
            return deque(map(_decoded, items), maxlen=maxlen)
        case {"dict": pairs}:
            return {_decoded(key): _decoded(item) for key, item in pairs}
        case {"scalar": array}:
            return _decoded(array)[()]
        case {"array": data, "dtype": dtype, "shape": shape}:
            flat = np.frombuffer(base64.b64decode(data), dtype=np.dtype(dtype))
            return flat.reshape(shape).copy()
        case {"tensor": array}:
            return torch.from_numpy(_decoded(array))
        case {"path": path}:
            return Path(path)
        case {"generator": kind, "state": state}:
            return _generator(kind, _decoded(state))
        case {"random": state}:
            generator = random.Random()  # noqa: S311 - no cryptography
            generator.setstate(_decoded(state))
            return generator
        case dict():
            ((kind, items),) = value.items()
            return _BUILD[kind](map(_decoded, items))
    return value


def _generator(kind: str, state: Any) -> np.random.Generator:
    bits = BIT_GENERATORS[kind]()
    bits.state = state
    return np.random.Generator(bits)
