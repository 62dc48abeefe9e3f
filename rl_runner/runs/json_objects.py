"""JSON objects as dataclasses: reading one checks every type and names what is wrong by its path.

A field's annotation says what its JSON may be: ``float``, ``int``, ``str``, ``bool``, ``X | None``,
another :class:`JsonObject`, ``tuple`` for a list, ``Mapping[str, X]`` for an object of any keys.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from types import NoneType, UnionType
from typing import (
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    Self,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

TOO_LARGE = 2**63  # for a whole number
Read = Callable[[Any, str], Any]  # (JSON value, path to it) → value; raises ValueError


@dataclass(frozen=True, kw_only=True)
class JsonObject:
    """A JSON object with known keys; others are kept in ``extra`` and written back unchanged."""

    ALWAYS: ClassVar[frozenset[str]] = frozenset()  # fields written even if they say nothing
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, raw: Any, where: str = "") -> Self:
        """Read a JSON object; where a field has a default, null means the default.

        :param where: the path to the object, as ``results.last``; empty for a whole document
        :raises ValueError: naming the first thing that is wrong
        """
        if type(raw) is not dict:
            raise _mismatch(where, "an object")
        readers, defaults, required = _fields_of(cls)
        prefix = f"{where}." if where else ""
        known: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        # Read what the class knows, and keep the rest.
        for key, value in raw.items():
            read = readers.get(key)
            if read is None:
                extra[key] = value
            elif value is not None or key not in defaults:
                known[key] = read(value, prefix + key)
        # Every field without a default must be there.
        for name in required:
            if name not in known:
                message = f"`{prefix}{name}` is missing."
                raise ValueError(message)
        return cls(**known, extra=extra)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object, without fields that say nothing (null, false, empty) by default.

        :attr:`ALWAYS` names the exceptions.
        """
        readers, defaults, _ = _fields_of(type(self))
        raw = {}
        for name in readers:
            value = getattr(self, name)
            says_nothing = value is None or value is False or value in ((), {})
            if name in self.ALWAYS or not (says_nothing and value == defaults.get(name, MISSING)):
                raw[name] = _plain(value)
        return {**raw, **self.extra}


def _plain(value: Any) -> Any:
    """Return a field's value as JSON has it."""
    if isinstance(value, JsonObject):
        return value.to_json()
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return value


def _join(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)


def _mismatch(where: str, noun: str) -> ValueError:
    return ValueError(f"`{where}` is not {noun}." if where else f"It is not {noun}.")


class _Fields(NamedTuple):
    """The fields of a class, without ``extra``."""

    readers: dict[str, Read]  # by name, in the order of the fields
    defaults: dict[str, Any]  # of those that have one
    required: tuple[str, ...]  # the names of the others


_known: dict[type[JsonObject], _Fields] = {}


def _fields_of(cls: type[JsonObject]) -> _Fields:
    """Return how each field of a class is read, and its default."""
    if cls not in _known:
        hints = get_type_hints(cls)
        own = [each for each in fields(cls) if each.name != "extra"]
        defaults = {each.name: each.default for each in own if each.default is not MISSING}
        for each in own:
            if each.default_factory is not MISSING:
                defaults[each.name] = each.default_factory()
        readers = {each.name: _reader(hints[each.name]) for each in own}
        required = tuple(name for name in readers if name not in defaults)
        _known[cls] = _Fields(readers, defaults, required)
    return _known[cls]


def _reader(annotation: Any) -> Read:
    """Return the function that reads a value of a type."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return _SCALARS[str]
    if origin in {Union, UnionType}:
        return _any_of(arguments)
    if origin is tuple:
        return _list_of(arguments)
    if origin is Mapping:
        return _mapping_of(arguments[1])
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    reader: Read = annotation.from_json
    return reader


def _scalar(noun: str, *types: type) -> Read:
    """Accept these types exactly, since for Python True is a number; refuse integers like 10**400.

    Without any types, accept everything.
    """

    def read(value: Any, where: str) -> Any:
        is_too_large = type(value) is int and abs(value) >= TOO_LARGE
        if types and (type(value) not in types or is_too_large):
            raise _mismatch(where, noun)
        return value

    return read


_SCALARS: dict[Any, Read] = {
    float: _scalar("a number", int, float),
    int: _scalar("a whole number", int),
    str: _scalar("a text", str),
    bool: _scalar("true or false", bool),
    Any: _scalar("anything"),
}


def _any_of(alternatives: tuple[Any, ...]) -> Read:
    """Accept one of several types; the error is that of the first which is not null."""
    readers = [_reader(each) for each in alternatives if each is not NoneType]
    takes_null = NoneType in alternatives

    def read(value: Any, where: str) -> Any:
        if value is None and takes_null:
            return None
        for other in readers[1:]:
            try:
                return other(value, where)
            except ValueError:  # another alternative may fit, or the first one says what is wrong
                continue
        return readers[0](value, where)

    return read


def _list_of(elements: tuple[Any, ...]) -> Read:
    """Accept a list of any length (``tuple[X, ...]``), or of one value per type."""
    is_open = elements[-1] is Ellipsis
    readers = [_reader(each) for each in elements if each is not Ellipsis]

    def read(value: Any, where: str) -> Any:
        if type(value) is not list or not (is_open or len(value) == len(readers)):
            raise _mismatch(where, "a list" if is_open else f"a list of {len(readers)}")
        each = readers * len(value) if is_open else readers
        return tuple(
            read_element(element, _join(where, i))
            for i, (read_element, element) in enumerate(zip(each, value, strict=True))
        )

    return read


def _mapping_of(values: Any) -> Read:
    """Accept an object of any keys."""
    read_value = _reader(values)

    def read(value: Any, where: str) -> Any:
        if type(value) is not dict:
            raise _mismatch(where, "an object")
        return {key: read_value(each, _join(where, key)) for key, each in value.items()}

    return read
