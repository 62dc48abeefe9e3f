"""What an object remembers, as plain values for JSON: numbers, texts, arrays, collections of them.

Nothing is pickled: a checkpoint must not be able to run code.
"""

import base64
import random
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

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

    An object with ``state_dict`` and ``load_state_dict`` says itself what its state is. Callbacks
    in attributes or in lists are not built from the state: what they hold is given back to those
    that the restored object has.
    """
    if _has_own_state(holder):
        try:
            return {OWN_STATE: _encoded(holder.state_dict())}, []
        except (_NotPlainError, RecursionError):
            return {ATTRIBUTES: {}}, ["state_dict"]
    saved: dict[str, Plain] = {}
    lost: list[str] = []
    for name, value in vars(holder).items():
        if isinstance(holder, BaseCallback) and name in NOT_STATE:
            continue
        try:
            if isinstance(value, BaseCallback):
                inner, inner_lost = state_of(value)
                saved[name] = {"callback": inner}
                lost += [f"{name}.{each}" for each in inner_lost]
            elif _are_callbacks(value):
                inners = [state_of(each) for each in value]
                saved[name] = {"callbacks": [inner for inner, _ in inners]}
                lost += [f"{name}.{each}" for _, inner_lost in inners for each in inner_lost]
            else:
                saved[name] = _encoded(value)
        except (_NotPlainError, RecursionError):
            lost.append(name)
    return {ATTRIBUTES: saved}, lost


def restore_state(holder: Any, state: Mapping[str, Plain]) -> None:
    """Give an object the state that :func:`state_of` returned."""
    if OWN_STATE in state and _has_own_state(holder):
        holder.load_state_dict(_decoded(state[OWN_STATE]))
        return
    for name, value in state.get(ATTRIBUTES, {}).items():
        own = getattr(holder, name, None)
        match value:
            case {"callback": inner}:
                if isinstance(own, BaseCallback):  # else it is no longer built
                    restore_state(own, inner)
            case {"callbacks": inners}:
                if _are_callbacks(own) and len(own) == len(inners):
                    for each, inner in zip(own, inners, strict=True):
                        restore_state(each, inner)
            case _:
                setattr(holder, name, _decoded(value))


def _are_callbacks(value: Any) -> TypeGuard[Sequence[BaseCallback]]:
    """Return whether a value is a list or a tuple of callbacks, and not an empty one."""
    is_list = type(value) in {list, tuple} and bool(value)
    return is_list and all(isinstance(each, BaseCallback) for each in value)


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
    if (encode := _ENCODERS.get(type(value))) is not None:
        return encode(value)
    for kind, encode in _ENCODERS_OF_FAMILIES.items():
        if isinstance(value, kind):
            return encode(value)
    raise _NotPlainError


def _encoded_array(array: np.ndarray) -> Plain:
    if array.dtype.kind not in NUMPY_KINDS:
        raise _NotPlainError
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return {"array": data, "dtype": array.dtype.str, "shape": list(array.shape)}


def _encoded_tensor(tensor: torch.Tensor) -> Plain:
    try:
        return {"tensor": _encoded_array(tensor.cpu().numpy())}
    except (TypeError, RuntimeError) as error:  # bfloat16, sparse, or part of a graph
        raise _NotPlainError from error


def _encoded_pairs(mapping: Mapping[Any, Any]) -> Plain:
    return [[_encoded(key), _encoded(item)] for key, item in mapping.items()]


def _encoded_defaults(mapping: defaultdict[Any, Any]) -> Plain:
    factory = getattr(mapping.default_factory, "__name__", "")
    if FACTORIES.get(factory) is not mapping.default_factory:
        raise _NotPlainError
    return {"defaultdict": _encoded_pairs(mapping), "factory": factory}


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
NUMPY_KINDS = "biufcmMSU"  # booleans, numbers, times, texts; no objects and no records
FACTORIES: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (int, float, bool, str, list, dict, set)
}
MAPPINGS: dict[str, type[dict[Any, Any]]] = {
    "dict": dict, "Counter": Counter, "OrderedDict": OrderedDict,
}  # fmt: skip
COLLECTIONS: set[type[Any]] = {list, tuple, set, frozenset}
_BUILD: dict[str, Callable[[Any], Any]] = {kind.__name__: kind for kind in COLLECTIONS}
# By the exact type: a class that is derived from one of these may hold more.
_ENCODERS: dict[type[Any], Callable[[Any], Plain]] = {
    deque: lambda each: {"deque": [_encoded(item) for item in each], "maxlen": each.maxlen},
    dict: lambda each: {"dict": _encoded_pairs(each)},
    Counter: lambda each: {"Counter": _encoded_pairs(each)},
    OrderedDict: lambda each: {"OrderedDict": _encoded_pairs(each)},
    defaultdict: _encoded_defaults,
    np.ndarray: _encoded_array,
    torch.Tensor: _encoded_tensor,
    np.random.Generator: _encoded_generator,
    random.Random: lambda each: {"random": _encoded(each.getstate())},
}
_ENCODERS_OF_FAMILIES: dict[type[Any], Callable[[Any], Plain]] = {
    np.generic: lambda each: {"scalar": _encoded_array(np.asarray(each))},
    Path: lambda each: {"path": str(each)},
}


def _decoded(value: Plain) -> Any:  # noqa: C901, PLR0911 - a case for each kind
    """Return what :func:`_encoded` was given."""
    match value:
        case {"deque": items, "maxlen": maxlen}:
            return deque(map(_decoded, items), maxlen=maxlen)
        case {"defaultdict": pairs, "factory": factory}:
            return defaultdict(FACTORIES[factory], _decoded_pairs(pairs))
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
            if kind in MAPPINGS:
                return MAPPINGS[kind](_decoded_pairs(items))
            return _BUILD[kind](map(_decoded, items))
    return value


def _decoded_pairs(pairs: Sequence[Sequence[Plain]]) -> dict[Any, Any]:
    return {_decoded(key): _decoded(item) for key, item in pairs}


def _generator(kind: str, state: Any) -> np.random.Generator:
    bits = BIT_GENERATORS[kind]()
    bits.state = state
    return np.random.Generator(bits)
