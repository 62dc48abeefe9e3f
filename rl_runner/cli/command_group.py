"""A command that consists of commands, such as `rl models`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from typer.core import TyperGroup

Command = Callable[..., None]


@dataclass(frozen=True)
class CommandGroup:
    """Commands under one name.

    :param help: what `rl NAME --help` says, with an example
    :param commands: by name
    :param kind: how the group reads its arguments
    """

    help: str
    commands: Mapping[str, Command]
    kind: type[TyperGroup] = TyperGroup
