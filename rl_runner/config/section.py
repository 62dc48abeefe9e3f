"""What all config sections share: base class, ranges of numbers, and errors in the user's terms.

Pydantic's errors are expressed in terms of the user's file: line, key and what to do.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from rl_runner.config.yaml_text import Path, SourceMap
from rl_runner.errors import ConfigError, Problem, did_you_mean

MAX_TIMESTEPS = 10**12

Count = Annotated[int, Field(ge=1, le=10**9)]
Timesteps = Annotated[int, Field(ge=1, le=MAX_TIMESTEPS)]
MAX_PROBLEMS = 8
_PLAIN_WORDS = {  # instead of pydantic's, which address programmers
    "model_type": "a mapping (dictionary): `key: value` lines below this key",
    "dict_type": "a mapping (dictionary): `key: value` lines below this key",
    "list_type": "a list, [a, b]",
    "tuple_type": "a list, [a, b]",
    "string_type": "text (a string)",
}
Model = TypeVar("Model", bound=BaseModel)
_NOTHING = object()


class Section(BaseModel):
    """A mapping in the YAML file: frozen, strict, and all of its keys are known."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def text_like(pattern: str, words: str) -> AfterValidator:
    """Return a check that the whole text matches a regular expression.

    :param words: what is expected, in plain words for the error message
    """

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            message = f"expected {words}"
            raise ValueError(message)
        return text

    return AfterValidator(check)


def validate_section(
    model: type[Model],
    raw: Mapping[str, object],
    source: SourceMap,
    at: Path = (),
) -> Model:
    """Return ``raw`` as a ``model``.

    :param at: the section's path in the whole config, e.g. ``("algo",)``
    :raises ConfigError: naming file, line and key of the first few problems
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems = [_problem(model, raw, item, source, at) for item in details]
        raise ConfigError(*dict.fromkeys(problems[:MAX_PROBLEMS])) from None


def _problem(
    model: type[BaseModel], raw: object, details: ErrorDetails, source: SourceMap, at: Path
) -> Problem:
    path = _path_in_file(raw, details)
    where = source.locate((*at, *path))
    # Keys that are unknown or missing.
    if details["type"] == "extra_forbidden":
        known = _known_keys(model, path[:-1])
        return unknown_key(path[-1], known, where)
    if details["type"] == "missing":
        return Problem(f"The key `{path[-1]}` is missing.", where, f"Add `{path[-1]}: …`.")
    # Values that are not allowed: what was expected, in plain words.
    message = details["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    message = _PLAIN_WORDS.get(details["type"], message)
    if message.startswith(("greater than", "less than")):
        message = f"a value {message}"
    expected = message if details["type"] == "value_error" else f"expected {message}"
    # What to do, where the value itself gives a hint.
    cure = ""
    if details["type"] == "literal_error":
        cure = did_you_mean(details["input"], _quoted_words(message))
    shown = _shown(details["input"])
    what = f"{shown} is not allowed: {expected}." if shown else f"Not allowed: {expected}."
    if isinstance(details["input"], str) and details["type"] in {"int_type", "float_type"}:
        cure = "Write the number without quotes or other characters."
    if isinstance(details["input"], float) and details["type"] == "int_type":
        cure = f"Write a whole number, e.g. {details['input']:_.0f}."
    return Problem(what, where, cure)


def unknown_key(key: object, known: Iterable[str], where: str) -> Problem:
    """Describe a key that does not exist in its section."""
    names = sorted(known)
    guess = did_you_mean(key, names)
    allowed = f"Known keys: {', '.join(names)}." if names else ""
    return Problem(f"Unknown key `{key}`.", where, f"{guess} {allowed}".strip())


def _path_in_file(raw: object, details: ErrorDetails) -> Path:
    """Return the part of pydantic's location that the file has, without names of union members.

    A dotted name that is not a key itself leads into mappings: ``policy_kwargs.net_arch``.
    """
    path: list[str | int] = []
    node = raw
    last = len(details["loc"]) - 1
    for i, part in enumerate(details["loc"]):
        absent = i == last and details["type"] in {"missing", "extra_forbidden"}
        steps = part.split(".") if isinstance(part, str) and not absent else [part]
        # Follow each name that the file has; pydantic's names of union members are skipped.
        for step in [part] if _child(node, part) is not _NOTHING else steps:
            inner = _child(node, step)
            if inner is not _NOTHING or absent:
                path.append(step)
                node = inner
    return tuple(path)


def _child(node: object, part: str | int) -> object:
    """Return the value under a key or index, or ``_NOTHING``."""
    if isinstance(node, dict):
        return node.get(part, _NOTHING)
    if isinstance(node, list | tuple) and isinstance(part, int) and part < len(node):
        return node[part]
    return _NOTHING


def _known_keys(model: type[BaseModel], path: Path) -> list[str]:
    """Return the keys of the section of ``model`` that ``path`` leads to."""
    for part in path:
        field = model.model_fields.get(str(part))
        if field is None:  # an index in a list of sections, or a name in a mapping of them
            continue
        inner = _sections_in(field.annotation)
        if not inner:
            return []
        model = inner[0]
    return list(model.model_fields)


def _sections_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the pydantic models named in an annotation such as ``tuple[A, ...] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    arguments = getattr(annotation, "__args__", ())
    return [model for argument in arguments for model in _sections_in(argument)]


def _quoted_words(message: str) -> list[str]:
    return message.split("'")[1::2]


def _shown(value: object) -> str:
    text = repr(value)
    return f"`{text}`" if len(text) <= 60 else ""
