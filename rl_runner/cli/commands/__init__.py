"""One file per command, or per heading of `rl --help` if its commands are short.

A command parses, calls and prints.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from typer.core import TyperGroup

Command = Callable[..., None]


@dataclass(frozen=True)
class CommandGroup:
    """Commands under one name, such as `rl models`.

    :param help: what `rl NAME --help` says, with an example
    :param commands: by name
    :param kind: how the group reads its arguments
    """

    help: str
    commands: Mapping[str, Command]
    kind: type[TyperGroup] = TyperGroup
