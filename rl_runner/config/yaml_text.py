"""Reads YAML text as plain Python values: YAML 1.2 core schema, no tags, with positions.

Plain PyYAML follows YAML 1.1, where ``1e-3`` is a string and ``no`` is False, and its loaders
either drop line numbers or run constructors that the file names. Here the text is only *composed*
into nodes (nothing is constructed by a tag), and the nodes are read as the YAML 1.2 core schema
says (https://yaml.org/spec/1.2.2/#103-core-schema), with ``_`` allowed between digits.

The positions, a :class:`SourceMap`, accompany a config wherever an error may have to name a line.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any, Never

import yaml

from rl_runner.errors import ConfigError, Problem

Path = tuple[str | int, ...]
MAX_DEPTH = 100
MAX_NODES = 100_000  # a malicious file of nested aliases would otherwise expand without end
_NULL = re.compile(r"(|~|null|Null|NULL)\Z")
_BOOL = re.compile(r"(true|True|TRUE|false|False|FALSE)\Z")
_INT = re.compile(r"[-+]?[0-9](_?[0-9])*\Z")
_BASED = re.compile(r"0(o[0-7]+|x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9](_?[0-9])*|[0-9](_?[0-9])*(\.([0-9](_?[0-9])*)?)?)([eE][-+]?[0-9]+)?\Z"
)
_INF = re.compile(r"[-+]?(\.inf|\.Inf|\.INF)\Z")
_NAN = re.compile(r"(\.nan|\.NaN|\.NAN)\Z")
_PREFIX = "tag:yaml.org,2002:"
_PLAIN = "plain"  # our tag for a scalar without quotes and without a tag


@dataclass(frozen=True)
class SourceMap:
    """Positions of a config's values.

    ``places`` maps a key's path, e.g. ``("algo", "gamma")``, to ``"configs/a.yaml:12"``. Positions
    do not make two configs different, so comparisons ignore them.
    """

    origin: str = field(default="config", compare=False)
    places: dict[Path, str] = field(default_factory=dict, compare=False, repr=False)
    # Of the files themselves, absolute: the config's own first, then those that it extends
    folders: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def locate(self, path: Path) -> str:
        """Return ``file:line, key `a.b` `` for the longest known prefix of ``path``."""
        key = ".".join(str(part) for part in path)
        for length in range(len(path), 0, -1):
            if place := self.places.get(path[:length]):
                return f"{place}, key `{key}`"
        return f"{self.origin}, key `{key}`" if key else self.origin

    def overlaid(self, upper: "SourceMap") -> "SourceMap":
        """Return the positions after ``upper`` was laid over this file (``extends``, ``--set``)."""
        folders = tuple(dict.fromkeys([*upper.folders, *self.folders]))
        return SourceMap(upper.origin, {**self.places, **upper.places}, folders)


def _plain_scalar(text: str) -> object:
    """Read an unquoted scalar as the core schema does."""
    for pattern, read in _READERS:
        if pattern.match(text):
            return read(text)
    return text


_READERS = (
    (_NULL, lambda _: None),
    (_BOOL, lambda text: text.lower() == "true"),
    (_INT, lambda text: int(text.replace("_", ""))),
    (_BASED, lambda text: int(text, 0)),
    (_FLOAT, lambda text: float(text.replace("_", ""))),
    (_INF, lambda text: -math.inf if text.startswith("-") else math.inf),
    (_NAN, lambda _: math.nan),
)


class _Composer(yaml.SafeLoader):
    """Composes nodes only; a plain scalar without a tag is marked as one until it is read."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> Any:
        """Return a node's tag where the file gives none."""
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else _PREFIX + "str"
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]


class _Reader:
    """Turns one node tree into values and records the position of each."""

    def __init__(self, origin: str, line_numbers: bool) -> None:
        self.origin = origin
        self.line_numbers = line_numbers
        self.places: dict[Path, str] = {}
        self.open_nodes: list[yaml.Node] = []
        self.n_nodes = 0

    def read(self, node: yaml.Node, path: Path) -> object:
        """Return the value of ``node``; raises ConfigError on tags, cycles and duplicate keys."""
        # Refuse what would take too much memory or never end.
        self.n_nodes += 1
        if self.n_nodes > MAX_NODES:
            self.refuse(node, f"more than {MAX_NODES} values", "Check for nested aliases (*name).")
        if len(path) > MAX_DEPTH:
            self.refuse(node, f"values nested more than {MAX_DEPTH} deep", "Check brackets.")
        if node in self.open_nodes:
            self.refuse(node, "an alias that contains itself", "Write the value out.")
        # Read the value, and note its line.
        self.places.setdefault(path, self.place(node))
        self.open_nodes.append(node)
        value = self._value(node, path)
        self.open_nodes.pop()
        return value

    def _value(self, node: yaml.Node, path: Path) -> object:
        if isinstance(node, yaml.MappingNode) and node.tag == _PREFIX + "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _PREFIX + "seq":
            return [self.read(child, (*path, i)) for i, child in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag == _PLAIN:
            return self._scalar(node)
        if isinstance(node, yaml.ScalarNode) and node.tag == _PREFIX + "str" and node.style:
            return node.value
        tag = node.tag.removeprefix(_PREFIX)
        cure = "Leave the tag out: tags can run code, or change a value's type unnoticed."
        return self.refuse(node, f"the YAML tag `{tag}`", cure)

    def _scalar(self, node: yaml.ScalarNode) -> object:
        try:
            value = _plain_scalar(node.value)
            str(value)
        except ValueError:  # CPython refuses integers of more than 4,300 digits, read or written
            return self.refuse(node, "a number that is too long", "Write a shorter number.")
        return value

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, object]:
        mapping: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode):
                self.refuse(key_node, "a key that is not a name", "Write `key: value`.")
            if key == "<<" and key_node.style is None:
                self.refuse(key_node, "a merge key `<<`", "YAML 1.2 has none; use `extends:`.")
            if key in mapping:
                self.refuse(key_node, f"the key `{key}` twice", "Keep one of the two.")
            self.places[(*path, key)] = self.place(key_node)
            mapping[key] = self.read(value_node, (*path, key))
        return mapping

    def place(self, node: yaml.Node) -> str:
        return f"{self.origin}:{node.start_mark.line + 1}" if self.line_numbers else self.origin

    def refuse(self, node: yaml.Node, what: str, cure: str) -> Never:
        raise ConfigError(Problem(f"The YAML contains {what}.", self.place(node), cure))


def parse_yaml(text: str, origin: str, *, line_numbers: bool = True) -> tuple[Any, SourceMap]:
    """Parse one YAML document.

    :param text: the document
    :param origin: what error messages call it, usually the file's path
    :param line_numbers: False for a one-line value given on the command line
    :return: plain dicts, lists, str, int, float, bool and None; and the position of each
    :raises ConfigError: if the text is not YAML, or contains tags, duplicate keys or cyclic aliases
    """
    try:
        node = yaml.compose(text, Loader=_Composer)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{origin}:{mark.line + 1}" if mark and line_numbers else origin
        what = " ".join(part for part in (error.context, error.problem) if part)
        cure = "Check indentation, colons, brackets and quotes on this line and the one above."
        raise ConfigError(Problem(f"Not valid YAML: {what}.", where, cure)) from None
    except yaml.YAMLError as error:
        what = str(error).splitlines()[0]
        cure = "Save the file as UTF-8 text."
        raise ConfigError(Problem(f"Not readable as YAML text: {what}.", origin, cure)) from None
    except (RecursionError, ValueError) as error:  # ValueError: PyYAML on "\U00110000" and the like
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ConfigError(Problem(f"Not readable as YAML: {what}.", origin)) from None
    # Turn the nodes into plain values, and note the line of each.
    reader = _Reader(origin, line_numbers)
    value = reader.read(node, ()) if node is not None else None
    return value, SourceMap(origin, reader.places)
